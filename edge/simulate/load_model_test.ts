/** The built-in household: always the same, never absurd. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { draw } from "./_draw.ts";
import { loadModel } from "./load_model.ts";

const day = 24 * 60;

Deno.test("loadModel() follows from seed, meter and step alone", () => {
  fc.assert(fc.property(fc.integer(), fc.nat(), fc.nat(), (seed, meter, step) => {
    const source = loadModel(seed);
    const load = source(meter, step);
    source(meter + 1, step + 1);
    assert.deepEqual(source(meter, step), load);
    assert.deepEqual(loadModel(seed)(meter, step), load);
  }));
});

Deno.test("loadModel() stays the same from one version to the next", () => {
  const source = loadModel(1);
  const places: [number, number][] = [[0, 0], [0, 1], [1, 0], [9, 1_440]];
  assert.deepEqual(places.map(([meter, step]) => source(meter, step)), [
    { power_W: 343, voltage_mV: 229_503 },
    { power_W: 355, voltage_mV: 229_648 },
    { power_W: 604, voltage_mV: 227_645 },
    { power_W: 304, voltage_mV: 230_457 },
  ]);
});

Deno.test("loadModel() gives integers below 12 kW and between 215 and 250 V", () => {
  fc.assert(fc.property(fc.integer(), fc.nat(), fc.nat(), (seed, meter, start) => {
    const source = loadModel(seed);
    for (let step = start; step < start + day; step++) {
      const { power_W, voltage_mV } = source(meter, step)!;
      assert.ok(Number.isInteger(power_W) && power_W >= 0 && power_W <= 12_000, `${power_W} W`);
      assert.ok(Number.isInteger(voltage_mV), `${voltage_mV} mV`);
      assert.ok(voltage_mV >= 215_000 && voltage_mV <= 250_000, `${voltage_mV} mV`);
    }
  }));
});

Deno.test("loadModel() has meters and seeds that differ", () => {
  const series = (seed: number, meter: number) => {
    const source = loadModel(seed);
    return Array.from({ length: 60 }, (_, step) => source(meter, step)!.power_W).join(" ");
  };
  const all = [1, 2, 3].flatMap((seed) => [0, 1, 2, 3, 4].map((meter) => series(seed, meter)));
  assert.equal(new Set(all).size, all.length);
});

Deno.test("loadModel() draws what a household draws, more in the evening than at night", () => {
  const source = loadModel(7);
  const mean = (from: number, to: number) => {
    let sum = 0;
    for (let meter = 0; meter < 20; meter++) {
      for (let step = from; step < to; step++) sum += source(meter, step)!.power_W;
    }
    return sum / (20 * (to - from));
  };
  const week = mean(0, 7 * day); // 0.25 to 0.8 kW: 2,200 to 7,000 kWh a year
  assert.ok(week > 250 && week < 800, `${week} W`);
  const evening = mean(0, 180), night = mean(8 * 60, 10 * 60); // step 0 is at 18:00
  assert.ok(evening > 2 * night, `${evening} W, ${night} W`);
});

Deno.test("loadModel() switches appliances on and off and lets the voltage sag under them", () => {
  const source = loadModel(3);
  const loads = Array.from({ length: 7 * day }, (_, step) => source(0, step)!);
  const mean = (part: typeof loads) =>
    part.reduce((sum, { voltage_mV }) => sum + voltage_mV, 0) / part.length;
  const high = loads.filter(({ power_W }) => power_W > 2_000);
  const low = loads.filter(({ power_W }) => power_W < 300);
  assert.ok(high.length > 60 && low.length > 60, `${high.length} high, ${low.length} low`);
  assert.ok(mean(high) < mean(low) - 1_000);
});

Deno.test("draw() is even, and each key matters", () => {
  const buckets = new Array<number>(10).fill(0);
  for (let i = 0; i < 100_000; i++) buckets[Math.floor(10 * draw(1, 2, i))]!++;
  for (const count of buckets) assert.ok(Math.abs(count - 10_000) < 500, buckets.join(" "));
  fc.assert(fc.property(fc.array(fc.nat(), { minLength: 1 }), fc.nat(), (keys, at) => {
    const other = keys.with(at % keys.length, keys[at % keys.length]! + 1);
    assert.notEqual(draw(...keys), draw(...other));
  }));
});
