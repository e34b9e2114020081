/**
 * What devices report of themselves: the latest value of each name, kept once it has been acknowledged,
 * and told to the site. So many names are kept of a device, and no history: that is a meter's business.
 */
import { sql } from "drizzle-orm";
import type { Clock } from "../../core/base/clock.ts";
import type { Database } from "../../core/services/db/mod.ts";
import type { Json } from "../../core/wire/json_rpc.ts";
import { RpcRefusal } from "./refusal.ts";

/** Names that are kept of one device. */
const nameLimit = 64;
const textLimit = 256;
const namePattern = /^[A-Za-z0-9_.-]{1,64}$/;

type Value = number | boolean | string;
export type Values = Readonly<Record<string, Value>>;

export interface Latest {
  readonly name: string;
  /** Unix milliseconds, of the gateway. */
  readonly t: number;
  readonly value: Value;
}

export interface Telemetry {
  /** Keeps the values, and resolves when they are on disk. @throws RpcRefusal "too_many_names" */
  push(device: string, values: Values): Promise<void>;
  /** The latest values of a device, by name. */
  of(device: string): Promise<Latest[]>;
}

export function telemetryOf({ db, clock }: { db: Database; clock: Clock }): Telemetry {
  return {
    async push(device, values) {
      const t = clock();
      const json = JSON.stringify(
        Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]),
      );
      await db.write(async (tx) => {
        await tx.run(sql`INSERT INTO mqtt_auth_gateway_telemetry (device, name, t, value)
          SELECT ${device}, value ->> 0, ${t}, value ->> 1 FROM json_each(${json}) WHERE true
          ON CONFLICT (device, name) DO UPDATE SET t = excluded.t, value = excluded.value`);
        const [{ n } = { n: 0 }] = await tx.all<{ n: number }>(sql`SELECT count(*) AS n
          FROM mqtt_auth_gateway_telemetry WHERE device = ${device}`);
        if (n <= nameLimit) return;
        throw new RpcRefusal(
          "too_many_names",
          `Cannot keep the values: more than ${nameLimit} names`,
        );
      });
    },
    async of(device) {
      const rows = await db.read((q) =>
        q.all<{ name: string; t: number; value: string }>(sql`SELECT name, t, value
          FROM mqtt_auth_gateway_telemetry WHERE device = ${device} ORDER BY name`)
      );
      return rows.map(({ name, t, value }) => ({ name, t, value: JSON.parse(value) }));
    },
  };
}

/** Reads `{values: {name: number | boolean | text}}`. @throws RpcRefusal "invalid_params" */
export function valuesIn(params: Json | undefined): Values {
  const values = isObject(params) ? params["values"] : undefined;
  if (!isObject(values)) throw invalid("expected values, an object");
  const entries = Object.entries(values);
  if (entries.length === 0 || entries.length > nameLimit) {
    throw invalid(`expected 1 to ${nameLimit} values`);
  }
  for (const [name, value] of entries) {
    if (!namePattern.test(name)) throw invalid("a name has letters, digits, dots and hyphens");
    const isValue = typeof value === "number" || typeof value === "boolean" ||
      typeof value === "string" && value.length <= textLimit;
    if (!isValue) throw invalid("a value is a number, true, false or a short text");
  }
  return values as Values;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(why: string): RpcRefusal {
  return new RpcRefusal("invalid_params", `Cannot take the values: ${why}`);
}
