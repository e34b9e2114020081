/**
 * The site's database: one embedded libSQL file in WAL mode, read by many, written by one queue.
 *
 * Writes pass through `write`, which runs what is queued in one transaction and lets each caller go
 * on once it is on disk: twenty concurrent transactions would otherwise get in each other's way, and
 * one commit per item is slow. A job that fails is undone alone. Errors never carry bound values.
 */
import { type Client, createClient } from "@libsql/client";
import { drizzle, type LibSQLDatabase } from "drizzle-orm/libsql";
import { openingError, withoutValues } from "./_errors.ts";
import { migrate, type Migration } from "./_migrations.ts";
import { WriteQueue } from "./_write_queue.ts";

export type { Migration };
export { DatabaseError, type DatabaseErrorCode } from "./_errors.ts";

/** drizzle over one connection: build queries with it, or run `sql` templates. */
export type Queries = LibSQLDatabase<Record<string, never>>;

export interface Database {
  /** Reads what is committed. @throws DatabaseError */
  read<T>(query: (db: Queries) => Promise<T>): Promise<T>;
  /**
   * Runs `job` inside a transaction and resolves once that is durable. Jobs run one after another:
   * await nothing but the given `tx` in there, and never call `write` from within.
   * @throws DatabaseError, or what the job threw, and then nothing of the job remains
   */
  write<T>(job: (tx: Queries) => Promise<T>): Promise<T>;
}

export interface OpenDatabase extends Database, AsyncDisposable {
  /** Brings the tables of one owner (a role's name, or "core") up to date. */
  migrate(owner: string, migrations: readonly Migration[]): Promise<void>;
}

/** How long a connection waits for a lock that another process holds. */
const lockTimeout = 5_000;

/** @param options.onState hears `null` when writes work, or why they do not */
export async function openDatabase(options: {
  path: string;
  onState?: (trouble: string | null) => void;
}): Promise<OpenDatabase> {
  const url = `file:${options.path}`;
  let writer: Client | undefined, reader: Client | undefined;
  try {
    writer = createClient({ url, concurrency: 1, timeout: lockTimeout });
    await writer.execute("PRAGMA journal_mode = WAL");
    await writer.execute("PRAGMA synchronous = FULL");
    await writer.execute("PRAGMA foreign_keys = ON");
    reader = createClient({ url, concurrency: 4, timeout: lockTimeout });
  } catch (error) {
    writer?.close();
    throw openingError(error);
  }
  return new EmbeddedDatabase(writer, reader, options.onState ?? (() => {}));
}

class EmbeddedDatabase implements OpenDatabase {
  readonly #writer: Client;
  readonly #reader: Client;
  readonly #queue: WriteQueue;
  readonly #queries: Queries;
  #closed: Promise<void> | undefined;

  constructor(writer: Client, reader: Client, onState: (trouble: string | null) => void) {
    this.#writer = writer;
    this.#reader = reader;
    this.#queries = drizzle(reader);
    this.#queue = new WriteQueue(writer, onState);
  }

  async read<T>(query: (db: Queries) => Promise<T>): Promise<T> {
    try {
      return await query(this.#queries);
    } catch (error) {
      throw withoutValues(error);
    }
  }

  write<T>(job: (tx: Queries) => Promise<T>): Promise<T> {
    return this.#queue.add(job);
  }

  migrate(owner: string, migrations: readonly Migration[]): Promise<void> {
    return this.write((tx) => migrate(tx, owner, migrations));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= (async () => {
      await this.#queue.close();
      this.#reader.close();
      // what is in the write-ahead log goes into the file, which is then whole by itself
      await this.#writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").catch(() => {});
      this.#writer.close();
    })();
    return this.#closed;
  }
}
