/** Troubles of the machine: writes fail with their reason, reads go on, and it heals by itself. */
import assert from "node:assert/strict";
import { fileURLToPath, pathToFileURL } from "node:url";
import { createClient } from "@libsql/client";
import { sql } from "drizzle-orm";
import { namesIn, TestTime, withFolder } from "./_fakes.ts";
import { type OpenDatabase, openDatabase, type Queries } from "./mod.ts";

interface Troubled {
  readonly db: OpenDatabase;
  readonly path: string;
  readonly time: TestTime;
  /** What the listener has heard so far. */
  readonly told: (string | null)[];
  /** Does something to the file from outside, as another program would. */
  outside(statement: string): Promise<void>;
}

async function withTrouble(use: (site: Troubled) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const path = `${folder}/odd name #1 100%25?.db`;
    const time = new TestTime();
    const told: (string | null)[] = [];
    await using db = await openDatabase({
      path,
      pause: time.pause,
      onState: (trouble) => told.push(trouble),
    });
    await db.migrate("test", [{ sql: "CREATE TABLE items (name TEXT, filler BLOB)" }]);
    await db.write((tx) => insert(tx, "first"));
    assert.deepEqual(told.splice(0), [null]);
    const outside = async (statement: string) => {
      const client = createClient({ url: pathToFileURL(path).href });
      await client.execute(statement);
      client.close();
    };
    await use({ db, path, time, told, outside });
  });
}

const insert = (tx: Queries, name: string, bytes = 10) =>
  tx.run(sql`INSERT INTO items VALUES (${name}, zeroblob(${bytes}))`);

/** Lets the file grow no further. */
const fill = (db: OpenDatabase) =>
  db.write(async (tx) => {
    const [row] = await tx.all<{ page_count: number }>(sql`PRAGMA page_count`);
    await tx.run(sql.raw(`PRAGMA max_page_count = ${row!.page_count + 2}`));
  });

Deno.test("a full disk fails what does not fit with db_full, and reads go on", async () => {
  await withTrouble(async ({ db, told }) => {
    await fill(db);
    const large = db.write((tx) => insert(tx, "large", 100_000));
    await assert.rejects(large, { code: "db_full", hint: /make room/ });
    assert.deepEqual(told, ["Cannot use the database: the disk is full"]);
    assert.deepEqual(await namesIn(db), ["first"]);
  });
});

Deno.test("a full disk that ends the transaction is what every job of it hears of", async () => {
  await withTrouble(async ({ db, told }) => {
    await fill(db);
    const group = await Promise.allSettled([
      db.write((tx) => insert(tx, "before")),
      db.write((tx) => insert(tx, "large", 100_000)),
      db.write((tx) => insert(tx, "careless", 100_000).catch(() => {})),
    ]);
    const codes = group.map((one) => one.status === "rejected" ? one.reason.code : "written");
    assert.deepEqual(codes, ["db_full", "db_full", "db_full"]);
    assert.deepEqual(told, ["Cannot use the database: the disk is full"]);
    assert.deepEqual(await namesIn(db), ["first"]);
  });
});

Deno.test("a disk with room again is found out without anybody's write", async () => {
  await withTrouble(async ({ db, time, told, outside }) => {
    await db.write((tx) => insert(tx, "ballast", 400_000));
    await fill(db);
    await assert.rejects(db.write((tx) => insert(tx, "large", 100_000)), { code: "db_full" });
    await time.pass(100_000);
    assert.deepEqual(told.splice(0), ["Cannot use the database: the disk is full"]);
    await outside("DELETE FROM items WHERE name = 'ballast'");
    await time.untilTrue(() => told.length > 0);
    assert.deepEqual(told, [null]);
    await db.write((tx) => insert(tx, "large", 100_000));
    assert.deepEqual(await namesIn(db), ["first", "large"]);
    const probes = db.read((q) =>
      q.all(sql`SELECT name FROM sqlite_schema WHERE name LIKE '%probe%'`)
    );
    assert.deepEqual(await probes, []);
  });
});

Deno.test("small writes that still fit do not hide that the disk is full", async () => {
  await withTrouble(async ({ db, time, told }) => {
    await fill(db);
    await assert.rejects(db.write((tx) => insert(tx, "large", 100_000)), { code: "db_full" });
    await db.write((tx) => insert(tx, "small"));
    await time.pass(100_000);
    assert.deepEqual(told, ["Cannot use the database: the disk is full"]);
    assert.deepEqual(await namesIn(db), ["first", "small"]);
  });
});

Deno.test("a lock of another process is waited for while reads go on, and told after 5 s", async () => {
  await withTrouble(async ({ db, path, time, told }) => {
    const fixture = fileURLToPath(new URL("./_lock_fixture.ts", import.meta.url));
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--frozen", "-A", fixture, pathToFileURL(path).href],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const output = child.stdout.getReader();
    await output.read();
    time.pauses.length = 0;
    const locked = Promise.allSettled([1, 2].map((n) => db.write((tx) => insert(tx, `${n}`))));
    await time.pass(4_900);
    assert.deepEqual(told, []);
    assert.deepEqual(await namesIn(db), ["first"]);
    for (const outcome of await time.until(locked)) {
      assert.equal(outcome.status === "rejected" && outcome.reason.code, "db_busy");
    }
    assert.equal(time.pauses.filter((pause) => pause === 50).length, 100);
    assert.deepEqual(told.splice(0), [
      "Cannot use the database: another process has held its lock for 5 s",
    ]);

    const patient = db.write((tx) => insert(tx, "patient"));
    await time.pass(1_000);
    await child.stdin.close();
    await child.status;
    await output.cancel();
    await time.until(patient);
    await time.untilTrue(() => told.length > 0);
    assert.deepEqual(told, [null]);
    assert.deepEqual(await namesIn(db), ["first", "patient"]);
  });
});

for (const suffix of ["", "-wal"]) {
  Deno.test(`nothing is acknowledged while the file "edgeward.db${suffix}" is gone`, async () => {
    await withTrouble(async ({ db, path, time, told }) => {
      await Deno.rename(path + suffix, `${path}.away`);
      const lost = db.write((tx) => insert(tx, "lost"));
      await assert.rejects(lost, { code: "db_gone", hint: /stop edgeward/ });
      await Deno.copyFile(`${path}.away`, path + suffix);
      await assert.rejects(db.write((tx) => insert(tx, "astray")), { code: "db_gone" });
      assert.deepEqual(told.splice(0), [
        "Cannot use the database: its file was removed or replaced under the running site",
      ]);
      assert.deepEqual(await namesIn(db), ["first"]);
      await Deno.rename(`${path}.away`, path + suffix);
      await time.untilTrue(() => told.length > 0);
      assert.deepEqual(told, [null]);
      await db.write((tx) => insert(tx, "back"));
      assert.deepEqual(await namesIn(db), ["first", "back"]);
    });
  });
}

Deno.test("a file that goes while nobody writes is noticed too", async () => {
  await withTrouble(async ({ path, time, told }) => {
    await Deno.remove(path);
    await time.untilTrue(() => told.length > 0);
    assert.deepEqual(told, [
      "Cannot use the database: its file was removed or replaced under the running site",
    ]);
  });
});

Deno.test("a damaged file is told of whoever finds it, and does not heal", async () => {
  await withTrouble(async ({ db, path, time, told, outside }) => {
    for (let i = 0; i < 50; i++) await db.write((tx) => insert(tx, `${i}`, 3_000));
    await outside("PRAGMA wal_checkpoint(TRUNCATE)");
    using file = await Deno.open(path, { write: true });
    const { size } = await file.stat();
    for (let page = 2; page < size / 4096; page++) {
      await file.seek(page * 4096, Deno.SeekMode.Start);
      await file.write(new Uint8Array(64).fill(0xff));
    }
    const found = db.read((q) => q.all(sql`SELECT sum(length(filler)) FROM items`));
    await assert.rejects(found, { code: "db_damaged", hint: /backup/ });
    await time.pass(100_000);
    assert.deepEqual(told, ["Cannot use the database: the file is damaged"]);
  });
});

Deno.test("a clock that goes back by an hour changes nothing", async () => {
  const now = Date.now;
  let time = now();
  Date.now = () => time -= 3_600_000;
  try {
    await withTrouble(async ({ db, time, told }) => {
      await fill(db);
      await assert.rejects(db.write((tx) => insert(tx, "large", 100_000)), { code: "db_full" });
      await db.write((tx) => tx.run(sql`PRAGMA max_page_count = 1000`));
      await time.untilTrue(() => told.length > 1);
      assert.deepEqual(told, ["Cannot use the database: the disk is full", null]);
      await db.write((tx) => insert(tx, "last"));
      assert.deepEqual(await namesIn(db), ["first", "last"]);
    });
  } finally {
    Date.now = now;
  }
});

Deno.test("read() cannot write, whatever is asked, and reads as before afterwards", async () => {
  await withTrouble(async ({ db, told }) => {
    const statements = [
      "INSERT INTO items VALUES ('a', NULL)",
      "DELETE FROM items",
      "CREATE TABLE other (a)",
      "DROP TABLE items",
      "PRAGMA user_version = 7",
      "VACUUM",
    ];
    for (const statement of statements) {
      const mistake = db.read((q) => q.run(sql.raw(statement)));
      await assert.rejects(mistake, { code: "db_read_only" }, statement);
    }
    const many = Array.from({ length: 20 }, () => db.read((q) => q.run(sql`DELETE FROM items`)));
    for (const one of await Promise.allSettled(many)) assert.equal(one.status, "rejected");
    assert.deepEqual(await namesIn(db), ["first"]);
    assert.deepEqual(told, []);
  });
});
