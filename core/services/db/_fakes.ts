/** A database in a folder of its own, for the tests of this folder. */
import { sql } from "drizzle-orm";
import { type OpenDatabase, openDatabase } from "./mod.ts";

/** One table that refuses a repeated name, a negative amount and what is no integer. */
const tables = [{
  sql: `CREATE TABLE items (
    name TEXT PRIMARY KEY,
    amount INTEGER NOT NULL CHECK (amount >= 0)
  ) STRICT;
  CREATE TABLE parts (
    item TEXT NOT NULL REFERENCES items (name)
  ) STRICT;
  `,
}];

/** Gives a database with the tables `items` and `parts`, and removes it afterwards. */
export async function withItems(
  use: (db: OpenDatabase, path: string) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const path = `${folder}/items.db`;
    await using db = await openDatabase({ path });
    await db.migrate("test", tables);
    await use(db, path);
  });
}

export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

export async function namesIn(db: OpenDatabase): Promise<string[]> {
  const rows = await db.read((q) =>
    q.all<{ name: string }>(sql`SELECT name FROM items ORDER BY rowid`)
  );
  return rows.map(({ name }) => name);
}
