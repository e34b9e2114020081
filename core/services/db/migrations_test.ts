/** Migrations: each owner's steps once and in order, and no step back. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { withFolder } from "./_fakes.ts";
import { type Migration, type OpenDatabase, openDatabase } from "./mod.ts";

/** Steps that only work in this order, and only once each. */
const steps: readonly Migration[] = [
  {
    sql: `CREATE TABLE trace (step INTEGER);
    INSERT INTO trace VALUES (1);
    `,
  },
  { sql: "ALTER TABLE trace ADD COLUMN note TEXT" },
  { sql: "INSERT INTO trace VALUES (3, 'a;b');\nINSERT INTO trace VALUES (4, 'c')" },
];

async function trace(db: OpenDatabase): Promise<number[]> {
  const rows = await db.read((q) => q.all<{ step: number }>(sql`SELECT step FROM trace`));
  return rows.map(({ step }) => step);
}

Deno.test("migrate() applies each step once and in order, however often it is called", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a.db`;
    for (const count of [1, 1, 2, 3, 3]) {
      await using db = await openDatabase({ path });
      await db.migrate("test", steps.slice(0, count));
      await db.migrate("test", steps.slice(0, count));
      assert.deepEqual(await trace(db), count < 3 ? [1] : [1, 3, 4]);
    }
  });
});

Deno.test("migrate() keeps the owners apart", async () => {
  await withFolder(async (folder) => {
    await using db = await openDatabase({ path: `${folder}/a.db` });
    await Promise.all(
      ["one", "two", "three"].map((owner) =>
        db.migrate(owner, [{ sql: `CREATE TABLE ${owner} (a)` }, { sql: `DROP TABLE ${owner}` }])
      ),
    );
    await db.migrate("one", [{ sql: "" }, { sql: "" }, { sql: "CREATE TABLE one (a)" }]);
    assert.deepEqual(await db.read((q) => q.all(sql`SELECT owner, applied FROM migrations`)), [
      { owner: "one", applied: 3 },
      { owner: "three", applied: 2 },
      { owner: "two", applied: 2 },
    ]);
  });
});

Deno.test("migrate() refuses a database that is newer than the program", async () => {
  await withFolder(async (folder) => {
    await using db = await openDatabase({ path: `${folder}/a.db` });
    await db.migrate("test", steps);
    await assert.rejects(db.migrate("test", steps.slice(0, 2)), {
      name: "DatabaseError",
      code: "db_failed",
      message: /tables of test: they are newer/,
      hint: /later one/,
    });
    assert.deepEqual(await trace(db), [1, 3, 4]);
  });
});

Deno.test("migrate() leaves nothing of a step that fails, and can be repeated", async () => {
  await withFolder(async (folder) => {
    await using db = await openDatabase({ path: `${folder}/a.db` });
    const broken = [steps[0]!, { sql: "CREATE TABLE other (a);\nCREATE TABLE trace (a)" }];
    await assert.rejects(db.migrate("test", broken), { name: "DatabaseError" });
    await assert.rejects(trace(db), { code: "db_failed" });
    await db.migrate("test", steps);
    assert.deepEqual(await trace(db), [1, 3, 4]);
  });
});
