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

/** Writes what else there is to say of a call, in the transactions that keep it. */
export interface Recorder {
  /** Before it acts: if this cannot be written, it does not act. */
  began(tx: Queries): Promise<void>;
  /** @param outcome "done", or the code of a refusal */
  ended(tx: Queries, outcome: string): Promise<void>;
}

export interface RunOnce {
  /**
   * Gives the result of a call, which happens now unless it has happened before.
   * @param call.caller who calls, by the fingerprint of its key; call.id 16 random bytes of theirs
   * @param effect what the call does; a `Refusal` is a result like another
   * @param recorder hears of a call that happens now, not of repetitions
   * @throws Refusal "outcome_unknown" when it had begun before and nobody saw its end; "bad_call_id";
   * "too_many_calls"
   */
  run(
    call: { readonly caller: Uint8Array; readonly id: Uint8Array },
    effect: () => Promise<Uint8Array>,
    recorder?: Recorder,
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

/** @param options.monotonic milliseconds that never go backwards; the runtime's unless given */
export function openRunOnce(
  { db, clock, monotonic = () => performance.now(), limit = callsPerCaller }: {
    db: Database;
    clock: Clock;
    monotonic?: Clock;
    limit?: number;
  },
): RunOnce {
  // a clock that somebody sets makes no record old, and so no call new
  const ahead = clock() - monotonic();
  const now = () => Math.round(monotonic() + ahead);
  const running = new Map<string, Promise<Uint8Array>>();

  async function execute(
    call: { readonly caller: Uint8Array; readonly id: Uint8Array },
    effect: () => Promise<Uint8Array>,
    recorder?: Recorder,
  ): Promise<Uint8Array> {
    const { caller, id } = call;
    const verdict = await db.write(async (tx) => {
      await tx.run(sql`DELETE FROM calls WHERE started < ${now() - recordAge}`);
      const verdict = judge(await find(tx, call), now());
      if (verdict.verdict !== "run") return verdict;
      const [{ n }] = await tx.all<{ n: number }>(
        sql`SELECT count(*) AS n FROM calls WHERE caller = ${caller}`,
      ) as [{ n: number }];
      if (n >= limit) {
        throw new Refusal("too_many_calls", "Cannot take the call: too many are on record");
      }
      await tx.run(sql`INSERT INTO calls (caller, id, started)
        VALUES (${caller}, ${id}, ${now()})`);
      await recorder?.began(tx);
      return verdict;
    });
    if (verdict.verdict === "done") return decodeResult(verdict.result);
    if (verdict.verdict !== "run") {
      throw new Refusal("outcome_unknown", "The call had begun, and its end was not seen");
    }
    const result = await resultOf(effect);
    try {
      await db.write(async (tx) => {
        await tx.run(
          sql`UPDATE calls SET result = ${result} WHERE caller = ${caller} AND id = ${id}`,
        );
        await recorder?.ended(tx, refusalIn(result) ?? "done");
      });
    } catch (cause) {
      // why it was not stored would sound as if it had not happened
      throw new Refusal("outcome_unknown", "The call has ended, and how is not stored", { cause });
    }
    return decodeResult(result);
  }

  return {
    async run(call, effect, recorder) {
      if (call.id.length !== callIdLength) {
        throw new Refusal("bad_call_id", "Cannot take the call: its id is not 16 bytes");
      }
      const key = toHex(concat(call.caller, call.id));
      const before = running.get(key);
      if (before !== undefined) return await before;
      const result = execute(call, effect, recorder).finally(() => running.delete(key));
      running.set(key, result);
      return await result;
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
  const code = refusalIn(result);
  if (code === null) return result.subarray(1);
  throw new Refusal(code, `The call was refused: ${code}`);
}

/** The code of a refusal; null when the result is an answer. */
function refusalIn(result: Uint8Array): string | null {
  return result[0] === 0 ? null : String.fromCharCode(...result.subarray(1));
}
