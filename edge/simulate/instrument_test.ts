/** The readings of instruments that misbehave, against what was really consumed. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseId } from "../../core/base/id.ts";
import { Flag } from "../../core/wire/reading.ts";
import { Instrument, type Measured } from "./instrument.ts";
import { type Misbehaviour, misbehaviours, mischiefOf } from "./misbehaviour.ts";

const hour = 3_600_000;
const start = 1_700_000_000_000;

/** An hour at 1 kW between two readings, so that each is 1000 Wh after the one before. */
function measured(kinds: readonly Misbehaviour[], seed: number, count = 200) {
  const misdeeds: Partial<Record<Misbehaviour, number>> = {};
  let now = start;
  const instrument = new Instrument({
    clock: () => now,
    register: parseId("r1"),
    mischief: mischiefOf(kinds, { seed, meter: 0 }),
    onMisdeed: (kind, count) => void (misdeeds[kind] = (misdeeds[kind] ?? 0) + count),
  });
  const all: Measured[] = [];
  for (let i = 0; i < count; i++, now += hour) {
    all.push(instrument.read({ power_W: 1_000, voltage_mV: 230_000 }));
  }
  return { all, misdeeds };
}

/** What a reading adds to the one before it in its register, by what its flags say. */
function addedBy({ energy_Wh, flags }: Measured["reading"], before: Measured["reading"]): number {
  if (flags & Flag.reset) return energy_Wh;
  return energy_Wh - before.energy_Wh + (flags & Flag.rollover ? 100_000 : 0);
}

Deno.test("Instrument numbers, stamps and counts when it behaves", () => {
  const { all, misdeeds } = measured([], 1, 3);
  assert.deepEqual(misdeeds, {});
  const load = { power_W: 1_000, voltage_mV: 230_000, flags: 0 };
  assert.deepEqual(all, [
    { register: "r1", reading: { seq: 1, t: start, energy_Wh: 0, ...load } },
    { register: "r1", reading: { seq: 2, t: start + hour, energy_Wh: 1_000, ...load } },
    { register: "r1", reading: { seq: 3, t: start + 2 * hour, energy_Wh: 2_000, ...load } },
  ]);
});

Deno.test("Instrument gives readings that add up to what was consumed, whatever it does", () => {
  fc.assert(fc.property(fc.subarray([...misbehaviours]), fc.nat(), (kinds, seed) => {
    const { all, misdeeds } = measured(kinds, seed);
    const happened: Record<string, number> = { reset: 0, rollover: 0, gap: 0, replace: 0 };
    let before: Measured = { register: parseId("none"), reading: { ...all[0]!.reading, seq: 0 } };
    for (const one of all) {
      const { register, reading } = one;
      if (register !== before.register) {
        if (before.reading.seq > 0) happened["replace"]!++;
        happened["gap"]! += reading.seq - 1;
      } else {
        assert.equal(addedBy(reading, before.reading), 1_000);
        happened["gap"]! += reading.seq - before.reading.seq - 1;
        if (reading.flags & Flag.reset) happened["reset"]!++;
        if (reading.flags & Flag.rollover) happened["rollover"]!++;
      }
      assert.ok(reading.energy_Wh >= 0 && reading.seq > 0 && reading.t >= 0);
      before = one;
    }
    for (const [kind, count] of Object.entries(happened)) {
      assert.equal(misdeeds[kind as Misbehaviour] ?? 0, count, kind);
    }
  }));
});

Deno.test("Instrument misbehaves in every way that it is told to", () => {
  const seen = new Set<string>();
  for (const seed of [1, 2, 3]) {
    for (const kind of Object.keys(measured(misbehaviours, seed).misdeeds)) seen.add(kind);
  }
  assert.deepEqual([...seen].sort(), ["clock", "gap", "replace", "reset", "rollover"]);
});

Deno.test("Instrument is replaced by one with another register that begins at 1", () => {
  const { all, misdeeds } = measured(["replace"], 5);
  const registers = [...new Set(all.map(({ register }) => register))];
  assert.equal(registers.length, 1 + misdeeds.replace!);
  assert.deepEqual(registers.slice(0, 2), ["r1", "r1-2"]);
  for (const register of registers) {
    const numbers = all.filter((one) => one.register === register).map((one) => one.reading.seq);
    assert.deepEqual(numbers, numbers.map((_, i) => i + 1));
  }
});

Deno.test("Instrument has a clock that is hours off, or unset and says so", () => {
  const { all, misdeeds } = measured(["clock"], 3, 1_000);
  const off = all.map(({ reading }, i) => reading.t - (start + i * hour));
  const wrong = off.filter((milliseconds) => milliseconds !== 0).length;
  // a clock that was never set is not wrong about when the meter was switched on
  assert.ok(wrong > 100 && wrong <= misdeeds.clock!);
  all.forEach(({ reading }, i) => {
    if (reading.flags & Flag.clockUnset) assert.equal(reading.t, i * hour);
    else if (off[i] !== 0) assert.ok(Math.abs(off[i]!) >= hour && Math.abs(off[i]!) <= 24 * hour);
  });
  assert.ok(off.some((milliseconds) => milliseconds > 0));
  assert.ok(off.some((milliseconds) => milliseconds < 0));
  assert.ok(all.some(({ reading }) => reading.flags & Flag.clockUnset));
});
