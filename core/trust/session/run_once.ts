/**
 * Calls that must not happen twice. A call with an effect bears a random id; whoever executes it stores
 * durably that it has started, before it acts, and the result after. What a repetition gets, in
 * whatever session it comes and after whatever crash, follows from that record alone (protocols.md §1).
 */

/** An id of a call: 16 random bytes, drawn by the caller, kept for every repetition. */
export const callIdLength = 16;

/** How long a record is kept, in milliseconds: as long as a session may live. */
export const recordAge = 7 * 24 * 60 * 60 * 1000;

/** What the executor has on disk of a call. */
export interface CallRecord {
  /** Unix milliseconds. */
  readonly started: number;
  /** Null as long as it is not known how the call ended. */
  readonly result: Uint8Array | null;
}

export type Verdict =
  /** Never seen: store that it has started, then act. */
  | { readonly verdict: "run" }
  | { readonly verdict: "done"; readonly result: Uint8Array }
  /** It had started when the executor died: whether it happened is for people to find out. */
  | { readonly verdict: "outcome_unknown" };

/** Decides about a call. @param record what is on disk of it; null when nothing is */
export function judge(record: CallRecord | null, now: number): Verdict {
  if (record === null || now - record.started > recordAge) return { verdict: "run" };
  return record.result === null
    ? { verdict: "outcome_unknown" }
    : { verdict: "done", result: record.result };
}
