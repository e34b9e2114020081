/** How often denials are written, and that none is lost from their count. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Denials } from "./denials.ts";

const minute = 60_000;

Deno.test("Denials writes the first of each device and reason, then their number once a minute", () => {
  let now = 0;
  const denials = new Denials(() => now);
  const note = (device: string, reason: string) => denials.note(device, reason)?.count ?? null;
  assert.deepEqual([note("a", "rate"), note("a", "rate"), note("a", "rate")], [1, null, null]);
  assert.deepEqual([note("b", "rate"), note("a", "hours")], [1, 1]);
  now = minute;
  assert.equal(note("a", "rate"), 3);
  assert.equal(note("a", "rate"), null);
  now = 2 * minute - 1;
  assert.deepEqual(denials.flush(), []);
  now = 2 * minute;
  assert.deepEqual(denials.flush(), [{ device: "a", reason: "rate", count: 1 }]);
  assert.equal(note("a", "rate"), null);
  assert.equal(note("b", "rate"), 1);
});

Deno.test("Denials counts what was not written after all", () => {
  const denials = new Denials(() => 0);
  const first = denials.note("a", "rate")!;
  denials.note("a", "rate");
  denials.failed(first);
  assert.ok(denials.isDue("a", "rate"));
  assert.equal(denials.note("a", "rate")?.count, 3);
});

Deno.test("Denials loses none, and writes no more than one a minute of each", () => {
  const steps = fc.array(
    fc.record({ wait: fc.nat(50_000), device: fc.nat(2), flush: fc.boolean() }),
  );
  fc.assert(fc.property(steps, (steps) => {
    let now = 0, noted = 0, written = 0;
    const last = new Map<string, number>();
    const denials = new Denials(() => now);
    const write = ({ device, count }: { device: string; count: number }) => {
      assert.ok(now - (last.get(device) ?? -minute) >= minute);
      last.set(device, now);
      written += count;
    };
    for (const { wait, device, flush } of steps) {
      now += wait;
      noted++;
      const due = denials.note(`d-${device}`, "rate");
      if (due !== null) write(due);
      if (flush) denials.flush().forEach(write);
    }
    for (const { count } of denials.flush(true)) written += count;
    assert.equal(written, noted);
  }));
});

Deno.test("Denials remembers no more than its limit", () => {
  const denials = new Denials(() => 0, { limit: 3 });
  for (const device of ["a", "b", "c", "d"]) assert.equal(denials.note(device, "rate")?.count, 1);
  assert.equal(denials.note("d", "rate"), null);
  assert.equal(denials.note("a", "rate")?.count, 1);
});
