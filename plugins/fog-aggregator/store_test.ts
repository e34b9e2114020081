/**
 * The fog's store on a real database: each reading once, contradictions set aside, windows that are
 * summed up again when a late reading touches them, and all of it the same after a restart.
 */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { Flag } from "../../core/wire/reading.ts";
import {
  batch,
  closeAll,
  epoch,
  insert,
  minute,
  openTestStore,
  reading,
  suite,
  type TestStore,
} from "./_fakes.ts";

const taken = (accepted: number, duplicates = 0) => ({ accepted, duplicates, refused: [] });
const conflict = (seq: number) => ({ seq, reason: "conflict" as const });

Deno.test("insert() stores what is new and knows what is not", async () => {
  await using test = await openTestStore();
  const first = batch("m-1", [reading(1, 0), reading(2, 1_000)]);
  assert.deepEqual(await insert(test, first), { receipts: [taken(2)], windows: [epoch] });
  const more = batch("m-1", [reading(2, 1_000), reading(3, 2_000), reading(1, 0)]);
  assert.deepEqual((await insert(test, more)).receipts, [taken(1, 2)]);
  assert.deepEqual((await insert(test, more)).receipts, [taken(0, 3)]);
  assert.deepEqual(await counts(test), { readings: 3, batches: 2, quarantine: 0 });
});

Deno.test("insert() tells registers and meters apart", async () => {
  await using test = await openTestStore();
  const batches = [
    batch("m-1", [reading(1, 0)]),
    batch("m-2", [reading(1, 0, { power_W: 1 })]),
    batch("m-1", [reading(1, 0, { power_W: 2 })], { register: "r2" }),
  ];
  assert.deepEqual((await insert(test, ...batches)).receipts, [taken(1), taken(1), taken(1)]);
});

Deno.test("insert() counts a reading once that comes several times in one group", async () => {
  await using test = await openTestStore();
  const one = reading(1, 0), two = reading(2, 0);
  const { receipts } = await insert(
    test,
    batch("m-1", [one, one, two]),
    batch("m-1", [one]),
    batch("m-2", [one]),
    batch("m-1", [two, reading(3, 0)]),
  );
  assert.deepEqual(receipts, [taken(2, 1), taken(0, 1), taken(1), taken(1, 1)]);
  assert.deepEqual(await counts(test), { readings: 4, batches: 3, quarantine: 0 });
});

Deno.test("insert() refuses what contradicts an earlier reading, and keeps the evidence", async () => {
  await using test = await openTestStore();
  const honest = reading(1, 0);
  await insert(test, batch("m-1", [honest]));
  const changes = [
    { t: honest.t + 1 },
    { energy_Wh: 11 },
    { power_W: 501 },
    { voltage_mV: 229_999 },
    { flags: Flag.estimated },
  ];
  for (const [i, change] of changes.entries()) {
    const wrong = batch("m-1", [{ ...honest, ...change }, reading(2 + i, 0)]);
    for (const expected of [1, 0]) {
      const { receipts } = await insert(test, wrong);
      assert.deepEqual(receipts, [{ ...taken(expected, 1 - expected), refused: [conflict(1)] }]);
    }
    assert.equal((await counts(test)).quarantine, i + 1);
  }
  const [stored] = await test.db.read((q) =>
    q.all(sql`SELECT t, energy_wh, power_w, voltage_mv, flags FROM fog_aggregator_readings
      WHERE seq = 1`)
  );
  const { t, energy_Wh, power_W, voltage_mV, flags } = honest;
  assert.deepEqual({ ...stored as object }, {
    t,
    energy_wh: energy_Wh,
    power_w: power_W,
    voltage_mv: voltage_mV,
    flags,
  });
});

Deno.test("insert() lets the first of two contradicting readings of one group win", async () => {
  await using test = await openTestStore();
  const { receipts } = await insert(
    test,
    batch("m-1", [reading(1, 0), reading(1, 0, { power_W: 1 })]),
    batch("m-1", [reading(1, 0, { power_W: 2 }), reading(1, 0)]),
  );
  assert.deepEqual(receipts, [
    { ...taken(1), refused: [conflict(1)] },
    { ...taken(0, 1), refused: [conflict(1)] },
  ]);
});

Deno.test("insert() asks no reading without a clock for its time again", async () => {
  await using test = await openTestStore();
  const unset = { flags: Flag.clockUnset };
  await insert(test, batch("m-1", [reading(1, 0, unset)]));
  const { receipts } = await insert(test, batch("m-1", [reading(1, 5_000, unset)]));
  assert.deepEqual(receipts, [taken(0, 1)]);
});

Deno.test("insert() stores what is beyond lateness, but in no window", async () => {
  await using test = await openTestStore({ lateness: 10 * minute });
  const late = batch("m-1", [reading(1, -10 * minute - 1), reading(2, -10 * minute)]);
  assert.deepEqual(await insert(test, late), {
    receipts: [taken(2)],
    windows: [epoch - 10 * minute],
  });
  assert.deepEqual((await insert(test, late)).receipts, [taken(0, 2)]);
  const [figures] = (await closeAll(test)).values();
  assert.equal(figures?.n, 1);
});

Deno.test("insert() makes the window of a late reading dirty, and the one that follows it", async () => {
  await using test = await openTestStore();
  await insert(test, batch("m-1", [reading(1, 0), reading(9, 5 * minute)]));
  await insert(test, batch("m-2", [reading(1, 3 * minute)]));
  await closeAll(test);
  const { windows } = await insert(test, batch("m-1", [reading(5, 2 * minute)]));
  assert.deepEqual(windows, [epoch + 2 * minute, epoch + 5 * minute]);
  assert.deepEqual(await test.store.dirtyWindows(), windows);
});

Deno.test("insert() leaves a settled window alone when a reading comes again", async () => {
  await using test = await openTestStore();
  const again = batch("m-1", [reading(1, 0)]);
  await insert(test, again);
  await closeAll(test);
  await insert(test, again);
  assert.deepEqual(await test.store.dirtyWindows(), []);
});

Deno.test("insert() opens no window for a reading that it refuses", async () => {
  await using test = await openTestStore();
  await insert(test, batch("m-1", [reading(1, 0)]));
  await closeAll(test);
  await insert(test, batch("m-1", [reading(1, 7 * minute)]));
  for (const [window, { n }] of await closeAll(test)) {
    assert.ok(n > 0, `window ${window} would be summed up without a reading in it`);
  }
});

Deno.test("insert() opens no window for a reading without a clock that comes again later", async () => {
  await using test = await openTestStore();
  const unset = { flags: Flag.clockUnset };
  await insert(test, batch("m-1", [reading(1, 0, unset)]));
  await closeAll(test);
  await insert(test, batch("m-1", [reading(1, 7 * minute, unset)]));
  assert.deepEqual(await test.store.dirtyWindows(), []);
});

Deno.test("close() sums up a window", async () => {
  await using test = await openTestStore();
  await insert(
    test,
    batch("m-1", [
      reading(1, -1, { energy_Wh: 100 }),
      reading(2, 0, { energy_Wh: 105, power_W: -40, voltage_mV: 231_000 }),
      reading(3, minute - 1, { energy_Wh: 117, power_W: 900 }),
      reading(4, minute, { energy_Wh: 118 }),
    ]),
    batch("m-2", [reading(1, 5, { energy_Wh: 7 }), reading(2, 6, { energy_Wh: 9 })]),
  );
  const { registers, revision, ...figures } = (await closeAll(test)).get(0)!;
  assert.equal(revision, 0);
  assert.deepEqual(new Map(registers), new Map([["m-1", 117], ["m-2", 9]]));
  assert.deepEqual({ ...figures }, {
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
  });
});

Deno.test("close() counts a window's energy anew when a late reading comes before it", async () => {
  await using test = await openTestStore();
  await insert(test, batch("m-1", [reading(1, 0, { energy_Wh: 0 })]));
  await insert(test, batch("m-1", [reading(3, 3 * minute, { energy_Wh: 30 })]));
  const before = await closeAll(test);
  assert.deepEqual([before.get(0)!.energy_Wh, before.get(3)!.energy_Wh], [0, 30]);
  await insert(test, batch("m-1", [reading(2, 2 * minute, { energy_Wh: 20 })]));
  const after = await closeAll(test);
  assert.deepEqual([...after.keys()], [2, 3]);
  assert.deepEqual([after.get(2)!.energy_Wh, after.get(3)!.energy_Wh], [20, 10]);
  assert.deepEqual([after.get(2)!.revision, after.get(3)!.revision], [0, 1]);
});

Deno.test("close() takes no energy from a register that was reset or replaced", async () => {
  await using test = await openTestStore();
  await insert(
    test,
    batch("m-1", [reading(1, 0, { energy_Wh: 1_000 }), reading(2, minute, { energy_Wh: 3 })]),
    batch("m-2", [reading(1, 0, { energy_Wh: 1_000 })]),
    batch("m-2", [reading(1, minute, { energy_Wh: 0 }), reading(2, minute + 1, { energy_Wh: 5 })], {
      register: "r2",
    }),
  );
  const window = (await closeAll(test)).get(1)!;
  assert.deepEqual([window.energy_Wh, window.num_meters], [5, 2]);
});

Deno.test("close() makes one chain of all windows, and settles each once", async () => {
  await using test = await openTestStore();
  await insert(test, batch("m-1", [0, 1, 2].map((i) => reading(i, i * minute))));
  assert.deepEqual(await test.store.lastLink(), { epoch: 1, seq: 0, hash: null });
  const seen: unknown[] = [];
  const sign =
    (name: string) => (_: unknown, revision: number, last: { seq: number; hash: unknown }) => {
      const statement = new TextEncoder().encode(name);
      seen.push([name, revision, last.seq, last.hash]);
      return { seq: last.seq + 1, hash: suite.sha256(statement), statement };
    };
  const hash = (name: string) => suite.sha256(new TextEncoder().encode(name));
  const [a, b, c] = [epoch, epoch + minute, epoch + 2 * minute];
  const { store } = test;
  await Promise.all([
    store.close(b, sign("b")),
    store.close(a, sign("a")),
    store.close(a, sign("x")),
  ]);
  await test.restart();
  assert.equal(await test.store.close(b, sign("again")), null);
  await insert(test, batch("m-2", [reading(1, 0)]));
  await test.store.close(a, sign("a'"));
  await test.store.close(c, sign("c"));
  assert.deepEqual(seen, [
    ["b", 0, 0, null],
    ["a", 0, 1, hash("b")],
    ["a'", 1, 2, hash("a")],
    ["c", 0, 3, hash("a'")],
  ]);
  assert.deepEqual(await test.store.lastLink(), { epoch: 1, seq: 4, hash: hash("c") });
  assert.deepEqual(await test.store.summary(1, 2), {
    epoch: 1,
    seq: 2,
    hash: hash("a"),
    statement: new TextEncoder().encode("a"),
  });
  assert.equal(await test.store.summary(1, 5), null);
});

Deno.test("close() leaves the window open when it cannot be signed", async () => {
  await using test = await openTestStore();
  await insert(test, batch("m-1", [reading(1, 0)]));
  const failing = test.store.close(epoch, () => {
    throw new Error("no pen");
  });
  await assert.rejects(failing, { message: "no pen" });
  assert.deepEqual(await test.store.dirtyWindows(), [epoch]);
  assert.equal((await closeAll(test)).get(0)!.revision, 0);
});

Deno.test("pending() keeps each summary until it is acknowledged, in order", async () => {
  await using test = await openTestStore();
  await insert(test, batch("m-1", [0, 1, 2, 3].map((i) => reading(i, i * minute))));
  await closeAll(test);
  const seqs = async (limit = 10) => (await test.store.pending(limit)).map(({ seq }) => seq);
  assert.deepEqual(await seqs(), [1, 2, 3, 4]);
  assert.deepEqual(await seqs(3), [1, 2, 3]);
  await test.store.acknowledge(1, 2);
  await test.restart();
  assert.deepEqual(await seqs(), [3, 4]);
  await test.store.acknowledge(1, 1);
  assert.deepEqual(await seqs(), [3, 4]);
  await test.store.acknowledge(1, 4);
  assert.deepEqual(await seqs(), []);
});

Deno.test("openStore() goes on after a restart where it was", async () => {
  await using test = await openTestStore();
  await insert(test, batch("m-1", [reading(1, 0)]), batch("m-2", [reading(1, minute)]));
  await test.restart();
  assert.deepEqual(await test.store.dirtyWindows(), [epoch, epoch + minute]);
  const again = batch("m-1", [reading(1, 0), reading(2, 1)]);
  const late = batch("m-2", [reading(0, 0, { energy_Wh: 1 })]);
  const { receipts, windows } = await insert(test, again, late);
  assert.deepEqual(receipts, [taken(1, 1), taken(1)]);
  assert.deepEqual(windows, [epoch, epoch + minute]);
  assert.deepEqual(await counts(test), { readings: 4, batches: 4, quarantine: 0 });
  const closed = await closeAll(test);
  assert.deepEqual([closed.get(0)!.n, closed.get(1)!.n], [3, 1]);
  assert.equal(closed.get(1)!.energy_Wh, 9);
});

Deno.test("openStore() with another length of windows leaves no reading out of its window", async () => {
  await using test = await openTestStore();
  await insert(test, batch("m-1", [reading(1, 50_000), reading(2, 55_000)]));
  await test.restart(10_000);
  await insert(test, batch("m-1", [reading(3, 56_000)]));
  const figures = [...(await closeAll(test)).values()];
  assert.deepEqual(figures.map(({ n }) => n).sort(), [1, 2]);
});

async function counts({ db }: TestStore) {
  const [row] = await db.read((q) =>
    q.all<{ readings: number; batches: number; quarantine: number }>(sql`SELECT
      (SELECT count(*) FROM fog_aggregator_readings) AS readings,
      (SELECT count(*) FROM fog_aggregator_batches) AS batches,
      (SELECT count(*) FROM fog_aggregator_quarantine) AS quarantine`)
  );
  const { readings, batches, quarantine } = row!;
  return { readings, batches, quarantine };
}
