/** What leaves instead of a frame: nothing is lost but the very last, and each kind is told apart. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Frames, type SentFrame } from "./sensor_frames.ts";
import { harmless, sensorMischief, type SensorMisdeeds } from "./sensor_misbehaviour.ts";

const frames = Array.from({ length: 100 }, (_, i): SentFrame => ({
  topic: "jrpc/gateway/rx",
  payload: Uint8Array.of(i),
}));

function sent(told: Parameters<typeof sensorMischief>[0], seed = 1) {
  const misdeeds: Partial<Record<string, number>> = {};
  const mangled = new Frames(sensorMischief(told, { seed, device: 0 }), (kind, count = 1) => {
    misdeeds[kind] = (misdeeds[kind] ?? 0) + count;
  });
  const all = frames.flatMap((frame) => mangled.instead(frame));
  return { numbers: all.map(({ payload }) => payload[0]!), misdeeds: misdeeds as SensorMisdeeds };
}

Deno.test("Frames of a sensor that behaves are what it sends", () => {
  const well = new Frames(harmless, () => assert.fail("it behaves"));
  for (const frame of frames) assert.deepEqual(well.instead(frame), [frame]);
  assert.deepEqual(well.old, frames.slice(-32));
});

Deno.test("Frames come twice, again or late as told, and are counted", () => {
  const twice = sent(["duplicate"]);
  assert.deepEqual(twice.numbers, frames.flatMap((_, i) => [i, i]));
  assert.deepEqual(twice.misdeeds, { duplicate: 100 });

  const { numbers, misdeeds } = sent(["replay"]);
  const again = numbers.filter((number, i) => numbers.indexOf(number) < i);
  assert.ok(again.length > 5);
  assert.deepEqual(misdeeds, { replay: again.length });

  const late = sent(["reorder"]);
  assert.notDeepEqual(late.numbers, late.numbers.toSorted((a, b) => a - b));
  const behind = late.numbers.filter((number, i) => i > 0 && number < late.numbers[i - 1]!);
  assert.deepEqual(late.misdeeds, { reorder: behind.length });
});

Deno.test("Frames that are held back go when nothing follows, and once", () => {
  const mangled = new Frames((kind) => kind === "reorder" ? 0 : null, () => {});
  const [first, second] = frames as [SentFrame, SentFrame];
  assert.deepEqual(mangled.instead(first), []);
  assert.equal(mangled.release(second), null);
  assert.equal(mangled.release(first), first);
  assert.equal(mangled.release(first), null);
  assert.deepEqual(mangled.instead(first), []);
  assert.deepEqual(mangled.instead(second), [second, first]);
  assert.equal(mangled.release(first), null);
});

Deno.test("Frames lose none but perhaps the last, however a sensor misbehaves", () => {
  fc.assert(fc.property(fc.nat(), (seed) => {
    const { numbers } = sent(["duplicate", "replay", "reorder"], seed);
    const missing = frames.map((_, i) => i).filter((i) => !numbers.includes(i));
    assert.ok(missing.length === 0 || missing.length === 1 && missing[0] === frames.length - 1);
  }));
});
