/**
 * The figures of windows, whatever the order in which readings arrive: what the highest revisions say
 * together is what a straight count over all readings says.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Id } from "../../core/base/id.ts";
import { rangesOf } from "../../core/base/ranges.ts";
import { Flag, type Reading } from "../../core/wire/reading.ts";
import type { RegisterInWindow, WindowFigures } from "../../core/wire/summary.ts";
import { batch, closeAll, insert, minute, noon, withStore } from "./_test_store.ts";

interface Arrival extends Reading {
  readonly meter: Id;
  readonly register: Id;
}

const horizon = 6 * minute;

/** Numbers and times go their own ways, as with a meter whose clock is set. */
const arrival: fc.Arbitrary<Arrival> = fc.record({
  meter: fc.constantFrom("m-1" as Id, "m-2" as Id),
  register: fc.constantFrom("r-1" as Id, "r-2" as Id),
  seq: fc.oneof(fc.nat(30), fc.nat(1_000)),
  t: fc.integer({ min: noon - 8 * minute, max: noon }).map((t) => t - (t % 5_000)),
  energy_Wh: fc.oneof(fc.nat(10_000), fc.constantFrom(0, 65_535, 99_999, 2 ** 32 - 1, 2 ** 50)),
  power_W: fc.integer({ min: -3_000, max: 3_000 }),
  voltage_mV: fc.integer({ min: 200_000, max: 250_000 }),
  flags: fc.constantFrom(0, 0, 0, Flag.reset, Flag.rollover, Flag.reset | Flag.rollover),
});

/** What comes in together: a group of batches, some of it for the second time. */
const schedule = fc.uniqueArray(arrival, {
  selector: ({ meter, register, seq }) => `${meter}/${register}/${seq}`,
  maxLength: 60,
}).chain((readings) =>
  fc.record({
    readings: fc.constant(readings),
    groups: fc.array(
      fc.record({ size: fc.integer({ min: 1, max: 9 }), then: fc.constantFrom("close", "go on") }),
      { minLength: 1, maxLength: 8 },
    ),
    repeated: fc.subarray(readings),
    restarts: fc.array(fc.nat(10), { maxLength: 2 }),
  })
);

/** A straight line from readings to figures: no database, no order of arrival. */
function figuresOf(readings: readonly Arrival[]): Map<number, WindowFigures> {
  const counted = readings.filter(({ t }) => t >= noon - horizon)
    .sort((a, b) => a.seq - b.seq)
    .map((one, i, all) => {
      const before = all.slice(0, i)
        .findLast(({ meter, register }) => meter === one.meter && register === one.register);
      return { ...one, consumed_Wh: consumed(one, before) };
    });
  const windows = new Map<number, WindowFigures>();
  for (const [start, inside] of grouped(counted, ({ t }) => t - (t % minute))) {
    const power = inside.map(({ power_W }) => power_W);
    const voltage = inside.map(({ voltage_mV }) => voltage_mV);
    const registers = new Map<Id, Map<Id, RegisterInWindow>>();
    for (const [meter, ofMeter] of grouped(inside, ({ meter }) => meter)) {
      registers.set(meter, new Map());
      for (const [register, own] of grouped(ofMeter, ({ register }) => register)) {
        const seqs = rangesOf(own.map(({ seq }) => [seq, seq]));
        registers.get(meter)!.set(register, { energy_Wh: own.at(-1)!.energy_Wh, seqs });
      }
    }
    windows.set(start, {
      num_meters: registers.size,
      n: inside.length,
      sum_power_W: sum(power),
      min_power_W: Math.min(...power),
      max_power_W: Math.max(...power),
      sum_voltage_mV: sum(voltage),
      min_voltage_mV: Math.min(...voltage),
      max_voltage_mV: Math.max(...voltage),
      energy_Wh: Math.min(
        sum(inside.map(({ consumed_Wh }) => consumed_Wh)),
        Number.MAX_SAFE_INTEGER,
      ),
      registers,
    });
  }
  return windows;
}

function consumed(one: Arrival, before: Arrival | undefined): number {
  if (before === undefined) return 0;
  if (one.flags & Flag.reset) return one.energy_Wh;
  if (one.energy_Wh >= before.energy_Wh) return one.energy_Wh - before.energy_Wh;
  if (!(one.flags & Flag.rollover)) return 0;
  let capacity = 10;
  while (capacity <= before.energy_Wh) capacity *= 10;
  for (const power of [2 ** 16, 2 ** 24, 2 ** 32]) {
    if (power > before.energy_Wh) capacity = Math.min(capacity, power);
  }
  return capacity > 10 ** 12 ? 0 : one.energy_Wh + capacity - before.energy_Wh;
}

function grouped<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  return Map.groupBy(items, keyOf);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

Deno.test("the last figures of each window do not depend on the order of arrival", async () => {
  await fc.assert(
    fc.asyncProperty(schedule, async ({ readings, groups, repeated, restarts }) => {
      await withStore(async ({ store, reopen }) => {
        const final = new Map<number, WindowFigures>();
        const closeDirty = async () => {
          for (const [start, { figures }] of await closeAll(store)) final.set(start, figures);
        };
        const waiting = [...readings, ...repeated];
        for (let i = 0; waiting.length > 0; i++) {
          if (restarts.includes(i)) store = await reopen();
          const { size, then } = groups[i % groups.length]!;
          const taken = waiting.splice(0, size).map((one) => batch([one], one));
          await insert(store, ...taken);
          if (then === "close") await closeDirty();
        }
        await closeDirty();
        assert.deepEqual(byStart(final), byStart(figuresOf(readings)));
      }, { lateness: horizon });
    }),
    { numRuns: 150 },
  );
});

function byStart(windows: ReadonlyMap<number, WindowFigures>) {
  return [...windows].sort(([a], [b]) => a - b);
}
