/** Group commit: what cannot be stored is not acknowledged, and what follows is. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { sql } from "drizzle-orm";
import type { Reading } from "../../core/wire/reading.ts";
import { batch, count, minute, noon, reading, withStore } from "./_test_store.ts";
import { Ingest, type SignedBatch } from "./ingest.ts";
import type { Store } from "./store.ts";

const live = { liveSpan: 5 * minute };

/** One batch of one reading each. */
function batches(n: number, rest: Partial<Reading> = {}) {
  return Array.from({ length: n }, (_, i) => batch([reading(i, rest)], { meter: `m-${i}` }));
}

/** A store that only remembers what it was given together. */
function fakeStore() {
  const groups: SignedBatch[][] = [];
  let goOn = Promise.withResolvers<void>();
  const store: Pick<Store, "insert" | "admits"> = {
    admits: () => true,
    async insert(take) {
      await goOn.promise;
      const group = [...take()];
      groups.push(group);
      return group.map(({ readings }) => {
        return { accepted: readings.length, duplicates: 0, refused: [] };
      });
    },
  };
  return { store, groups, open: () => goOn.resolve(), shut: () => goOn = Promise.withResolvers() };
}

Deno.test("Ingest.store() answers every batch of a crowd with its own receipt", async () => {
  await withStore(async ({ store, db }) => {
    const ingest = new Ingest(store, live);
    const crowd = batches(600);
    const receipts = await Promise.all([...crowd, ...crowd].map((b) => ingest.store(b)));
    assert.deepEqual(receipts.map(({ accepted }) => accepted), [
      ...crowd.map(() => 1),
      ...crowd.map(() => 0),
    ]);
    assert.equal(await count(db, "readings"), 600);
  });
});

Deno.test("Ingest.store() lists what was refused before among the refusals", async () => {
  await withStore(async ({ store }) => {
    const ingest = new Ingest(store, live);
    const refused = [{ seq: 9, reason: "future" }] as const;
    await ingest.store(batch([reading(1)]), refused);
    assert.deepEqual(await ingest.store(batch([reading(1, { power_W: 0 }), reading(2)]), refused), {
      accepted: 1,
      duplicates: 0,
      refused: [{ seq: 9, reason: "future" }, { seq: 1, reason: "conflict" }],
    });
  });
});

Deno.test("Ingest.store() rejects all that wait while the database fails, and then goes on", async () => {
  await withStore(async ({ store, db }) => {
    const ingest = new Ingest(store, live);
    await db.write((tx) =>
      tx.run(sql`CREATE TRIGGER full BEFORE INSERT ON fog_aggregator_batches
        BEGIN SELECT raise(ABORT, 'no room'); END`)
    );
    const outcomes = await Promise.allSettled(batches(600).map((b) => ingest.store(b)));
    for (const outcome of outcomes) {
      assert.equal(outcome.status, "rejected");
      assert.equal(outcome.reason.name, "DatabaseError");
    }
    for (const table of ["readings", "batches", "registers", "windows"]) {
      assert.equal(await count(db, table), 0, table);
    }
    await db.write((tx) => tx.run(sql`DROP TRIGGER full`));
    const receipts = await Promise.all(batches(600).map((b) => ingest.store(b)));
    assert.equal(receipts.filter(({ accepted }) => accepted === 1).length, 600);
    assert.equal(await count(db, "batches"), 600);
  });
});

Deno.test("Ingest.store() rejects when the database is closed", async () => {
  await withStore(async ({ store, db }) => {
    const ingest = new Ingest(store, live);
    await db[Symbol.asyncDispose]();
    const outcomes = await Promise.allSettled(batches(3).map((b) => ingest.store(b)));
    for (const outcome of outcomes) {
      assert.equal(outcome.status === "rejected" && outcome.reason.code, "db_closed");
    }
  });
});

Deno.test("Ingest.store() refuses what is too much to wait, and takes the rest", async () => {
  await withStore(async ({ store, db }) => {
    const ingest = new Ingest(store, live);
    const one = batch([reading(1, { t: noon - minute })], { meter: "greedy" });
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 9_000 }, () => ingest.store(one)),
      ...batches(100).map((other) => ingest.store(other)),
    ]);
    const refused = outcomes.filter(({ status }) => status === "rejected");
    assert.ok(refused.length > 2_000 && refused.length < 5_000, `${refused.length} refused`);
    for (const outcome of refused) {
      assert.equal(outcome.status === "rejected" && outcome.reason.code, "overloaded");
    }
    assert.ok(outcomes.slice(-100).every(({ status }) => status === "fulfilled"));
    assert.equal(await count(db, "readings"), 101);
  });
});

Deno.test("Ingest.store() puts live data before a backlog, which still gets its share", async () => {
  const { store, groups, open } = fakeStore();
  const ingest = new Ingest(store, live);
  const old = { t: noon - 60 * minute };
  const isOld = ({ readings }: SignedBatch) => readings[0]!.t === old.t;
  const sent = [...batches(2_000, old), ...batches(1_500, { t: noon })];
  const stored = Promise.all(sent.map((b) => ingest.store(b)));
  open();
  await stored;
  assert.deepEqual(groups.map((group) => [group.length, group.filter(isOld).length]), [
    [1_638, 410],
    [1_638, 1_366], // the rest of the live ones
    [224, 224],
  ]);
  assert.ok(!isOld(groups[0]![0]!));
});

Deno.test("Ingest.store() takes a batch for live by any reading of now in it", async () => {
  const { store, groups, open } = fakeStore();
  const ingest = new Ingest(store, live);
  const old = reading(1, { t: noon - 60 * minute });
  const stored = [
    ingest.store(batch([old])),
    ingest.store(batch([reading(2, { t: noon - 5 * minute }), old])),
  ];
  open();
  await Promise.all(stored);
  assert.deepEqual(groups[0]!.map(({ readings }) => readings.length), [2, 1]);
});

Deno.test("Ingest.store() bounds a transaction by readings, too", async () => {
  const { store, groups, open } = fakeStore();
  const ingest = new Ingest(store, live);
  const full = Array.from({ length: 512 }, (_, i) => reading(i, { t: noon }));
  const sent = Array.from({ length: 40 }, (_, i) => batch(full, { meter: `m-${i % 10}` }));
  const stored = Promise.all(sent.map((b) => ingest.store(b)));
  open();
  await stored;
  assert.equal(groups.flat().length, 40);
  for (const group of groups) assert.ok(group.length * 512 <= 8_192, `${group.length} at once`);
});

Deno.test("Ingest.store() lets meters take turns within a group", async () => {
  const { store, groups, open } = fakeStore();
  const ingest = new Ingest(store, live);
  const now = { t: noon };
  const backlog = Array.from(
    { length: 1_500 },
    (_, i) => batch([reading(i, now)], { meter: "busy" }),
  );
  const stored = Promise.all([...backlog, ...batches(10, now)].map((b) => ingest.store(b)));
  open();
  await stored;
  assert.deepEqual(groups[0]!.slice(0, 3).map(({ meter }) => meter), ["busy", "m-0", "m-1"]);
});

Deno.test("Ingest.store() answers a large group a few at a time, and others have their turn", async () => {
  const { store, groups, open } = fakeStore();
  const ingest = new Ingest(store, live);
  let answered = 0;
  const stored = batches(500, { t: noon }).map((b) => ingest.store(b).then(() => answered++));
  open();
  while (answered < stored.length) {
    const before = answered;
    await new Promise((turn) => setImmediate(turn));
    assert.ok(answered - before <= 64, `${answered - before} in one turn`);
  }
  assert.equal(groups.length, 1);
});

Deno.test("Ingest.block() refuses with the reason until it is over", async () => {
  await withStore(async ({ store }) => {
    const ingest = new Ingest(store, live);
    ingest.block("the fog's storage is full");
    await assert.rejects(ingest.store(batch([reading(1)])), {
      code: "storage_full",
      message: "Cannot take the batch: the fog's storage is full",
    });
    ingest.block(null);
    assert.equal((await ingest.store(batch([reading(1)]))).accepted, 1);
  });
});

Deno.test("Ingest.store() refuses a register too many, and the meter's others go on", async () => {
  await withStore(async ({ store }) => {
    const ingest = new Ingest(store, live);
    for (let i = 0; i < 256; i++) await ingest.store(batch([reading(1)], { register: `r-${i}` }));
    const another = batch([reading(1)], { register: "another" });
    await assert.rejects(ingest.store(another), { code: "too_many_registers" });
    assert.equal((await ingest.store(batch([reading(2)], { register: "r-1" }))).accepted, 1);
  });
});
