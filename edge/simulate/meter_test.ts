/** One meter against a fog that answers as the test wants, over real sessions, and against a real fog. */
import assert from "node:assert/strict";
import { parseId } from "../../core/base/id.ts";
import { Refusal } from "../../core/services/sessions/mod.ts";
import type { Reading, Receipt } from "../../core/wire/reading.ts";
import { type FakeFog, fakeFog, realFog, silent, suite, takeAll } from "./_fakes.ts";
import { misbehaviours, mischiefOf } from "./misbehaviour.ts";
import { type MeterOptions, SimulatedMeter } from "./meter.ts";

const load = { power_W: 1_000, voltage_mV: 230_000 };
const forever = new AbortController().signal;

Deno.test("SimulatedMeter numbers, stamps and signs what it measures", async () => {
  await using fog = await fakeFog();
  let now = 1_000;
  await using meter = meterOf(fog, { clock: () => now, register: parseId("r2") });
  meter.measure({ power_W: 3_600, voltage_mV: 229_000 });
  now += 1_500;
  meter.measure({ power_W: -500, voltage_mV: 231_000 });
  now += 60_000;
  meter.measure({ power_W: 0, voltage_mV: 230_500 });
  await meter.drained(forever);

  assert.deepEqual(fog.calls.map(({ batch }) => [batch.meter, batch.register]), [
    ["m-1", "r2"],
    ["m-1", "r2"],
  ]);
  assert.deepEqual(readingsAt(fog), [
    { seq: 1, t: 1_000, energy_Wh: 0, power_W: 3_600, voltage_mV: 229_000, flags: 0 },
    { seq: 2, t: 2_500, energy_Wh: 1, power_W: -500, voltage_mV: 231_000, flags: 0 },
    { seq: 3, t: 62_500, energy_Wh: 1, power_W: 0, voltage_mV: 230_500, flags: 0 },
  ]);
  assert.deepEqual(meter.statistics, { sent: 3, accepted: 3, refused: 0 });
});

Deno.test("SimulatedMeter has one call under way and sends what waits in one batch", async () => {
  const first = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  let underWay = 0, mostUnderWay = 0;
  await using fog = await fakeFog(async (batch, call) => {
    mostUnderWay = Math.max(mostUnderWay, ++underWay);
    arrived.resolve();
    if (call === 1) await first.promise;
    underWay--;
    return takeAll(batch);
  });
  await using meter = meterOf(fog, { batch: 3 });
  meter.measure(load);
  await arrived.promise;
  for (let i = 0; i < 5; i++) meter.measure(load);
  assert.deepEqual(meter.statistics, { sent: 1, accepted: 0, refused: 0 });
  first.resolve();
  await meter.drained(forever);
  assert.deepEqual(fog.calls.map(({ batch }) => batch.readings.map(({ seq }) => seq)), [
    [1],
    [2, 3, 4],
    [5, 6],
  ]);
  assert.equal(mostUnderWay, 1);
});

Deno.test("SimulatedMeter repeats a batch in the same bytes until it is settled", async () => {
  await using fog = await fakeFog((batch, call) => {
    if (call === 1) throw new Refusal("overloaded", "too much");
    if (call === 2) throw new Error("no disk");
    if (call === 3) return { accepted: 0, duplicates: 0, refused: [] };
    return { accepted: 0, duplicates: batch.readings.length, refused: [] };
  });
  await using meter = meterOf(fog);
  meter.measure(load);
  meter.measure(load);
  await meter.drained(forever);
  assert.deepEqual(meter.statistics, { sent: 2, accepted: 2, refused: 0 });
  const [statement] = fog.calls.map(({ statement }) => statement);
  assert.deepEqual(fog.calls.slice(0, 4).map((call) => call.statement), Array(4).fill(statement));
});

Deno.test("SimulatedMeter counts a batch that is refused for good, and goes on", async () => {
  for (const code of ["forged", "wrong_key", "malformed", "wrong_meter"]) {
    await using fog = await fakeFog((batch, call) => {
      if (call === 1) throw new Refusal(code, "no");
      return takeAll(batch);
    });
    const said: string[] = [];
    const log = { ...silent, warn: (message: string) => void said.push(message) };
    await using meter = meterOf(fog, { log });
    meter.measure(load);
    meter.measure(load);
    await meter.drained(forever);
    assert.deepEqual(meter.statistics, { sent: 2, accepted: 1, refused: 1 });
    assert.deepEqual(said, ["batch refused"]);
  }
});

Deno.test("SimulatedMeter counts the readings that a receipt refuses", async () => {
  await using fog = await fakeFog(({ readings }): Receipt => ({
    accepted: 0,
    duplicates: 0,
    refused: readings.map(({ seq }) => ({ seq, reason: "implausible" })),
  }));
  await using meter = meterOf(fog);
  meter.measure(load);
  await meter.drained(forever);
  assert.deepEqual(meter.statistics, { sent: 1, accepted: 0, refused: 1 });
});

Deno.test("SimulatedMeter keeps what its site takes for the future, says so once, and sends it again", async () => {
  let times = 0;
  await using fog = await fakeFog(({ readings }): Receipt => {
    const isFuture = readings.some(({ seq }) => seq === 2) && times++ < 2;
    const refused = isFuture ? [{ seq: 2, reason: "future" as const }] : [];
    return { accepted: readings.length - refused.length, duplicates: 0, refused };
  });
  const said: string[] = [];
  const log = { ...silent, warn: (message: string) => void said.push(message) };
  const settled: [number, string][] = [];
  await using meter = meterOf(fog, {
    log,
    now: hurried(),
    onSettled: ({ reading }, outcome) => void settled.push([reading.seq, outcome]),
  });
  for (let i = 0; i < 3; i++) meter.measure(load);
  await meter.drained(forever);
  assert.equal(times, 3);
  assert.deepEqual(meter.statistics, { sent: 3, accepted: 3, refused: 0 });
  assert.deepEqual(settled.toSorted(), [[1, "accepted"], [2, "accepted"], [3, "accepted"]]);
  assert.deepEqual(said, ["readings kept, to be sent again: they are ahead of the site's clock"]);
});

Deno.test("SimulatedMeter gives up what stays ahead of its site's clock", async () => {
  await using fog = await fakeFog(({ readings }): Receipt => ({
    accepted: 0,
    duplicates: 0,
    refused: readings.map(({ seq }) => ({ seq, reason: "future" })),
  }));
  await using meter = meterOf(fog, { now: hurried() });
  for (let i = 0; i < 20; i++) meter.measure(load);
  await meter.drained(forever);
  assert.deepEqual(meter.statistics, { sent: 20, accepted: 0, refused: 20 });
});

Deno.test("SimulatedMeter that misbehaves in every way accounts for each reading once", async () => {
  for (const seed of [1, 2, 3]) {
    const at = new Map<string, Reading>();
    let again = 0;
    await using fog = await fakeFog(({ register, readings }): Receipt => {
      let duplicates = 0;
      for (const reading of readings) {
        const key = `${register}/${reading.seq}`;
        if (at.has(key)) {
          assert.deepEqual(reading, at.get(key));
          duplicates++;
        }
        at.set(key, reading);
      }
      again += duplicates;
      return { accepted: readings.length - duplicates, duplicates, refused: [] };
    });
    let settled = 0;
    await using meter = meterOf(fog, {
      mischief: mischiefOf(misbehaviours, { seed, meter: 0 }),
      batch: 16,
      onSettled: () => void settled++,
    });
    for (let i = 0; i < 300; i++) meter.measure(load);
    await meter.drained(forever);
    assert.deepEqual(meter.statistics, { sent: 300, accepted: 300, refused: 0 });
    assert.deepEqual([at.size, settled], [300, 300]);
    const { duplicate, late, disorder, ...others } = meter.misdeeds;
    assert.equal(duplicate, again);
    assert.ok(late! > 0 && disorder! > 0 && again > 0);
    assert.equal(others.replace! + 1, new Set(fog.calls.map((call) => call.batch.register)).size);
  }
});

Deno.test("SimulatedMeter.measure() refuses what it cannot keep, and keeps the rest", async () => {
  const open = Promise.withResolvers<void>();
  await using fog = await fakeFog(async (batch) => {
    await open.promise;
    return takeAll(batch);
  });
  await using meter = meterOf(fog, { capacity: 3 });
  for (let i = 0; i < 3; i++) meter.measure(load);
  assert.throws(() => meter.measure(load), { code: "queue_full" });
  open.resolve();
  await meter.drained(forever);
  meter.measure(load);
  await meter.drained(forever);
  assert.deepEqual(readingsAt(fog).map(({ seq }) => seq), [1, 2, 3, 4]);
});

Deno.test("SimulatedMeter.drained() ends with its signal, and when the meter is stopped", async () => {
  const open = Promise.withResolvers<void>();
  await using fog = await fakeFog(async (batch) => {
    await open.promise;
    return takeAll(batch);
  });
  const meter = meterOf(fog);
  await meter.drained(AbortSignal.abort());
  meter.measure(load);
  await assert.rejects(meter.drained(AbortSignal.abort()), { code: "not_drained" });
  const giveUp = new AbortController();
  const drained = meter.drained(giveUp.signal);
  giveUp.abort();
  await assert.rejects(drained, { code: "not_drained" });
  const stopped = assert.rejects(meter.drained(forever), { code: "not_drained" });
  await meter[Symbol.asyncDispose]();
  await stopped;
  await assert.rejects(meter.drained(forever), { code: "not_drained" });
  assert.throws(() => meter.measure(load), { code: "meter_stopped" });
  open.resolve();
});

Deno.test("SimulatedMeter refuses an address of no known kind", async () => {
  await using fog = await fakeFog();
  const enrolment = { ...fog.enrol(parseId("m-1")), url: "ftp://127.0.0.1" };
  assert.throws(() => meterOf(fog, { enrolment }), { code: "unreachable" });
});

Deno.test("SimulatedMeter loses nothing while its site is away", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const site = await realFog(dir);
    const enrolment = await site.enrol("meter", "m-1", { ttl: 60_000 });
    const { protocol, port } = new URL(enrolment.url);
    assert.equal(protocol, "mqtt:");
    await using meter = new SimulatedMeter({ ...defaults, id: parseId("m-1"), enrolment });
    meter.measure(load);
    await meter.drained(forever);
    assert.deepEqual(meter.statistics, { sent: 1, accepted: 1, refused: 0 });
    await site[Symbol.asyncDispose]();
    for (let i = 0; i < 600; i++) meter.measure(load);
    await using _again = await realFog(dir, Number(port));
    await meter.drained(forever);
    assert.deepEqual(meter.statistics, { sent: 601, accepted: 601, refused: 0 });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** A clock that has always moved on by a minute, so that nothing has to be waited for. */
function hurried(): () => number {
  let now = 0;
  return () => now += 60_000;
}

const defaults = { suite, clock: Date.now, log: silent, random: () => 0 };

function meterOf(fog: FakeFog, options: Partial<MeterOptions> = {}): SimulatedMeter {
  const id = parseId("m-1");
  return new SimulatedMeter({ ...defaults, id, enrolment: fog.enrol(id), ...options });
}

function readingsAt(fog: FakeFog): Reading[] {
  return fog.calls.flatMap(({ batch }) => batch.readings);
}
