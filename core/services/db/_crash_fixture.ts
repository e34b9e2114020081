/**
 * A process that goes on writing numbers to the database named by its argument, many at a time. It
 * prints "+n" when the job of a number runs and "n" once its write has resolved: whoever reads that
 * and kills it holds a list of promises.
 */
import { sql } from "drizzle-orm";
import { openDatabase } from "./mod.ts";

const db = await openDatabase({ path: Deno.args[0]! });
await db.migrate("test", [{ sql: "CREATE TABLE numbers (n INTEGER PRIMARY KEY) STRICT" }]);
const [row] = await db.read((q) =>
  q.all<{ next: number }>(sql`SELECT coalesce(max(n) + 1, 0) AS next FROM numbers`)
);
let next = row!.next;

const encoder = new TextEncoder();
const say = (text: string) => void Deno.stdout.writeSync(encoder.encode(`${text}\n`));

async function writer(): Promise<never> {
  for (;;) {
    const n = next++;
    await db.write((tx) => {
      say(`+${n}`);
      return tx.run(sql`INSERT INTO numbers VALUES (${n})`);
    });
    say(`${n}`);
  }
}

await Promise.all(Array.from({ length: 16 }, writer));
