/**
 * The fog's store on a real database: each reading once, contradictions set aside, windows that are
 * summed up again when a late reading touches them, and all of it the same after a restart.
 */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { Flag, type Reading } from "../../core/wire/reading.ts";
import {
  batch as batchOf,
  closeAll as closeEach,
  dirtyWindows,
  insert,
  minute,
  noon,
  openTestStore,
  reading as readingOf,
  type TestStore,
} from "./_test_store.ts";

const taken = (accepted: number, duplicates = 0) => ({ accepted, duplicates, refused: [] });
const conflict = (seq: number) => ({ seq, reason: "conflict" as const });

/** A reading measured some milliseconds after noon. */
function reading(seq: number, after: number, change: Partial<Reading> = {}): Reading {
  const usual = { t: noon + after, energy_Wh: 10 * seq, power_W: 500, voltage_mV: 230_000 };
  return readingOf(seq, { ...usual, ...change });
}

function batch(meter: string, readings: readonly Reading[], { register = "r1" } = {}) {
  return batchOf(readings, { meter, register });
}

/** Closes every dirty window; gives figures and revisions, by minutes after noon. */
async function closeAll({ store }: TestStore) {
  const closed = await closeEach(store);
  return new Map(
    [...closed].map(([start, { figures, ...rest }]) => [
      (start - noon) / minute,
      { ...figures, ...rest },
    ]),
  );
}

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

Deno.test("insert() stores what is new and knows what is not", async () => {
  await using test = await openTestStore();
  const first = batch("m-1", [reading(1, 0), reading(2, 1_000)]);
  assert.deepEqual(await insert(test.store, first), [taken(2)]);
  assert.deepEqual(await dirtyWindows(test.store), [noon]);
  const more = batch("m-1", [reading(2, 1_000), reading(3, 2_000), reading(1, 0)]);
  assert.deepEqual(await insert(test.store, more), [taken(1, 2)]);
  assert.deepEqual(await insert(test.store, more), [taken(0, 3)]);
  assert.deepEqual(await counts(test), { readings: 3, batches: 2, quarantine: 0 });
});

Deno.test("insert() tells registers and meters apart", async () => {
  await using test = await openTestStore();
  const batches = [
    batch("m-1", [reading(1, 0)]),
    batch("m-2", [reading(1, 0, { power_W: 1 })]),
    batch("m-1", [reading(1, 0, { power_W: 2 })], { register: "r2" }),
  ];
  assert.deepEqual(await insert(test.store, ...batches), [taken(1), taken(1), taken(1)]);
});

Deno.test("insert() counts a reading once that comes several times in one group", async () => {
  await using test = await openTestStore();
  const one = reading(1, 0), two = reading(2, 0);
  const receipts = await insert(
    test.store,
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
  await insert(test.store, batch("m-1", [honest]));
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
      const receipts = await insert(test.store, wrong);
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
  const receipts = await insert(
    test.store,
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
  await insert(test.store, batch("m-1", [reading(1, 0, unset)]));
  const receipts = await insert(test.store, batch("m-1", [reading(1, 5_000, unset)]));
  assert.deepEqual(receipts, [taken(0, 1)]);
});

Deno.test("insert() stores what is beyond lateness, but in no window", async () => {
  await using test = await openTestStore({ lateness: 10 * minute });
  const late = batch("m-1", [reading(1, -10 * minute - 1), reading(2, -10 * minute)]);
  assert.deepEqual(await insert(test.store, late), [taken(2)]);
  assert.deepEqual(await dirtyWindows(test.store), [noon - 10 * minute]);
  assert.deepEqual(await insert(test.store, late), [taken(0, 2)]);
  const [figures] = (await closeAll(test)).values();
  assert.equal(figures?.n, 1);
});

Deno.test("insert() makes the window of a late reading dirty, and the one that follows it", async () => {
  await using test = await openTestStore();
  await insert(test.store, batch("m-1", [reading(1, 0), reading(9, 5 * minute)]));
  await insert(test.store, batch("m-2", [reading(1, 3 * minute)]));
  await closeAll(test);
  await insert(test.store, batch("m-1", [reading(5, 2 * minute)]));
  assert.deepEqual(await dirtyWindows(test.store), [noon + 2 * minute, noon + 5 * minute]);
});

Deno.test("insert() leaves a settled window alone when a reading comes again", async () => {
  await using test = await openTestStore();
  const again = batch("m-1", [reading(1, 0)]);
  await insert(test.store, again);
  await closeAll(test);
  await insert(test.store, again);
  assert.deepEqual(await dirtyWindows(test.store), []);
});

Deno.test("insert() opens no window for a reading that it refuses", async () => {
  await using test = await openTestStore();
  await insert(test.store, batch("m-1", [reading(1, 0)]));
  await closeAll(test);
  await insert(test.store, batch("m-1", [reading(1, 7 * minute)]));
  for (const [window, { n }] of await closeAll(test)) {
    assert.ok(n > 0, `window ${window} would be summed up without a reading in it`);
  }
});

Deno.test("insert() opens no window for a reading without a clock that comes again later", async () => {
  await using test = await openTestStore();
  const unset = { flags: Flag.clockUnset };
  await insert(test.store, batch("m-1", [reading(1, 0, unset)]));
  await closeAll(test);
  await insert(test.store, batch("m-1", [reading(1, 7 * minute, unset)]));
  assert.deepEqual(await dirtyWindows(test.store), []);
});

Deno.test("openStore() goes on after a restart where it was", async () => {
  await using test = await openTestStore();
  await insert(test.store, batch("m-1", [reading(1, 0)]), batch("m-2", [reading(1, minute)]));
  await test.restart();
  assert.deepEqual(await dirtyWindows(test.store), [noon, noon + minute]);
  const again = batch("m-1", [reading(1, 0), reading(2, 1)]);
  const late = batch("m-2", [reading(0, 0, { energy_Wh: 1 })]);
  const receipts = await insert(test.store, again, late);
  assert.deepEqual(receipts, [taken(1, 1), taken(1)]);
  assert.deepEqual(await dirtyWindows(test.store), [noon, noon + minute]);
  assert.deepEqual(await counts(test), { readings: 4, batches: 4, quarantine: 0 });
  const closed = await closeAll(test);
  assert.deepEqual([closed.get(0)!.n, closed.get(1)!.n], [3, 1]);
  assert.equal(closed.get(1)!.energy_Wh, 9);
});

Deno.test("insert() makes the window of the follower by number dirty, whatever its time", async () => {
  await using test = await openTestStore();
  // the clock of the meter was set back by an hour between its first and its second reading
  await insert(test.store, batch("m-1", [reading(1, 0), reading(5, -60 * minute)]));
  await closeAll(test);
  await insert(test.store, batch("m-1", [reading(3, -90 * minute)]));
  assert.deepEqual(await dirtyWindows(test.store), [noon - 90 * minute, noon - 60 * minute]);
});

Deno.test("insert() never opens a window again that is deleted", async () => {
  await using test = await openTestStore();
  await insert(test.store, batch("m-1", [reading(1, 0), reading(5, minute)]));
  await closeAll(test);
  await test.db.write((tx) =>
    tx.run(sql`DELETE FROM fog_aggregator_windows WHERE start > ${noon}`)
  );
  await insert(test.store, batch("m-1", [reading(3, 0)]));
  assert.deepEqual(await dirtyWindows(test.store), [noon]);
});

Deno.test("insert() leaves followers alone when the late reading counts in no window", async () => {
  await using test = await openTestStore({ lateness: 10 * minute });
  await insert(test.store, batch("m-1", [reading(1, 0), reading(5, 0)]));
  await closeAll(test);
  await insert(test.store, batch("m-1", [reading(3, -11 * minute)]));
  assert.deepEqual(await dirtyWindows(test.store), []);
});

Deno.test("insert() writes down how many readings a batch has brought", async () => {
  await using test = await openTestStore();
  await insert(test.store, batch("m-1", [reading(1, 0), reading(2, 0)]));
  await insert(
    test.store,
    batch("m-1", [reading(2, 0), reading(3, 0)]),
    batch("m-2", [reading(1, 0)]),
  );
  const rows = await test.db.read((q) =>
    q.all<{ remaining: number; held: number }>(sql`SELECT remaining, (
      SELECT count(*) FROM fog_aggregator_readings r WHERE r.batch_id = b.id
    ) AS held FROM fog_aggregator_batches b ORDER BY id`)
  );
  assert.deepEqual(rows.map(({ remaining, held }) => [remaining, held]), [[2, 2], [1, 1], [1, 1]]);
});

Deno.test("insert() takes what was deleted for a repetition", async () => {
  const gone = new Set(["1/1", "1/2"]);
  const pruned = {
    mayHold: (register: number, seq: number) => register === 1 && seq <= 9,
    held: (_: unknown, keys: readonly (readonly [number, number])[]) =>
      Promise.resolve(new Set(keys.map((key) => key.join("/")).filter((key) => gone.has(key)))),
  };
  await using test = await openTestStore({ pruned });
  const old = [reading(1, 0), reading(2, 0)];
  const receipts = await insert(
    test.store,
    batch("m-1", [...old, reading(3, 0)]),
    batch("m-1", old),
    batch("m-1", [reading(3, 0), reading(2, 0), reading(10, minute)]),
  );
  assert.deepEqual(receipts, [taken(1, 2), taken(0, 2), taken(1, 2)]);
  assert.deepEqual(await counts(test), { readings: 2, batches: 2, quarantine: 0 });
});

Deno.test("insertWithin() belongs to the caller's transaction, and an undone one leaves nothing", async () => {
  await using test = await openTestStore();
  const group = [batch("m-1", [reading(5, minute)]), batch("m-2", [reading(1, 0)])];
  const undone = test.db.write(async (tx) => {
    await test.store.insertWithin(tx, group);
    throw new Error("changed my mind");
  });
  await assert.rejects(undone, { message: "changed my mind" });
  assert.deepEqual(await counts(test), { readings: 0, batches: 0, quarantine: 0 });
  // numbers of registers that were given in vain go to others now
  const others = [batch("m-3", [reading(1, 0)]), batch("m-2", [reading(1, 0)])];
  assert.deepEqual(await insert(test.store, ...others), [taken(1), taken(1)]);
  const receipts = await test.db.write((tx) => test.store.insertWithin(tx, group));
  assert.deepEqual(receipts, [taken(1), taken(0, 1)]);
  assert.deepEqual(await insert(test.store, ...group, ...others), Array(4).fill(taken(0, 1)));
  await insert(test.store, batch("m-1", [reading(4, 0)]));
  const figures = await closeAll(test);
  assert.deepEqual([figures.get(0)!.n, figures.get(1)!.energy_Wh], [3, 10]);
  assert.deepEqual(await counts(test), { readings: 4, batches: 4, quarantine: 0 });
});

Deno.test("quarantine() keeps each refused reading once, and each statement a few times only", async () => {
  await using test = await openTestStore();
  const { meter, register, statement, receivedAt } = batch("m-1", [reading(1, 0)]);
  const refused = Array.from({ length: 512 }, (_, seq) => {
    return { meter, register, seq, reason: "future" as const, statement, receivedAt };
  });
  await test.db.write((tx) => test.store.quarantine(tx, refused.slice(0, 2)));
  await test.db.write((tx) => test.store.quarantine(tx, refused.slice(0, 2)));
  assert.equal((await counts(test)).quarantine, 2);
  await test.db.write((tx) => test.store.quarantine(tx, refused));
  assert.equal((await counts(test)).quarantine, 8);
  const [row] = await test.db.read((q) =>
    q.all<{ reason: string; statement: ArrayBuffer }>(
      sql`SELECT reason, statement FROM fog_aggregator_quarantine`,
    )
  );
  assert.equal(row!.reason, "future");
  assert.deepEqual(new Uint8Array(row!.statement), statement);
});

Deno.test("admits() lets a meter have so many registers and no more, after a restart too", async () => {
  await using test = await openTestStore();
  const registers = Array.from({ length: 256 }, (_, i) => `r${i}`);
  const batches = registers.map((register) => batch("m-1", [reading(1, 0)], { register }));
  for (const one of batches) assert.ok(test.store.admits(one));
  await insert(test.store, ...batches);
  for (let i = 0; i < 2; i++) {
    assert.ok(!test.store.admits(batch("m-1", [reading(1, 0)], { register: "another" })));
    assert.ok(test.store.admits(batches[7]!));
    assert.ok(test.store.admits(batch("m-2", [reading(1, 0)], { register: "another" })));
    await test.restart();
  }
});
