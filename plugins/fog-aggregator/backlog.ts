/**
 * What one call to the cloud carries: first the newest summaries, so that the cloud sees what is
 * happening now however much has piled up, then the backlog in the order of the chain. Sizes adapt: a
 * link that is too slow for a call is given a smaller one.
 */
import { maxStatements } from "../../core/wire/uplink.ts";

/** A summary in the outbox, without its bytes. */
export interface Entry {
  readonly epoch: number;
  readonly seq: number;
  /** Length of its statement. */
  readonly bytes: number;
}

/** Bytes of statements in one call at the most: it must fit into a frame of any binding. */
export const maxBytes = 192 * 1024;
/** Of the newest summaries, this many go before the backlog. */
export const maxLive = 4;

/** A name of the place in the chain. */
export function nameOf({ epoch, seq }: Pick<Entry, "epoch" | "seq">): string {
  return `${epoch}.${seq}`;
}

/** Negative when `a` comes earlier in the chain. */
export function compare(
  a: Pick<Entry, "epoch" | "seq">,
  b: Pick<Entry, "epoch" | "seq">,
): number {
  return a.epoch - b.epoch || a.seq - b.seq;
}

/** As many as fit into one call, and always the first. */
export function fitting(entries: readonly Entry[], bytes: number): readonly Entry[] {
  const end = entries.findIndex(({ bytes: size }, i) => (bytes -= size) < 0 && i > 0);
  return entries.slice(0, end === -1 ? maxStatements : Math.min(end, maxStatements));
}

/**
 * Chooses what the next call carries; nothing when all that may go has gone.
 * @param outbox.first what is pending, first in the chain first; `newest`, newest first
 * @param options.sent names of what has been sent ahead of its turn
 * @param options.bytes how much the call may carry; a single summary may be larger
 * @param options.withBacklog whether the backlog may go already
 * @param options.backlogFirst leaves the newest out, when a call has carried nothing else
 */
export function planCall(
  outbox: { readonly first: readonly Entry[]; readonly newest: readonly Entry[] },
  options: {
    readonly sent: ReadonlySet<string>;
    readonly bytes: number;
    readonly withBacklog: boolean;
    readonly backlogFirst: boolean;
  },
): readonly Entry[] {
  const { sent, bytes, withBacklog, backlogFirst } = options;
  const [next, ...rest] = outbox.first;
  if (next === undefined) return [];
  // had the cloud kept the next one when it was sent ahead, its head would stand behind it
  const backlog = withBacklog ? [next, ...rest.filter((entry) => !sent.has(nameOf(entry)))] : [];
  const live = outbox.newest.filter((entry) => !sent.has(nameOf(entry)));
  const inOrder = fitting(backlog, bytes);
  const last = inOrder.at(-1);
  const reachesAll = last !== undefined && live.every((entry) => compare(entry, last) <= 0);
  if (live.length === 0 || reachesAll || (backlogFirst && withBacklog)) return inOrder;
  const ahead = fitting(live, bytes / 2);
  const names = new Set(ahead.map(nameOf));
  const room = bytes - ahead.reduce((sum, entry) => sum + entry.bytes, 0);
  const behind = fitting(backlog.filter((entry) => !names.has(nameOf(entry))), room);
  // the first of the backlog fits always; here it must wait for the next call
  if (behind.length === 0 || behind[0]!.bytes > room) return ahead;
  return [...ahead, ...behind.slice(0, maxStatements - ahead.length)];
}

/** How many bytes a call may carry: half after a failure, twice as many after one that was quick. */
export class CallSize {
  #bytes = maxBytes;

  get bytes(): number {
    return this.#bytes;
  }

  failed(): void {
    this.#bytes = Math.max(leastBytes, this.#bytes / 2);
  }

  /** @param milliseconds what the call took */
  done(milliseconds: number): void {
    // a call that took long would fail at twice the size, and every failure costs its patience
    if (milliseconds < quick) this.#bytes = Math.min(maxBytes, this.#bytes * 2);
  }
}

const leastBytes = 512;
const quick = 5_000;
