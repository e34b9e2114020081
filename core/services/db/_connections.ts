/**
 * The ways into the file: a connection that writes, and one that cannot. The driver does its work
 * while the whole program waits, so SQLite is never told to wait for the lock of another process:
 * whoever must have it asks again and again, and the program goes on in between.
 */
import { type Client, createClient, type Transaction } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { DatabaseError, databaseError, withoutValues } from "./_errors.ts";
import type { pause } from "../pause.ts";
import type { Queries } from "./mod.ts";

type Pause = typeof pause;

/** Milliseconds in all, and between two attempts. */
const patience = 5_000;
const between = 50;

export interface Writer {
  /** Has the lock when it resolves. @throws DatabaseError "db_busy" when another process keeps it */
  begin(): Promise<Transaction>;
  close(): Promise<void>;
}

/** @param url of a file, which is made if there is none */
export async function openWriter(url: string, pause: Pause): Promise<Writer> {
  const client = createClient({ url, concurrency: 1, timeout: 0 });
  try {
    await patiently(pause, () => client.executeMultiple("PRAGMA journal_mode = WAL"));
  } catch (error) {
    client.close();
    throw error;
  }
  return {
    begin: () => patiently(pause, () => begin(client)),
    async close() {
      // what is in the write-ahead log goes into the file, which is then whole by itself
      await client.execute("PRAGMA wal_checkpoint(TRUNCATE)").catch(() => {});
      client.close();
    },
  };
}

export interface Reader {
  readonly queries: Queries;
  close(): void;
}

/** @param url of a file that a writer has open: then nobody keeps a reader waiting */
export async function openReader(url: string): Promise<Reader> {
  // a second connection would be opened without the pragma, and could not work at the same time
  const client = createClient({ url, concurrency: 1, timeout: 100 });
  try {
    await client.execute("PRAGMA query_only = ON");
    // opens the files now: later there may be others in their place
    await client.execute("SELECT count(*) FROM sqlite_schema");
  } catch (error) {
    client.close();
    throw error;
  }
  const execute: Client["execute"] = (statement) => client.execute(statement);
  return { queries: drizzle({ execute } as Client), close: () => client.close() };
}

/** The driver may put a new connection in the place of one that fails: the pragmas are set each time. */
const beginning = "ROLLBACK; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; BEGIN IMMEDIATE";

/**
 * Begins by statements that are not prepared: a prepared one that was refused the lock counts as
 * running until it is collected as garbage, and no savepoint can be set until then.
 */
async function begin(client: Client): Promise<Transaction> {
  const transaction = await client.transaction("deferred");
  try {
    await transaction.executeMultiple(beginning);
    return transaction;
  } catch (error) {
    transaction.close();
    throw error;
  }
}

async function patiently<T>(pause: Pause, attempt: () => Promise<T>): Promise<T> {
  const { signal } = new AbortController();
  for (let waited = 0;; waited += between) {
    try {
      return await attempt();
    } catch (error) {
      const known = withoutValues(error);
      const isBusy = known instanceof DatabaseError && known.code === "db_busy";
      if (!isBusy) throw error;
      if (waited >= patience) {
        throw databaseError(
          "db_busy",
          `another process has held its lock for ${patience / 1_000} s`,
          "end the program that works on edgeward.db",
        );
      }
    }
    await pause(between, signal);
  }
}
