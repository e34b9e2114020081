/** Turns and room: nobody's backlog is in the way of the others. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Id } from "../../core/base/id.ts";
import { type Entry, FairQueue } from "./_fair_queue.ts";

interface Numbered extends Entry {
  readonly number: number;
}

function entry(meter: string, number = 0, weight = 1): Numbered {
  return { meter: meter as Id, number, weight, next: null };
}

function takeAll(queue: FairQueue<Numbered>): Numbered[] {
  const all: Numbered[] = [];
  for (let next; (next = queue.take(Infinity)) !== null;) all.push(next);
  return all;
}

Deno.test("FairQueue serves meters in turns, each in its own order", () => {
  const queue = new FairQueue<Numbered>(1_000);
  for (let i = 0; i < 4; i++) assert.ok(queue.add(entry("a", i)));
  assert.ok(queue.add(entry("b", 0)) && queue.add(entry("c", 0)) && queue.add(entry("b", 1)));
  const order = takeAll(queue).map(({ meter, number }) => `${meter}${number}`);
  assert.deepEqual(order, ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]);
  assert.ok(queue.isEmpty);
});

Deno.test("FairQueue gives nothing that weighs more than asked, and keeps it", () => {
  const queue = new FairQueue<Numbered>(1_000);
  queue.add(entry("a", 1, 100));
  assert.equal(queue.take(99), null);
  assert.equal(queue.take(100)?.number, 1);
  assert.equal(queue.take(100), null);
});

Deno.test("FairQueue has room for the next meter, however much some have waiting", () => {
  const queue = new FairQueue<Numbered>(10_000);
  for (let meter = 0; meter < 20; meter++) while (queue.add(entry(`greedy-${meter}`)));
  for (let meter = 0; meter < 50; meter++) assert.ok(queue.add(entry(`modest-${meter}`)));
  const [first, ...others] = takeAll(queue);
  assert.equal(first!.meter, "greedy-0");
  // a modest one waits for one of each greedy one, not for all that they have
  const place = others.findIndex(({ meter }) => meter === "modest-0");
  assert.equal(place, 19);
});

Deno.test("FairQueue has the room again of what was taken, for a meter that never rests, too", () => {
  const queue = new FairQueue<Numbered>(100);
  assert.ok(queue.add(entry("a", 0, 4)));
  for (let i = 1; i < 100; i++) {
    assert.ok(queue.add(entry("a", i, 4)), `no room for entry ${i}`);
    assert.equal(queue.take(4)?.number, i - 1);
  }
});

Deno.test("FairQueue loses and doubles nothing, and stays within its limit", () => {
  const step = fc.oneof(
    fc.record({ meter: fc.constantFrom("a", "b", "c"), weight: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ take: fc.nat(12) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const queue = new FairQueue<Numbered>(100);
    const waiting = new Map<string, Numbered[]>();
    let number = 0, weight = 0;
    const took = (taken: Numbered) => {
      assert.equal(waiting.get(taken.meter)!.shift(), taken);
      weight -= taken.weight;
    };
    for (const one of steps) {
      if ("take" in one) {
        const taken = queue.take(one.take);
        if (taken !== null) took(taken);
        else assert.ok(weight === 0 || one.take < 9, "something was there to take");
      } else {
        const added = entry(one.meter, number++, one.weight);
        if (!queue.add(added)) continue;
        weight += added.weight;
        waiting.set(one.meter, [...waiting.get(one.meter) ?? [], added]);
        assert.ok(weight <= 100);
      }
    }
    takeAll(queue).forEach(took);
    assert.equal(weight, 0);
    assert.ok([...waiting.values()].every(({ length }) => length === 0));
  }));
});
