/** Errors of the database say what failed and never with what: a bound value may be a key. */
import assert from "node:assert/strict";
import { type SQL, sql } from "drizzle-orm";
import { withItems } from "./_fakes.ts";
import { DatabaseError, type OpenDatabase, type Queries } from "./mod.ts";

const secret = "hunter2-0d15ea5e";
const bytes = new TextEncoder().encode(secret);

/** Each fails, and has a secret among its bound values. */
const failing: Record<string, (q: Queries) => Promise<unknown>> = {
  "a repeated key": async (q) => {
    await q.run(sql`INSERT INTO items VALUES (${secret}, 1)`);
    await q.run(sql`INSERT INTO items VALUES (${secret}, 1)`);
  },
  "a check": run(sql`INSERT INTO items VALUES (${secret}, -1)`),
  "a null": run(sql`INSERT INTO items VALUES (${secret}, NULL)`),
  "text for an integer": run(sql`INSERT INTO items VALUES ('a', ${secret})`),
  "bytes for text": run(sql`INSERT INTO items VALUES (${bytes}, 1)`),
  "a syntax error before the value": run(sql`SELEC ${secret}`),
  "a syntax error after the value": run(sql`SELECT ${secret} FORM items`),
  "an unfinished statement": run(sql`SELECT ${secret} FROM`),
  "a missing table": run(sql`INSERT INTO nowhere VALUES (${secret})`),
  "a missing column": run(sql`SELECT price FROM items WHERE name = ${secret}`),
  "a column too many": run(sql`INSERT INTO items (name, amount, more) VALUES (${secret}, 1, 2)`),
  "a value too few": run(sql`INSERT INTO items (name, amount) VALUES (${secret})`),
  "a missing function": run(sql`SELECT nothing(${secret})`),
  "a bad JSON path": run(sql`SELECT json_extract('{}', ${secret})`),
  "no JSON": run(sql`SELECT value FROM json_each(${secret})`),
  "an overflow": run(sql`SELECT abs(-9223372036854775807 - 1), ${secret}`),
  "a number that is none": run(sql`SELECT ${secret}, ${NaN}`),
  "an integer too large": run(sql`SELECT ${secret}, ${2n ** 64n}`),
  "an object": run(sql`INSERT INTO items VALUES (${{ secret }}, ${{ secret }})`),
  "values()": (q) => q.values(sql`SELECT ${secret} FROM nowhere`),
  "get()": (q) => q.get(sql`SELECT ${secret} FROM nowhere`),
};

function run(statement: SQL): (q: Queries) => Promise<unknown> {
  return (q) => q.run(statement);
}

/** All that an error says, or that a printer of errors could find in it. */
function everythingIn(error: unknown): string {
  const seen = new Set<unknown>();
  const texts: string[] = [];
  const visit = (value: unknown) => {
    if (typeof value !== "object" || value === null) return void texts.push(String(value));
    if (seen.has(value)) return;
    seen.add(value);
    texts.push(Deno.inspect(value, { depth: 10, showHidden: true }));
    for (const key of Reflect.ownKeys(value)) visit(Reflect.get(value, key));
  };
  visit(error);
  return texts.join("\n");
}

async function errorOf(promise: Promise<unknown>, what: string): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  assert.fail(`nothing failed: ${what}`);
}

async function leaks(
  fails: (db: OpenDatabase, query: (q: Queries) => Promise<unknown>) => unknown,
) {
  await withItems(async (db) => {
    for (const [what, query] of Object.entries(failing)) {
      const error = await errorOf(Promise.resolve(fails(db, query)), what);
      assert.ok(error instanceof DatabaseError, `${what}: ${error}`);
      assert.match(error.message, /^Cannot use the database: /, what);
      assert.doesNotMatch(everythingIn(error), /hunter2|0d15ea5e/, what);
      assert.equal(error.cause, undefined, what);
    }
  });
}

Deno.test("write() fails without the values that were bound", async () => {
  await leaks((db, query) => db.write((tx) => query(tx)));
});

Deno.test("write() fails without the values of a foreign key", async () => {
  await withItems(async (db) => {
    const orphan = db.write((tx) => tx.run(sql`INSERT INTO parts VALUES (${secret})`));
    const error = await errorOf(orphan, "a foreign key");
    assert.equal((error as DatabaseError).code, "db_constraint");
    assert.doesNotMatch(everythingIn(error), /hunter2|0d15ea5e/);
  });
});

Deno.test("read() fails without the values that were bound", async () => {
  await leaks((db, query) => db.read((q) => query(q)));
});

Deno.test("write() hides the values in errors that wrap a query's", async () => {
  await leaks((db, query) =>
    db.write(async (tx) => {
      try {
        await query(tx);
      } catch (cause) {
        throw new Error("wrapped", { cause });
      }
    })
  );
});

Deno.test("DatabaseError tells apart what an operator must tell apart", async () => {
  const codes: [string, SQL][] = [
    ["db_constraint", sql`INSERT INTO items VALUES ('a', -1)`],
    ["db_failed", sql`SELECT * FROM nowhere`],
    ["db_failed", sql`SELECT price FROM items`],
    ["db_failed", sql`SELEC 1`],
  ];
  await withItems(async (db) => {
    for (const [code, statement] of codes) {
      const error = await errorOf(db.write((tx) => tx.run(statement)), code);
      assert.equal((error as DatabaseError).code, code);
    }
  });
});

Deno.test("DatabaseError quotes no value that looks like a complaint of SQLite", async () => {
  const path = "no such column: hunter2"; // SQLite says: bad JSON path: '…'
  await withItems(async (db) => {
    const query = db.read((q) => q.all(sql`SELECT json_extract('{}', ${path})`));
    assert.doesNotMatch(everythingIn(await errorOf(query, "a path")), /hunter2/);
  });
});

Deno.test("DatabaseError does not call the file damaged when a value is no JSON", async () => {
  await withItems(async (db) => {
    const error = await errorOf(db.read((q) => q.all(sql`SELECT * FROM json_each('{')`)), "JSON");
    assert.equal((error as DatabaseError).code, "db_failed");
  });
});
