/** What close() says of a window: its energy, its end, its place in the chain. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import { Flag } from "../../core/wire/reading.ts";
import { decodeSummary, encodeSummary } from "../../core/wire/summary.ts";
import {
  batch,
  closeAll,
  dirtyWindows,
  insert,
  minute,
  noon,
  openTestStore,
  reading,
  suite,
  type TestStore,
  unsigned,
} from "./_test_store.ts";
import type { Closing } from "./store.ts";

/** Readings with these registers, each in a window of its own from noon on. */
async function energies(
  test: TestStore,
  registers: readonly (readonly [energy_Wh: number, flags?: number])[],
): Promise<number[]> {
  const readings = registers.map(([energy_Wh, flags = 0], i) =>
    reading(i, { t: noon + i * minute, energy_Wh, flags })
  );
  await insert(test.store, batch(readings));
  const closed = await closeAll(test.store);
  return readings.map(({ t }) => closed.get(t)!.figures.energy_Wh);
}

Deno.test("close() sums up a window", async () => {
  await using test = await openTestStore();
  const usual = { power_W: 500, voltage_mV: 230_000 };
  await insert(
    test.store,
    batch([
      reading(1, { ...usual, t: noon - 1, energy_Wh: 100 }),
      reading(2, { t: noon, energy_Wh: 105, power_W: -40, voltage_mV: 231_000 }),
      reading(3, { ...usual, t: noon + minute - 1, energy_Wh: 117, power_W: 900 }),
      reading(4, { ...usual, t: noon + minute, energy_Wh: 118 }),
    ]),
    batch([
      reading(1, { ...usual, t: noon + 5, energy_Wh: 7 }),
      reading(7, { ...usual, t: noon + 6, energy_Wh: 9 }),
    ], { meter: "m-2" }),
  );
  const { window, revision, figures, decreases } = (await closeAll(test.store)).get(noon)!;
  assert.deepEqual(window, { start: noon, end: noon + minute });
  assert.deepEqual([revision, decreases], [0, 0]);
  assert.deepEqual(figures, {
    n: 4,
    num_meters: 2,
    sum_power_W: 1_860,
    min_power_W: -40,
    max_power_W: 900,
    sum_voltage_mV: 921_000,
    min_voltage_mV: 230_000,
    max_voltage_mV: 231_000,
    // from the reading before the window; of m-2 there is none
    energy_Wh: 17 + 2,
    registers: new Map([
      ["m-1", new Map([["r-1", { energy_Wh: 117, seqs: [[2, 3]] }]])],
      ["m-2", new Map([["r-1", { energy_Wh: 9, seqs: [[1, 1], [7, 7]] }]])],
    ]),
  });
});

Deno.test("close() counts a window's energy anew when a late reading comes before it", async () => {
  await using test = await openTestStore();
  const at = (seq: number) =>
    batch([reading(seq, { t: noon + seq * minute, energy_Wh: 10 * seq })]);
  await insert(test.store, at(0));
  await insert(test.store, at(3));
  const before = await closeAll(test.store);
  assert.equal(before.get(noon + 3 * minute)!.figures.energy_Wh, 30);
  await insert(test.store, at(2));
  const after = await closeAll(test.store);
  const told = [...after.values()].map(({ revision, figures }) => [revision, figures.energy_Wh]);
  assert.deepEqual(told, [[0, 20], [1, 10]]);
});

Deno.test("close() begins at 0 again after a reset", async () => {
  await using test = await openTestStore();
  const counted = await energies(test, [[1_000], [1_005], [3, Flag.reset], [10], [12, Flag.reset]]);
  assert.deepEqual(counted, [0, 5, 3, 7, 12]);
});

Deno.test("close() goes over the end of a counter, wherever customary ones end", async () => {
  await using test = await openTestStore();
  const over = Flag.rollover;
  const counted = await energies(test, [
    ...[[99_999_990], [5, over]],
    ...[[65_530], [5, over]],
    ...[[2 ** 24 - 1], [0, over]],
    ...[[2 ** 32 - 2], [1, over]],
    ...[[2 ** 32], [1, over]],
    ...[[10 ** 12], [0, over]],
  ] as [number, number?][]);
  const overs = counted.filter((_, i) => i % 2 === 1);
  assert.deepEqual(overs, [15, 11, 1, 3, 10 ** 10 - 2 ** 32 + 1, 0]);
});

Deno.test("close() takes no energy from a register that went back, and tells of it", async () => {
  await using test = await openTestStore();
  const at = (seq: number, energy_Wh: number) => reading(seq, { t: noon + seq, energy_Wh });
  await insert(
    test.store,
    batch([at(1, 1_000), at(2, 3), at(3, 5), at(4, 4)]),
    batch([at(1, 1_000)], { meter: "m-2" }),
    // a replaced meter begins where it likes
    batch([at(1, 0), at(2, 5)], { meter: "m-2", register: "r-2" }),
  );
  const closed = (await closeAll(test.store)).get(noon)!;
  assert.equal(closed.figures.energy_Wh, 2 + 5);
  assert.equal(closed.figures.num_meters, 2);
  assert.deepEqual([closed.decreases, closed.decreasing], [2, ["m-1/r-1"]]);
});

Deno.test("close() keeps one meter's impossible counts from stopping a window", async () => {
  await using test = await openTestStore();
  const readings = Array.from(
    { length: 20 },
    (_, i) => reading(i, { t: noon + i, energy_Wh: 2 ** 50, flags: Flag.reset }),
  );
  await insert(test.store, batch(readings), batch([reading(1, { t: noon })], { meter: "m-2" }));
  const { figures } = (await closeAll(test.store)).get(noon)!;
  assert.deepEqual([figures.n, figures.energy_Wh], [21, Number.MAX_SAFE_INTEGER]);
});

Deno.test("close() has room for others beside a meter whose numbers jump all the time", async () => {
  await using test = await openTestStore();
  const far = 2 ** 40;
  const usual = { t: noon, power_W: 1, voltage_mV: 1, energy_Wh: 1 };
  const jumping = Array.from({ length: 12_000 }, (_, i) => reading(far + 2 * i, usual));
  await insert(test.store, batch(jumping), batch([reading(1, { t: noon })], { meter: "m-2" }));
  const sign = (closing: Closing) => {
    const last = closing.last.hash;
    const summary = { ...closing.figures, fog_id: "fog-1" as Id, epoch: 1, seq: 1, prev: last };
    const statement = encodeSummary({ ...summary, ...closing });
    assert.ok(statement.length < 191 * 1024, `${statement.length} bytes`);
    assert.equal(decodeSummary(statement).n, closing.figures.n);
    return { seq: 1, hash: suite.sha256(statement), statement };
  };
  const { figures, leftOut } = (await test.store.close(noon, sign))!;
  assert.deepEqual(leftOut, ["m-1/r-1"]);
  assert.deepEqual([figures.num_meters, figures.n > 10_000], [2, true]);
  assert.deepEqual(figures.registers.get("m-2" as Id)?.get("r-1" as Id)?.seqs, [[1, 1]]);
});

Deno.test("close() counts from the anchor of what was deleted, and nothing before it", async () => {
  await using test = await openTestStore();
  const at = (seq: number, energy_Wh: number) =>
    reading(seq, { t: noon + seq * minute, energy_Wh });
  await insert(test.store, batch([at(10, 100), at(11, 111), at(13, 140)]));
  const anchor = (seq: number, energy: number) =>
    test.db.write((tx) =>
      tx.run(sql`INSERT OR REPLACE INTO fog_aggregator_anchors VALUES (1, ${seq}, ${energy})`)
    );
  const energyOf = async (...minutes: number[]) => {
    await test.db.write((tx) => tx.run(sql`UPDATE fog_aggregator_windows SET dirty = 1`));
    const closed = await closeAll(test.store);
    return minutes.map((i) => closed.get(noon + i * minute)!.figures.energy_Wh);
  };
  assert.deepEqual(await energyOf(10, 11, 13), [0, 11, 29]);
  await anchor(9, 95);
  assert.deepEqual(await energyOf(10, 11, 13), [5, 11, 29]);
  // from the cloud: what it knows beyond a gap; what the fog holds itself goes on as it was
  await anchor(12, 130);
  assert.deepEqual(await energyOf(10, 11, 13), [0, 11, 10]);
  const prune = (first: number, last: number) =>
    test.db.write((tx) =>
      tx.run(sql`INSERT INTO fog_aggregator_pruned VALUES (1, ${first}, ${last})`)
    );
  await prune(5, 7);
  assert.deepEqual(await energyOf(10, 11, 13), [0, 11, 10]);
  // what comes late of before a deleted reading was counted with that one when it was here
  await prune(12, 12);
  assert.deepEqual(await energyOf(10, 11, 13), [0, 0, 10]);
  await insert(test.store, batch([at(14, 141)]));
  assert.deepEqual(await energyOf(14), [1]);
});

Deno.test("close() settles a window without readings silently", async () => {
  await using test = await openTestStore();
  await insert(test.store, batch([reading(1, { t: noon })]));
  await test.db.write((tx) => tx.run(sql`DELETE FROM fog_aggregator_readings`));
  assert.equal(await test.store.close(noon, () => assert.fail("nothing to sign")), null);
  assert.deepEqual(await dirtyWindows(test.store), []);
});

Deno.test("close() makes one chain of all windows, and settles each once", async () => {
  await using test = await openTestStore();
  await insert(test.store, batch([0, 1, 2].map((i) => reading(i, { t: noon + i * minute }))));
  const seen: unknown[] = [];
  const sign = (name: string) => ({ revision, last }: Closing) => {
    const statement = new TextEncoder().encode(name);
    seen.push([name, revision, last.epoch, last.seq, last.hash]);
    return { seq: last.seq + 1, hash: suite.sha256(statement), statement };
  };
  const hash = (name: string) => suite.sha256(new TextEncoder().encode(name));
  const [a, b, c] = [noon, noon + minute, noon + 2 * minute];
  const { store } = test;
  await Promise.all([
    store.close(b, sign("b")),
    store.close(a, sign("a")),
    store.close(a, sign("x")),
  ]);
  await test.restart();
  assert.equal(await test.store.close(b, sign("again")), null);
  await insert(test.store, batch([reading(1, { t: noon })], { meter: "m-2" }));
  await test.store.close(a, sign("a'"));
  await test.store.close(c, sign("c"));
  assert.deepEqual(seen, [
    ["b", 0, 1, 0, null],
    ["a", 0, 1, 1, hash("b")],
    ["a'", 1, 1, 2, hash("a")],
    ["c", 0, 1, 3, hash("a'")],
  ]);
});

Deno.test("close() leaves the window open when it cannot be signed", async () => {
  await using test = await openTestStore();
  await insert(test.store, batch([reading(1, { t: noon })]));
  const failing = test.store.close(noon, () => {
    throw new Error("no pen");
  });
  await assert.rejects(failing, { message: "no pen" });
  assert.deepEqual(await dirtyWindows(test.store), [noon]);
  assert.equal((await closeAll(test.store)).get(noon)!.revision, 0);
});

Deno.test("windows of another length begin where those of before end, and none overlap", async () => {
  await using test = await openTestStore();
  const at = (seq: number, seconds: number) =>
    batch([reading(seq, { t: noon + seconds * 1_000, energy_Wh: seq })]);
  await insert(test.store, at(1, 50), at(2, 55));
  await closeAll(test.store);
  await test.restart(7_000);
  // of the minute that there was, and of the first windows of 7 s after it
  await insert(test.store, at(3, 56), at(4, 59), at(5, 60), at(6, 64), at(7, 70));
  await test.restart(minute);
  await insert(test.store, at(8, 71), at(9, 119), at(10, 130));
  const windows = [...(await closeAll(test.store)).values()].map(
    ({ window: { start, end }, revision, figures: { n, energy_Wh } }) => {
      return [(start - noon) / 1_000, (end - noon) / 1_000, revision, n, energy_Wh];
    },
  );
  assert.deepEqual(windows, [
    [0, 60, 1, 4, 3],
    [60, 66, 0, 2, 2], // cut short: a window of 7 s begins at 66 s
    [66, 73, 0, 2, 2],
    [115, 120, 0, 1, 1], // and this one by the minute that begins then
    [120, 180, 0, 1, 1],
  ]);
});

Deno.test("due() waits for the end of a window, and after a correction for the grace", async () => {
  await using test = await openTestStore();
  const due = (now: number) => test.store.due({ now, grace: 5_000, limit: 10 });
  await insert(test.store, batch([reading(1, { t: noon })]));
  assert.deepEqual(await due(noon + minute + 4_999), []);
  assert.deepEqual(await due(noon + minute + 5_000), [noon]);
  await test.store.close(noon, unsigned);
  test.now = noon + 5 * minute;
  await insert(test.store, batch([reading(2, { t: noon + 1 })]));
  test.now += 4_999;
  await insert(test.store, batch([reading(3, { t: noon + 2 })]));
  assert.deepEqual(await due(noon + 5 * minute + 4_999), []);
  assert.deepEqual(await due(noon + 5 * minute + 5_000), [noon]);
});

Deno.test("due() gives pages of a backlog, the latest window in any case", async () => {
  await using test = await openTestStore();
  const old = Array.from({ length: 300 }, (_, i) => reading(i, { t: noon - (i + 20) * minute }));
  test.now = noon - minute;
  await insert(test.store, batch(old));
  test.now = noon;
  await insert(test.store, batch([reading(900, { t: noon - 1 })]));
  const due = await test.store.due({ now: noon + 6_000, grace: 5_000, limit: 10 });
  assert.equal(due.length, 11);
  assert.equal(due[0], noon - minute);
});

Deno.test("due() knows what was made dirty before the clock was set back, and what is postponed", async () => {
  await using test = await openTestStore();
  test.now = noon + 24 * 60 * minute;
  await insert(test.store, batch([reading(1, { t: noon }), reading(2, { t: noon - minute })]));
  const options = { now: noon + 2 * minute, grace: 5_000, limit: 10 };
  assert.deepEqual(await test.store.due(options), [noon, noon - minute]);
  await test.store.postpone(noon, noon + 3 * minute);
  assert.deepEqual(await test.store.due(options), [noon - minute]);
  assert.deepEqual(await test.store.due({ ...options, now: noon + 3 * minute + 5_000 }), [
    noon,
    noon - minute,
  ]);
});
