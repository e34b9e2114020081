/** Group commit: what cannot be stored is not acknowledged, and what follows is. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { batch, count, minute, noon, reading, withStore } from "./_real_store.ts";
import { Ingest } from "./ingest.ts";

const nobody = () => {};

/** One batch of one reading each. */
function batches(n: number) {
  return Array.from({ length: n }, (_, i) => batch([reading(i)], { meter: `m-${i}` }));
}

Deno.test("Ingest.store() answers every batch of a crowd with its own receipt", async () => {
  await withStore(async ({ store, db }) => {
    const heard = new Set<number>();
    const ingest = new Ingest(store, (starts) => {
      for (const start of starts) heard.add(start);
    });
    const crowd = batches(600);
    const receipts = await Promise.all([...crowd, ...crowd].map((b) => ingest.store(b)));
    assert.deepEqual(receipts.map(({ accepted }) => accepted), [
      ...crowd.map(() => 1),
      ...crowd.map(() => 0),
    ]);
    assert.equal(await count(db, "readings"), 600);
    assert.deepEqual([...heard].sort((a, b) => a - b), await store.dirtyWindows());
  });
});

Deno.test("Ingest.store() lists what was refused before among the refusals", async () => {
  await withStore(async ({ store }) => {
    const ingest = new Ingest(store, nobody);
    const refused = [{ seq: 9, reason: "future" }] as const;
    await ingest.store(batch([reading(1)]), refused);
    assert.deepEqual(await ingest.store(batch([reading(1, { power_W: 0 }), reading(2)]), refused), {
      accepted: 1,
      duplicates: 0,
      refused: [{ seq: 9, reason: "future" }, { seq: 1, reason: "conflict" }],
    });
  });
});

Deno.test("Ingest.store() tells of windows only after their readings are on disk", async () => {
  await withStore(async ({ store, db }) => {
    const seen: Promise<number>[] = [];
    const ingest = new Ingest(store, () => seen.push(count(db, "readings")));
    await Promise.all(batches(1_100).map((b) => ingest.store(b)));
    assert.deepEqual(await Promise.all(seen), [1_024, 1_100]);
  });
});

Deno.test("Ingest.store() rejects all that wait while the database fails, and then goes on", async () => {
  await withStore(async ({ store, db }) => {
    const ingest = new Ingest(store, () => assert.fail("nothing was stored"));
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
    const later = new Ingest(store, nobody);
    const receipts = await Promise.all(batches(600).map((b) => later.store(b)));
    assert.equal(receipts.filter(({ accepted }) => accepted === 1).length, 600);
    assert.equal(await count(db, "batches"), 600);
  });
});

Deno.test("Ingest.store() rejects when the database is closed", async () => {
  await withStore(async ({ store, db }) => {
    const ingest = new Ingest(store, nobody);
    await db[Symbol.asyncDispose]();
    const outcomes = await Promise.allSettled(batches(3).map((b) => ingest.store(b)));
    for (const outcome of outcomes) {
      assert.equal(outcome.status === "rejected" && outcome.reason.code, "db_closed");
    }
  });
});

Deno.test("Ingest.store() refuses what is too much to wait, and takes the rest", async () => {
  await withStore(async ({ store, db }) => {
    const ingest = new Ingest(store, nobody);
    const one = batch([reading(1, { t: noon - minute })]);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 4_100 }, () => ingest.store(one)),
    );
    const refused = outcomes.filter(({ status }) => status === "rejected");
    assert.equal(refused.length, 4);
    for (const outcome of refused) {
      assert.equal(outcome.status === "rejected" && outcome.reason.code, "overloaded");
    }
    assert.equal(await count(db, "readings"), 1);
  });
});
