/**
 * Sets of whole numbers as ranges: what numbered things are there, and which are missing. A set is a
 * list of ranges in ascending order that neither overlap nor touch, so there is one list per set.
 */

/** Both ends included. */
export type Range = readonly [first: number, last: number];

/** The set of all numbers in these ranges, which may be in any order and overlap. */
export function rangesOf(ranges: Iterable<Range>): Range[] {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const set: [number, number][] = [];
  for (const [first, last] of sorted) {
    const before = set.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else set.push([first, last]);
  }
  return set;
}

/** What is in the one set and not in the other. */
export function without(set: readonly Range[], other: readonly Range[]): Range[] {
  const rest: Range[] = [];
  let k = 0;
  for (const [first, last] of set) {
    let from = first;
    while (k < other.length && other[k]![1] < first) k++;
    for (let i = k; i < other.length && other[i]![0] <= last; i++) {
      const [start, end] = other[i]!;
      if (start > from) rest.push([from, start - 1]);
      from = Math.max(from, end + 1);
    }
    if (from <= last) rest.push([from, last]);
  }
  return rest;
}

/** What is missing between a number and the largest of a set. */
export function gapsIn(set: readonly Range[], from: number): Range[] {
  const last = set.at(-1)?.[1];
  return last === undefined || last < from ? [] : without([[from, last]], set);
}

/** How many numbers a set has. */
export function sizeOf(set: readonly Range[]): number {
  let size = 0;
  for (const [first, last] of set) size += last - first + 1;
  return size;
}

/** Whether a number is in a set. */
export function holds(set: readonly Range[], number: number): boolean {
  let low = 0, high = set.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (set[middle]![1] < number) low = middle + 1;
    else high = middle;
  }
  return low < set.length && set[low]![0] <= number;
}
