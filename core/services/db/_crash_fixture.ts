/**
 * A process that writes numbers to the database named by its argument, many at a time, and prints each
 * once its write has resolved: whoever kills it holds a list of promises.
 */
import { sql } from "drizzle-orm";
import { openDatabase } from "./mod.ts";

const db = await openDatabase({ path: Deno.args[0]! });
await db.migrate("test", [{ sql: "CREATE TABLE numbers (n INTEGER PRIMARY KEY) STRICT" }]);
const encoder = new TextEncoder();
let next = 0;

async function writer(): Promise<never> {
  for (;;) {
    const n = next++;
    await db.write((tx) => tx.run(sql`INSERT INTO numbers VALUES (${n})`));
    Deno.stdout.writeSync(encoder.encode(`${n}\n`));
  }
}

await Promise.all(Array.from({ length: 16 }, writer));
