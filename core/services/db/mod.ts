/**
 * The site's database: one embedded libSQL file in WAL mode, read by many, written by one queue.
 *
 * Writes pass through `write`, which runs what is queued in one transaction and lets each caller go
 * on once it is on disk: twenty concurrent transactions would otherwise get in each other's way, and
 * one commit per item is slow. A job that fails is undone alone. Errors never carry bound values.
 * Writing has a thread of its own: the program does not wait for the disk.
 * While the disk is full or fails, writes fail and reads go on; it is told when that begins and, found
 * out by writes of its own, when it is over.
 */
import { closeSync, openSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { sql } from "drizzle-orm";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { pause } from "../pause.ts";
import { Condition } from "./_condition.ts";
import { DatabaseError, openingError, withoutValues } from "./_errors.ts";
import { OpenFiles } from "./_files.ts";
import { migrate, type Migration } from "./_migrations.ts";
import { openReader, type Reader } from "./_reader.ts";
import { WriteQueue } from "./_write_queue.ts";
import { Writer } from "./_writer.ts";

export type { Migration };
export { DatabaseError, type DatabaseErrorCode } from "./_errors.ts";

/** drizzle over one connection: build queries with it, or run `sql` templates. */
export type Queries = LibSQLDatabase<Record<string, never>>;

export interface Database {
  /** Reads what is committed, and cannot write. @throws DatabaseError */
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

/**
 * @param options.onState hears `null` when writes work, or why they do not
 * @param options.pause real time unless given
 */
export async function openDatabase(options: {
  path: string;
  onState?: (trouble: string | null) => void;
  pause?: typeof pause;
}): Promise<OpenDatabase> {
  const url = pathToFileURL(options.path).href;
  let writer: Writer | undefined;
  try {
    makeFile(options.path);
    writer = await Writer.open(url, options.pause ?? pause);
    return new EmbeddedDatabase(writer, await openReader(url), options);
  } catch (error) {
    await writer?.close();
    throw openingError(error);
  }
}

/** A new file is for its owner only, and so are those that SQLite puts beside it. */
function makeFile(path: string): void {
  try {
    // never opens one that is there: closing it again would take its locks from the whole process
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  }
}

class EmbeddedDatabase implements OpenDatabase {
  readonly #writer: Writer;
  readonly #reader: Reader;
  readonly #queue: WriteQueue;
  readonly #condition: Condition;
  #closed: Promise<void> | undefined;

  constructor(writer: Writer, reader: Reader, options: Parameters<typeof openDatabase>[0]) {
    this.#writer = writer;
    this.#reader = reader;
    const files = new OpenFiles(options.path);
    this.#queue = new WriteQueue({
      writer,
      check: () => files.check(),
      done: (trouble) =>
        trouble === undefined ? this.#condition.works() : this.#condition.fails(trouble),
    });
    this.#condition = new Condition({
      tell: options.onState ?? (() => {}),
      pause: options.pause ?? pause,
      probe: () => this.#probe(),
      look: () => files.check(),
    });
  }

  async read<T>(query: (db: Queries) => Promise<T>): Promise<T> {
    try {
      return await query(this.#reader.queries);
    } catch (error) {
      const failure = withoutValues(error);
      const isDamaged = failure instanceof DatabaseError && failure.code === "db_damaged";
      if (isDamaged) this.#condition.fails(failure);
      throw failure;
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
      const healed = this.#condition.close();
      await this.#queue.close();
      await healed;
      this.#reader.close();
      await this.#writer.close();
    })();
    return this.#closed;
  }

  /** Writes as much as a busy site does at once, so that the last free page does not look like room. */
  async #probe(): Promise<void> {
    await this.write(async (tx) => {
      await tx.run(sql`DROP TABLE IF EXISTS write_probe`);
      await tx.run(sql`CREATE TABLE write_probe (filler BLOB) STRICT`);
      await tx.run(sql`INSERT INTO write_probe VALUES (zeroblob(${probeBytes}))`);
    });
    await this.write((tx) => tx.run(sql`DROP TABLE write_probe`));
  }
}

const probeBytes = 256 * 1024;
