/** Ranges against sets of numbers. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { gapsIn, holds, type Range, rangesOf, sizeOf, without } from "./ranges.ts";

const anyRanges = fc.array(
  fc.tuple(fc.nat(60), fc.nat(8)).map(([first, more]): Range => [first, first + more]),
  { maxLength: 12 },
);

function numbersIn(ranges: readonly Range[]): Set<number> {
  const numbers = new Set<number>();
  for (const [first, last] of ranges) for (let n = first; n <= last; n++) numbers.add(n);
  return numbers;
}

Deno.test("rangesOf() gives the one list of a set", () => {
  fc.assert(fc.property(anyRanges, (ranges) => {
    const set = rangesOf(ranges);
    assert.deepEqual([...numbersIn(set)], [...numbersIn(ranges)].sort((a, b) => a - b));
    for (let i = 1; i < set.length; i++) assert.ok(set[i]![0] > set[i - 1]![1] + 1);
    assert.equal(sizeOf(set), numbersIn(ranges).size);
  }));
});

Deno.test("without(), gapsIn() and holds() agree with sets of numbers", () => {
  fc.assert(fc.property(anyRanges, anyRanges, fc.nat(30), (a, b, from) => {
    const [set, other] = [rangesOf(a), rangesOf(b)];
    const [numbers, others] = [numbersIn(set), numbersIn(other)];
    const rest = without(set, other);
    assert.deepEqual(rest, rangesOf(rest));
    assert.deepEqual([...numbersIn(rest)], [...numbers].filter((n) => !others.has(n)));
    const last = Math.max(-1, ...numbers);
    const missing = [];
    for (let n = from; n <= last; n++) if (!numbers.has(n)) missing.push(n);
    assert.deepEqual([...numbersIn(gapsIn(set, from))], missing);
    for (let n = 0; n < 70; n++) assert.equal(holds(set, n), numbers.has(n));
  }));
});
