/** The plan of the next deal: a name, a threshold and who the members are, kept until it is dealt. */
import { sql } from "drizzle-orm";
import { fromBase64url, toBase64url } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { Queries } from "../../core/services/db/mod.ts";

/** In the order of their places: this gateway is the first. */
export interface Plan {
  readonly group: Id;
  readonly k: number;
  readonly members: readonly PlannedMember[];
  /** Unix milliseconds. */
  readonly planned: number;
}

export interface PlannedMember {
  readonly id: Id;
  readonly noiseKey: Uint8Array;
  /** Null when it could not be asked. */
  readonly url: string | null;
  readonly signKey: Uint8Array | null;
}

interface PlanJson extends Omit<Plan, "members"> {
  readonly members: readonly {
    readonly id: Id;
    readonly url: string | null;
    readonly noise_key: string;
    readonly sign_key: string | null;
  }[];
}

/** In the place of any other. */
export async function putPlan(tx: Queries, plan: Plan): Promise<void> {
  const json: PlanJson = {
    ...plan,
    members: plan.members.map(({ id, url, noiseKey, signKey }) => ({
      ...{ id, url, noise_key: toBase64url(noiseKey) },
      sign_key: signKey && toBase64url(signKey),
    })),
  };
  await tx.run(sql`INSERT INTO share_gateway_plans (id, plan) VALUES (1, ${JSON.stringify(json)})
    ON CONFLICT (id) DO UPDATE SET plan = excluded.plan`);
}

export async function planIn(q: Queries): Promise<Plan | null> {
  const [row] = await q.all<{ plan: string }>(sql`SELECT plan FROM share_gateway_plans`);
  if (row === undefined) return null;
  const plan = JSON.parse(row.plan) as PlanJson;
  return {
    ...plan,
    members: plan.members.map(({ id, url, noise_key, sign_key }) => ({
      ...{ id, url, noiseKey: fromBase64url(noise_key) },
      signKey: sign_key === null ? null : fromBase64url(sign_key),
    })),
  };
}

export async function dropPlan(tx: Queries): Promise<void> {
  await tx.run(sql`DELETE FROM share_gateway_plans`);
}
