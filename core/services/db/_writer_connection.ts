/**
 * The connection that writes, where it runs: on a thread of its own (`_writer_thread.ts`), because the
 * driver does its work, and waits for the disk, while its whole thread waits.
 */
import { type Client, createClient, type InStatement, type Transaction } from "@libsql/client";
import type { StatementResult } from "./_writer.ts";

/** The driver may put a new connection in the place of one that fails: the pragmas are set each time. */
const beginning = "ROLLBACK; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; BEGIN IMMEDIATE";

/** Errors are the driver's own. */
export class WriterConnection {
  #client: Client | undefined;
  #transaction: Transaction | undefined;

  /** @param url of a file, which is made if there is none */
  async open(url: string): Promise<void> {
    this.#client ??= createClient({ url, concurrency: 1, timeout: 0 });
    await this.#client.executeMultiple("PRAGMA journal_mode = WAL");
  }

  /**
   * Begins by statements that are not prepared: a prepared one that was refused the lock counts as
   * running until it is collected as garbage, and no savepoint can be set until then.
   */
  async begin(): Promise<void> {
    const transaction = await this.#client!.transaction("deferred");
    try {
      await transaction.executeMultiple(beginning);
      this.#transaction = transaction;
    } catch (error) {
      transaction.close();
      throw error;
    }
  }

  async execute(statement: InStatement): Promise<StatementResult> {
    const { columns, rows, rowsAffected } = await this.#transaction!.execute(statement);
    return { columns, rows: rows.map((row) => ({ ...row })), rowsAffected };
  }

  async commit(): Promise<void> {
    await this.#transaction!.commit();
  }

  /** Undoes what was not committed. */
  end(): void {
    this.#transaction?.close();
    this.#transaction = undefined;
  }

  async close(): Promise<void> {
    this.end();
    // what is in the write-ahead log goes into the file, which is then whole by itself
    await this.#client?.execute("PRAGMA wal_checkpoint(TRUNCATE)").catch(() => {});
    this.#client?.close();
  }
}
