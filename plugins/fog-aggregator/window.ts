/**
 * Windows of event time: aligned to UTC, half open, `[start, end)`. Their length can be configured
 * anew: then the windows of another length begin where the last one that has readings ends, so that
 * windows never overlap, and a late reading falls into the window that was there for its time.
 */

/** The start of the window that holds the instant, Unix milliseconds. */
export function windowStart(t: number, length: number): number {
  return t - (((t % length) + length) % length);
}

/** From which instant on windows have which length; that instant begins one. */
export interface Span {
  readonly since: number;
  readonly length: number;
}

/** All of event time in windows. */
export class Windows {
  readonly #spans: readonly Span[];

  /** @param spans in order of time, at least one; the first holds for all time before it, too */
  constructor(spans: readonly Span[]) {
    this.#spans = spans;
  }

  startOf(t: number): number {
    return windowStart(t, this.#spans[this.#indexOf(t)]!.length);
  }

  /** The end of the window that begins there: the next length may cut it short. */
  endOf(start: number): number {
    const i = this.#indexOf(start);
    const next = this.#spans[i + 1]?.since ?? Infinity;
    return Math.min(start + this.#spans[i]!.length, next);
  }

  #indexOf(t: number): number {
    let i = this.#spans.length - 1;
    while (i > 0 && this.#spans[i]!.since > t) i--;
    return i;
  }
}

/**
 * The spans when windows get a length, maybe a new one. @param used up to where the windows of before
 * have readings
 */
export function withLength(
  spans: readonly Span[],
  { length, used }: { length: number; used: number },
): readonly Span[] {
  if (spans.length === 0) return [{ since: 0, length }];
  if (spans.at(-1)!.length === length) return spans;
  const since = Math.ceil(used / length) * length;
  const before = spans.filter((span) => span.since < since);
  return before.at(-1)?.length === length ? before : [...before, { since, length }];
}
