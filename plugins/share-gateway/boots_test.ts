/** Which start of a device is a new one, and which shows that there are two devices. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Boot } from "../../core/wire/unlock.ts";
import { standingOf } from "./boots.ts";

const boot = (counter: number, id: number): Boot => ({ counter, id: new Uint8Array(16).fill(id) });

Deno.test("standingOf() goes by the counter, and by the id where the counter is the same", () => {
  const cases: [ReturnType<typeof standingOf>, Boot, Boot | null][] = [
    ["first", boot(1, 1), null],
    ["first", boot(9, 1), null],
    ["new", boot(6, 2), boot(5, 1)],
    ["new", boot(6, 1), boot(5, 1)],
    ["new", boot(500, 2), boot(5, 1)],
    ["repeated", boot(5, 1), boot(5, 1)],
    ["clone", boot(5, 2), boot(5, 1)],
    ["clone", boot(4, 2), boot(5, 1)],
    ["clone", boot(4, 1), boot(5, 1)],
    ["clone", boot(1, 1), boot(Number.MAX_SAFE_INTEGER, 1)],
  ];
  for (const [standing, now, last] of cases) {
    assert.equal(standingOf(now, last), standing, `${now.counter} after ${last?.counter}`);
  }
});

Deno.test("standingOf() never tells a clone from a device that counts its starts and repeats itself", () => {
  const starts = fc.array(fc.record({ skip: fc.integer({ min: 1, max: 5 }), times: fc.nat(3) }));
  fc.assert(fc.property(starts, (starts) => {
    let [last, counter]: [Boot | null, number] = [null, 0];
    for (const { skip, times } of starts) {
      counter += skip;
      const now = boot(counter, counter % 251);
      assert.equal(standingOf(now, last), last === null ? "first" : "new");
      last = now;
      for (let i = 0; i < times; i++) assert.equal(standingOf(now, last), "repeated");
    }
  }));
});

Deno.test("standingOf() finds out two devices with one counter as soon as the second one asks", () => {
  // both go on from the same flash; in whatever order they ask, one of them is not new
  fc.assert(fc.property(fc.nat(100), fc.nat(3), fc.nat(3), (from, a, b) => {
    const first = boot(from + 1 + a, 1), second = boot(from + 1 + b, 2);
    const standings = [standingOf(second, first), standingOf(first, second)];
    assert.ok(standings.includes("clone"));
  }));
});
