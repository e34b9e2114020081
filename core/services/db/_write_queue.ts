/**
 * The single writer. Whatever is queued when a transaction begins, up to a limit, goes into that one
 * transaction, each job behind a savepoint of its own; callers resolve after the commit is on disk.
 */
import type { Client, Transaction } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { setImmediate } from "node:timers";
import { DatabaseError, isTrouble, withoutValues } from "./_errors.ts";
import type { Queries } from "./mod.ts";

interface Job {
  readonly run: (tx: Queries) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Jobs in one transaction at the most, and jobs waiting at the most. */
const groupLimit = 256;
const queueLimit = 10_000;

interface Options {
  begin(): Promise<Transaction>;
  /** Called before each commit, which it prevents by throwing. */
  check(): void;
  /** Hears how each transaction went, with what failed for another reason than the job's own. */
  done(trouble: unknown): void;
}

export class WriteQueue {
  readonly #options: Options;
  readonly #queries: Queries;
  readonly #waiting: Job[] = [];
  #transaction: Transaction | undefined;
  /** Why a statement of the transaction failed that was in order itself. */
  #trouble: DatabaseError | undefined;
  #working: Promise<void> | undefined;
  #closed = false;

  constructor(options: Options) {
    this.#options = options;
    this.#queries = drizzle(this.#currentTransaction());
  }

  add<T>(run: (tx: Queries) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(closedError());
    if (this.#waiting.length >= queueLimit) {
      return Promise.reject(new DatabaseError("db_busy", "Cannot write: too many writes wait"));
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.push({ run, resolve: resolve as (value: unknown) => void, reject });
    this.#working ??= this.#work();
    return promise;
  }

  /** Finishes what is queued. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      // one turn of the event loop: what arrived together is committed together
      await new Promise((resolve) => setImmediate(resolve));
      await this.#commit(this.#waiting.splice(0, groupLimit));
    }
    this.#working = undefined;
  }

  async #commit(group: readonly Job[]): Promise<void> {
    const settle: (() => void)[] = [];
    this.#trouble = undefined;
    try {
      this.#transaction = await this.#options.begin();
      for (const job of group) settle.push(await this.#attempt(job));
      this.#options.check();
      await this.#transaction.commit();
    } catch (error) {
      // a full disk may end the whole transaction; what fails after that says less
      const failure = this.#trouble ?? withoutValues(error);
      this.#options.done(failure);
      for (const job of group) job.reject(failure);
      return;
    } finally {
      this.#transaction?.close();
      this.#transaction = undefined;
    }
    this.#options.done(this.#trouble);
    for (const callback of settle) callback();
  }

  /** Runs one job; its outcome is told only after the commit. */
  async #attempt(job: Job): Promise<() => void> {
    const transaction = this.#transaction!;
    await transaction.execute("SAVEPOINT job");
    try {
      const value = await job.run(this.#queries);
      await transaction.execute("RELEASE job");
      return () => job.resolve(value);
    } catch (error) {
      const failure = withoutValues(error);
      // without a transaction, this throws and everyone hears of it
      await transaction.execute("ROLLBACK TO job");
      await transaction.execute("RELEASE job");
      return () => job.reject(failure);
    }
  }

  /** A client for drizzle whose every statement runs in the transaction of the moment. */
  #currentTransaction(): Client {
    const execute: Transaction["execute"] = async (statement) => {
      if (this.#transaction === undefined) throw closedError();
      try {
        return await this.#transaction.execute(statement);
      } catch (error) {
        const failure = withoutValues(error);
        if (isTrouble(failure)) this.#trouble ??= failure;
        throw error;
      }
    };
    return { execute } as Client;
  }
}

function closedError(): DatabaseError {
  return new DatabaseError("db_closed", "Cannot write: the database is closed");
}
