/** Goes through sets of numbers side by side: who holds which of them, and how often. */
import type { Range } from "../../core/base/ranges.ts";

/** Neighbouring numbers that the same owners hold equally often. */
export interface Stretch<T> {
  readonly from: number;
  readonly to: number;
  /** Each owner once. */
  readonly owners: readonly T[];
  /** How often each number is held, by whomever. */
  readonly times: number;
}

/** All numbers between two, both included. @param sets one owner may have several */
export function* sweep<T>(
  sets: readonly { readonly owner: T; readonly ranges: readonly Range[] }[],
  [from, to]: Range,
): Generator<Stretch<T>> {
  const steps: { at: number; owner: T; by: 1 | -1 }[] = [];
  for (const { owner, ranges } of sets) {
    for (const [first, last] of ranges) {
      if (last < from || first > to) continue;
      steps.push({ at: Math.max(first, from), owner, by: 1 });
      if (last < to) steps.push({ at: last + 1, owner, by: -1 });
    }
  }
  steps.sort((a, b) => a.at - b.at);
  const holding = new Map<T, number>();
  let at = from;
  for (let i = 0; at <= to;) {
    for (; i < steps.length && steps[i]!.at === at; i++) {
      const { owner, by } = steps[i]!;
      const times = (holding.get(owner) ?? 0) + by;
      if (times === 0) holding.delete(owner);
      else holding.set(owner, times);
    }
    const end = i < steps.length ? steps[i]!.at - 1 : to;
    const times = [...holding.values()].reduce((sum, n) => sum + n, 0);
    yield { from: at, to: end, owners: [...holding.keys()], times };
    at = end + 1;
  }
}
