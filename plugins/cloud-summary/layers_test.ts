/** Counting by layers, and the walk through sets side by side, against counting number by number. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { holds, type Range, rangesOf } from "../../core/base/ranges.ts";
import { counted, filled, type Layers, maxLayers, uncounted } from "./_layers.ts";
import { sweep } from "./_sweep.ts";

const most = 40;
const set = fc.array(fc.tuple(fc.nat(most - 8), fc.nat(8)), { minLength: 1, maxLength: 3 })
  .map((parts) => rangesOf(parts.map(([first, more]): Range => [first, first + more])));

function timesOf(layers: Layers, number: number): number {
  return layers.filter((layer) => holds(layer, number)).length;
}

Deno.test("layers count how often each number occurs", () => {
  const change = fc.tuple(fc.constantFrom("add", "add", "remove", "fill"), set);
  fc.assert(fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
    let layers: Layers = [];
    const times = Array<number>(most + 1).fill(0);
    for (const [kind, ranges] of changes) {
      layers = { add: counted, remove: uncounted, fill: filled }[kind]!(layers, ranges);
      for (let number = 0; number <= most; number++) {
        if (!holds(ranges, number)) continue;
        const before = times[number]!;
        if (kind === "add") times[number] = Math.min(before + 1, maxLayers);
        else times[number] = kind === "remove" ? Math.max(before - 1, 0) : Math.max(before, 1);
      }
      assert.deepEqual(times.map((_, number) => timesOf(layers, number)), times);
      for (const layer of layers) assert.deepEqual(rangesOf(layer), layer);
    }
  }));
});

Deno.test("sweep() says of every number who holds it and how often", () => {
  const sets = fc.array(fc.record({ owner: fc.constantFrom("a", "b"), ranges: set }), {
    maxLength: 5,
  });
  fc.assert(fc.property(sets, fc.nat(most), fc.nat(most), (sets, from, more) => {
    let next = from;
    for (const stretch of sweep(sets, [from, from + more])) {
      assert.equal(stretch.from, next);
      assert.ok(stretch.to >= stretch.from);
      next = stretch.to + 1;
      for (let number = stretch.from; number <= stretch.to; number++) {
        const holding = sets.filter(({ ranges }) => holds(ranges, number));
        const owners = [...new Set(holding.map(({ owner }) => owner))].sort();
        assert.deepEqual([[...stretch.owners].sort(), stretch.times], [owners, holding.length]);
      }
    }
    assert.equal(next, from + more + 1);
  }));
});
