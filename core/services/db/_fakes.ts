/** A database in a folder of its own, and time that stands still, for the tests of this folder. */
import { setImmediate } from "node:timers";
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

/** Time that passes when a test says so. */
export class TestTime {
  /** Milliseconds that have passed. */
  now = 0;
  /** The pauses that were asked for, in milliseconds. */
  readonly pauses: number[] = [];
  readonly #sleepers = new Set<{ until: number; wake: () => void }>();

  readonly pause = (milliseconds: number, signal: AbortSignal): Promise<void> => {
    this.pauses.push(milliseconds);
    const { promise, resolve } = Promise.withResolvers<void>();
    const sleeper = { until: this.now + milliseconds, wake: resolve };
    this.#sleepers.add(sleeper);
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
    return promise.finally(() => this.#sleepers.delete(sleeper));
  };

  /** Lets a span pass in small steps, in each of which everything that is due happens. */
  async pass(milliseconds: number): Promise<void> {
    for (const end = this.now + milliseconds; this.now < end;) await this.#step();
  }

  /** Lets time pass until the promise has settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const settle = () => void (settled = true);
    promise.then(settle, settle);
    while (!settled) await this.#step();
    return await promise;
  }

  /** Lets time pass until something is so. */
  async untilTrue(ask: () => boolean): Promise<void> {
    for (let steps = 0; !ask(); steps++) {
      if (steps > 10_000) throw new Error("It never came to pass");
      await this.#step();
    }
  }

  async #step(): Promise<void> {
    this.now += 10;
    let woken = 0;
    for (const { until, wake } of this.#sleepers) {
      if (until > this.now) continue;
      wake();
      woken++;
    }
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
    // whoever has woken up may ask the writer's thread for something, whose time is the real one
    if (woken > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
