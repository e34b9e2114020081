/** A fleet on a real site, from its steps to what the fog acknowledges; and its timing alone. */
import assert from "node:assert/strict";
import { parseId } from "../../core/base/id.ts";
import { realFog, silent, suite } from "./_fakes.ts";
import { drainFleet, type FleetTotals, runFleet } from "./fleet.ts";
import { loadModel } from "./load_model.ts";
import { SimulatedMeter } from "./meter.ts";
import type { Source } from "./source.ts";

const forever = new AbortController().signal;

Deno.test("runFleet() measures every step at every meter, and drainFleet() sees it arrive", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await using site = await realFog(dir);
    await using stack = new AsyncDisposableStack();
    const meters: SimulatedMeter[] = [];
    for (const id of ["m-1", "m-2", "m-3"].map(parseId)) {
      const enrolment = await site.enrol("meter", id, { ttl: 60_000 });
      meters.push(
        stack.use(new SimulatedMeter({ suite, enrolment, id, clock: Date.now, log: silent })),
      );
    }
    const model = loadModel(1);
    const gap: Source = (meter, step) => meter === 1 && step < 5 ? null : model(meter, step);
    const heard: FleetTotals[] = [];
    const totals = await runFleet({
      meters,
      source: gap,
      interval: 5,
      steps: 20,
      signal: forever,
      onStep: (_step, totals) => void heard.push(totals),
    });
    assert.equal(totals.steps, 20);
    assert.deepEqual(heard.map(({ steps }) => steps), Array.from({ length: 20 }, (_, i) => i + 1));
    assert.deepEqual(heard.at(-1), totals);
    assert.deepEqual(await drainFleet(meters, forever), { sent: 55, accepted: 55, refused: 0 });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("runFleet() leaves no step out when it was late", async () => {
  let now = 0;
  const steps: number[] = [];
  const totals = await runFleet({
    ...idle,
    interval: 1_000,
    steps: 50,
    now: () => now,
    onStep(step) {
      steps.push(step);
      now = step < 20 ? 30_000 : 60_000;
    },
  });
  assert.deepEqual(steps, Array.from({ length: 50 }, (_, i) => i));
  assert.deepEqual(totals, { steps: 50, sent: 0, accepted: 0, refused: 0 });
});

Deno.test("runFleet() stops between steps when the signal aborts", async () => {
  const stop = new AbortController();
  const { steps } = await runFleet({
    ...idle,
    interval: 0,
    signal: stop.signal,
    onStep: (step) => step === 6 && stop.abort(),
  });
  assert.equal(steps, 7);
});

Deno.test("runFleet() stops while it waits for the next step", async () => {
  const stop = new AbortController();
  const { steps } = await runFleet({
    ...idle,
    interval: 3_600_000,
    signal: stop.signal,
    onStep: () => queueMicrotask(() => stop.abort()),
  });
  assert.equal(steps, 1);
});

Deno.test("runFleet() does nothing when the signal has aborted", async () => {
  const { steps } = await runFleet({ ...idle, interval: 0, signal: AbortSignal.abort() });
  assert.equal(steps, 0);
});

const idle = { meters: [], source: () => null, signal: forever };
