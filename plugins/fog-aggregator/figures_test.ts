/** The figures of windows, whatever the order in which readings arrive. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Id } from "../../core/base/id.ts";
import type { Reading } from "../../core/wire/reading.ts";
import type { WindowFigures } from "../../core/wire/summary.ts";
import { batch, closeAll, minute, noon, withStore } from "./_real_store.ts";

interface Arrival extends Reading {
  readonly meter: Id;
  readonly register: Id;
}

const arrival: fc.Arbitrary<Arrival> = fc.record({
  meter: fc.constantFrom("m-1" as Id, "m-2" as Id),
  register: fc.constantFrom("r-1" as Id, "r-2" as Id),
  seq: fc.nat(1_000),
  t: fc.integer({ min: noon - 8 * minute, max: noon }).map((t) => t - (t % 5_000)),
  energy_Wh: fc.nat(10_000),
  power_W: fc.integer({ min: -3_000, max: 3_000 }),
  voltage_mV: fc.integer({ min: 200_000, max: 250_000 }),
  flags: fc.constantFrom(0, 2, 4, 8),
});

/** What comes in together: a group of batches, some of it for the second time. */
const schedule = fc.uniqueArray(arrival, {
  selector: ({ meter, register, seq }) => `${meter}/${register}/${seq}`,
  maxLength: 40,
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

/** A straight line from readings to figures: no database, no order, no lateness. */
function figuresOf(readings: readonly Arrival[]): Map<number, WindowFigures> {
  const windows = new Map<number, WindowFigures>();
  const later = (a: Arrival, b: Arrival) => a.t - b.t || a.seq - b.seq;
  const sorted = readings.toSorted(later);
  for (const start of new Set(sorted.map(({ t }) => Math.floor(t / minute) * minute))) {
    const inside = sorted.filter(({ t }) => t >= start && t < start + minute);
    const power = inside.map(({ power_W }) => power_W);
    const voltage = inside.map(({ voltage_mV }) => voltage_mV);
    const registers = new Map<Id, number>();
    for (const { meter, energy_Wh } of inside) registers.set(meter, energy_Wh);
    let energy_Wh = 0;
    for (const name of new Set(inside.map(({ meter, register }) => `${meter}/${register}`))) {
      const own = sorted.filter(({ meter, register }) => `${meter}/${register}` === name);
      const mine = own.filter(({ t }) => t >= start && t < start + minute);
      const before = own.findLast(({ t }) => t < start) ?? mine[0]!;
      energy_Wh += Math.max(0, mine.at(-1)!.energy_Wh - before.energy_Wh);
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
      energy_Wh,
      registers,
    });
  }
  return windows;
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
          for (const [start, figures] of await closeAll(store)) final.set(start, figures);
        };
        const waiting = [...readings, ...repeated];
        for (let i = 0; waiting.length > 0; i++) {
          if (restarts.includes(i)) store = await reopen();
          const { size, then } = groups[i % groups.length]!;
          const taken = waiting.splice(0, size).map((one) => batch([one], one));
          await store.insert(() => taken);
          if (then === "close") await closeDirty();
        }
        await closeDirty();
        assert.deepEqual(byStart(final), byStart(figuresOf(readings)));
      });
    }),
    { numRuns: 60 },
  );
});

function byStart(windows: ReadonlyMap<number, WindowFigures>) {
  return [...windows].sort(([a], [b]) => a - b);
}
