/**
 * The last calls of each device, either way: what was called, how long it took, and what came of it.
 * For people to look at; what must not be lost of a call is elsewhere. They are written in bulk, a
 * second late, and so many are kept of each device.
 */
import { sql } from "drizzle-orm";
import type { Clock } from "../../core/base/clock.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { Database } from "../../core/services/db/mod.ts";
import type { Log } from "../../core/services/logging.ts";
import type { Metrics } from "../../core/services/metrics.ts";

export interface CallRow {
  readonly device: string;
  readonly method: string;
  /** Unix milliseconds. */
  readonly at: number;
  readonly ms: number;
  /** "done", or the code of what went wrong. */
  readonly outcome: string;
  /** "in" is a call of the device, "out" one to it. */
  readonly direction: "in" | "out";
}

/** Calls that wait to be written, at the most. */
const waitingLimit = 10_000;

export class Calls {
  readonly #options: CallsOptions;
  readonly #counter;
  #waiting: CallRow[] = [];
  #flushed = Promise.resolve();

  constructor(options: CallsOptions) {
    this.#options = options;
    this.#counter = options.metrics.counter(
      "edgeward_rpc_calls_total",
      "Calls, by what came of them",
    );
  }

  /** Counts a call of which nothing else is kept. */
  count(outcome: string): void {
    this.#counter.add(1, { outcome });
  }

  /** Does what a call is to do, and notes what came of it. */
  async note<T>(
    call: Pick<CallRow, "device" | "method" | "direction">,
    run: () => Promise<T>,
  ): Promise<T> {
    const { clock, onCall } = this.#options;
    const at = clock();
    const began = performance.now();
    let outcome = "done";
    try {
      return await run();
    } catch (error) {
      outcome = error instanceof CodedError ? error.code : "failed";
      throw error;
    } finally {
      const row = { ...call, at, ms: Math.round(performance.now() - began), outcome };
      // a device's own codes are no closed set
      this.count(call.direction === "out" && !known.has(outcome) ? "refused" : outcome);
      if (this.#waiting.length < waitingLimit) this.#waiting.push(row);
      onCall(row);
    }
  }

  /** Resolves when all that was noted before is written, by whoever. */
  flush(): Promise<void> {
    return this.#flushed = this.#flushed.then(() => this.#write());
  }

  /** The last calls of a device, the newest first. */
  async of(device: string): Promise<CallRow[]> {
    await this.flush();
    return await this.#options.db.read((q) =>
      q.all<CallRow>(sql`SELECT device, method, at, ms, outcome, direction
        FROM mqtt_auth_gateway_calls WHERE device = ${device}
        ORDER BY id DESC LIMIT ${this.#options.kept}`)
    );
  }

  async #write(): Promise<void> {
    const rows = this.#waiting;
    if (rows.length === 0) return;
    this.#waiting = [];
    const { db, kept, log, isKnown } = this.#options;
    try {
      await db.write(async (tx) => {
        const known = rows.filter(({ device }) => isKnown(device));
        const json = JSON.stringify(
          known.map(({ device, method, at, ms, outcome, direction }) => [
            ...[device, method, at, ms, outcome, direction],
          ]),
        );
        await tx.run(sql`INSERT INTO mqtt_auth_gateway_calls
            (device, method, at, ms, outcome, direction)
          SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
          FROM json_each(${json}) ORDER BY key`);
        for (const device of new Set(known.map(({ device }) => device))) {
          await tx.run(sql`DELETE FROM mqtt_auth_gateway_calls WHERE device = ${device} AND id <= (
            SELECT id FROM mqtt_auth_gateway_calls WHERE device = ${device}
            ORDER BY id DESC LIMIT 1 OFFSET ${kept})`);
        }
      });
    } catch (error) {
      log.warn("calls were not written down", { calls: rows.length, error });
    }
  }
}

export interface CallsOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** How many are kept of each device. */
  readonly kept: number;
  /** Whether anything may be kept of a device. */
  readonly isKnown: (device: string) => boolean;
  readonly onCall: (call: CallRow) => void;
}

/** What may come of a call to a device, but for what the device itself says. */
const known = new Set(["done", "failed", "not_connected", "no_answer", "outcome_unknown"]);
