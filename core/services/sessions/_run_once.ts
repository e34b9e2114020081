/**
 * Calls that must not happen twice, kept in the database: the fact that one has started is on disk
 * before it acts, its result before the answer leaves. What a repetition gets is decided in
 * `core/trust/session/run_once.ts`.
 */
import { sql } from "drizzle-orm";
import { concat, toHex, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import { callIdLength, type CallRecord, judge, recordAge } from "../../trust/session/run_once.ts";
import type { Database, Migration, Queries } from "../db/mod.ts";
import { Refusal } from "./_channel.ts";

export interface RunOnce {
  /**
   * Gives the result of a call, which happens now unless it has happened before.
   * @param call.caller who calls, by the fingerprint of its key; call.id 16 random bytes of theirs
   * @param effect what the call does; a `Refusal` is a result like another
   * @throws Refusal "outcome_unknown" when it had begun before and nobody saw its end; "bad_call_id";
   * "too_many_calls"
   */
  run(
    call: { readonly caller: Uint8Array; readonly id: Uint8Array },
    effect: () => Promise<Uint8Array>,
  ): Promise<Uint8Array>;
}

export const runOnceMigrations: readonly Migration[] = [{
  sql: `CREATE TABLE calls (
    caller BLOB NOT NULL,
    id BLOB NOT NULL,
    started INTEGER NOT NULL,
    result BLOB,
    PRIMARY KEY (caller, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX calls_by_time ON calls (started)`,
}];

/** Calls that one caller may have on record: about one a minute for 7 days. */
const callsPerCaller = 10_000;

export function openRunOnce(
  { db, clock, limit = callsPerCaller }: { db: Database; clock: Clock; limit?: number },
): RunOnce {
  const running = new Map<string, Promise<Uint8Array>>();

  async function execute(
    call: { readonly caller: Uint8Array; readonly id: Uint8Array },
    effect: () => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const { caller, id } = call;
    const verdict = await db.write(async (tx) => {
      await tx.run(sql`DELETE FROM calls WHERE started < ${clock() - recordAge}`);
      const verdict = judge(await find(tx, call), clock());
      if (verdict.verdict !== "run") return verdict;
      const [{ n }] = await tx.all<{ n: number }>(
        sql`SELECT count(*) AS n FROM calls WHERE caller = ${caller}`,
      ) as [{ n: number }];
      if (n >= limit) {
        throw new Refusal("too_many_calls", "Cannot take the call: too many are on record");
      }
      await tx.run(sql`INSERT INTO calls (caller, id, started)
        VALUES (${caller}, ${id}, ${clock()})`);
      return verdict;
    });
    if (verdict.verdict === "done") return decodeResult(verdict.result);
    if (verdict.verdict !== "run") {
      throw new Refusal("outcome_unknown", "The call had begun, and its end was not seen");
    }
    const result = await resultOf(effect);
    await db.write((tx) =>
      tx.run(sql`UPDATE calls SET result = ${result} WHERE caller = ${caller} AND id = ${id}`)
    );
    return decodeResult(result);
  }

  return {
    async run(call, effect) {
      if (call.id.length !== callIdLength) {
        throw new Refusal("bad_call_id", "Cannot take the call: its id is not 16 bytes");
      }
      const key = toHex(concat(call.caller, call.id));
      const before = running.get(key);
      if (before !== undefined) return await before;
      const now = execute(call, effect).finally(() => running.delete(key));
      running.set(key, now);
      return await now;
    },
  };
}

async function find(
  tx: Queries,
  { caller, id }: { readonly caller: Uint8Array; readonly id: Uint8Array },
): Promise<CallRecord | null> {
  const [row] = await tx.all<{ started: number; result: ArrayBuffer | null }>(
    sql`SELECT started, result FROM calls WHERE caller = ${caller} AND id = ${id}`,
  );
  if (row === undefined) return null;
  return {
    started: row.started,
    result: row.result === null ? null : new Uint8Array(row.result),
  };
}

/** `0 | answer`, or `1 | code` of a refusal. What fails otherwise has no result: nobody knows it. */
async function resultOf(effect: () => Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return concat(Uint8Array.of(0), await effect());
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return concat(Uint8Array.of(1), utf8(error.code));
  }
}

function decodeResult(result: Uint8Array): Uint8Array {
  if (result[0] === 0) return result.subarray(1);
  const code = String.fromCharCode(...result.subarray(1));
  throw new Refusal(code, `The call was refused: ${code}`);
}
