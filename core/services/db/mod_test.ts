/** The database as its callers see it: one writer for all, each job for itself, nothing half done. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { namesIn, TestTime, withFolder, withItems } from "./_fakes.ts";
import { openDatabase, type Queries } from "./mod.ts";

const insert = (tx: Queries, name: string, amount: number) =>
  tx.run(sql`INSERT INTO items VALUES (${name}, ${amount})`);

Deno.test("write() lets a hundred writers succeed at once, in the order of their calls", async () => {
  await withItems(async (db) => {
    const names = Array.from({ length: 100 }, (_, i) => `item ${i}`);
    const done: string[] = [];
    const order = await Promise.all(names.map((name, i) =>
      db.write(async (tx) => {
        await insert(tx, name, i);
        done.push(name);
        const [row] = await tx.all<{ n: number }>(sql`SELECT count(*) AS n FROM items`);
        return row!.n;
      })
    ));
    assert.deepEqual(done, names);
    assert.deepEqual(order, names.map((_, i) => i + 1));
    assert.deepEqual(await namesIn(db), names);
  });
});

Deno.test("write() takes more jobs than fit into one transaction", async () => {
  await withItems(async (db) => {
    const jobs = Array.from({ length: 600 }, (_, i) => db.write((tx) => insert(tx, `${i}`, i)));
    await Promise.all(jobs);
    assert.equal((await namesIn(db)).length, 600);
  });
});

Deno.test("write() resolves with what the job gave, and reads see it then", async () => {
  await withItems(async (db) => {
    for (let i = 0; i < 20; i++) {
      assert.equal(await db.write((tx) => insert(tx, `${i}`, i).then(() => i)), i);
      assert.equal((await namesIn(db)).length, i + 1);
    }
  });
});

Deno.test("read() sees nothing of a job before its commit", async () => {
  await withItems(async (db) => {
    await db.write(async (tx) => {
      await insert(tx, "a", 1);
      assert.deepEqual(await namesIn(db), []);
    });
    assert.deepEqual(await namesIn(db), ["a"]);
  });
});

Deno.test("write() undoes a failing job alone and keeps its neighbours of the group", async () => {
  await withItems(async (db) => {
    const outcomes = await Promise.allSettled([
      db.write((tx) => insert(tx, "before", 1)),
      db.write(async (tx) => {
        await insert(tx, "half", 1);
        await insert(tx, "negative", -1);
      }),
      db.write(async (tx) => {
        await insert(tx, "thrown", 1);
        throw new Error("changed its mind");
      }),
      db.write((tx) => insert(tx, "before", 2)),
      db.write((tx) => insert(tx, "after", 1)),
    ]);
    const [fulfilled, rejected] = ["fulfilled", "rejected"];
    assert.deepEqual(outcomes.map(({ status }) => status), [
      ...[fulfilled, rejected, rejected, rejected, fulfilled],
    ]);
    assert.deepEqual(await namesIn(db), ["before", "after"]);
  });
});

Deno.test("write() rejects with the very error that the job threw", async () => {
  await withItems(async (db) => {
    for (const thrown of [new Error("mine"), new TypeError("mine too"), "text", undefined]) {
      const error = await db.write(() => Promise.reject(thrown)).then(
        () => assert.fail("it resolved"),
        (error: unknown) => error,
      );
      assert.equal(error, thrown);
    }
    const thrown = new RangeError("before anything was awaited");
    await assert.rejects(
      db.write(() => {
        throw thrown;
      }),
      (error) => error === thrown,
    );
  });
});

Deno.test("write() goes on after a failure", async () => {
  await withItems(async (db) => {
    await assert.rejects(db.write((tx) => insert(tx, "a", -1)), { code: "db_constraint" });
    await db.write((tx) => insert(tx, "a", 1));
    assert.deepEqual(await namesIn(db), ["a"]);
  });
});

Deno.test("write() holds to foreign keys and full synchronisation in every transaction", async () => {
  await withItems(async (db) => {
    for (let i = 0; i < 5; i++) {
      await namesIn(db);
      const [mode, keys] = await db.write(async (tx) => [
        await tx.all(sql`PRAGMA synchronous`),
        await tx.all(sql`PRAGMA foreign_keys`),
      ]);
      assert.deepEqual([mode, keys], [[{ synchronous: 2 }], [{ foreign_keys: 1 }]]);
      const orphan = db.write((tx) => tx.run(sql`INSERT INTO parts VALUES ('no such item')`));
      await assert.rejects(orphan, { code: "db_constraint" });
    }
  });
});

Deno.test("write() and read() after dispose fail with db_closed; dispose finishes the queue", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a.db`;
    const db = await openDatabase({ path });
    await db.migrate("test", [{ sql: "CREATE TABLE items (name TEXT)" }]);
    const queued = Array.from(
      { length: 50 },
      (_, i) => db.write((tx) => tx.run(sql`INSERT INTO items VALUES (${i})`)),
    );
    await Promise.all([db[Symbol.asyncDispose](), db[Symbol.asyncDispose]()]);
    await Promise.all(queued);
    await assert.rejects(db.write(() => Promise.resolve()), { code: "db_closed" });
    await assert.rejects(db.read((q) => q.all(sql`SELECT 1`)), { code: "db_closed" });
    await using again = await openDatabase({ path });
    assert.equal((await namesIn(again)).length, 50);
  });
});

Deno.test("openDatabase() tells its listener when a transaction fails, and when all is well", async () => {
  await withFolder(async (folder) => {
    const states: (string | null)[] = [];
    const time = new TestTime();
    await using db = await openDatabase({
      path: `${folder}/a.db`,
      pause: time.pause,
      onState: (trouble) => states.push(trouble),
    });
    await db.migrate("test", [{ sql: "CREATE TABLE items (name TEXT)" }]);
    // whoever ends the transaction from within takes the savepoints with it
    const rude = db.write((tx) => tx.run(sql`ROLLBACK`));
    const neighbour = db.write((tx) => tx.run(sql`INSERT INTO items VALUES ('a')`));
    const outcomes = await Promise.allSettled([rude, neighbour]);
    assert.deepEqual(outcomes.map(({ status }) => status), ["rejected", "rejected"]);
    assert.deepEqual(await namesIn(db), []);
    await db.write((tx) => tx.run(sql`INSERT INTO items VALUES ('b')`));
    assert.deepEqual(await namesIn(db), ["b"]);
    assert.equal(states.length, 2);
    await time.untilTrue(() => states.length === 3);
    assert.equal(states[0], null);
    assert.match(states[1] ?? "", /^Cannot use the database: /);
    assert.equal(states[2], null);
  });
});

Deno.test("openDatabase() makes files for their owner only", async () => {
  await withItems(async (_db, path) => {
    for (const suffix of ["", "-wal", "-shm"]) {
      assert.equal((await Deno.stat(path + suffix)).mode! & 0o777, 0o600, suffix);
    }
  });
});

Deno.test("openDatabase() refuses a file that is no database", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(
      `${folder}/text.db`,
      "no database, but long enough to be one. ".repeat(99),
    );
    await assert.rejects(openDatabase({ path: `${folder}/text.db` }), { code: "db_damaged" });
  });
});

Deno.test("openDatabase() says in its own words that the file cannot be opened", async () => {
  await withFolder(async (folder) => {
    await assert.rejects(openDatabase({ path: `${folder}/none/a.db` }), {
      name: "DatabaseError",
      code: "db_read_only",
    });
  });
});
