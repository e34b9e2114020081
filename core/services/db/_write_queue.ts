/**
 * The single writer. Whatever is queued when a transaction begins, up to a limit, goes into that one
 * transaction, each job behind a savepoint of its own; callers resolve after the commit is on disk.
 */
import type { Client, InStatement } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { setImmediate } from "node:timers";
import { DatabaseError, isTrouble, withoutValues } from "./_errors.ts";
import type { Queries } from "./mod.ts";
import type { Writer } from "./_writer.ts";

interface Job {
  readonly run: (tx: Queries) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Jobs in one transaction at the most, and jobs waiting at the most. */
const groupLimit = 256;
const queueLimit = 10_000;

interface Options {
  readonly writer: Writer;
  /** Called before each commit, which it prevents by throwing. */
  check(): void;
  /** Hears how each transaction went, with what failed for another reason than the job's own. */
  done(trouble: unknown): void;
}

export class WriteQueue {
  readonly #options: Options;
  readonly #queries: Queries;
  readonly #waiting: Job[] = [];
  /** Whether a transaction is open. */
  #isOpen = false;
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
    const released: Promise<unknown>[] = [];
    this.#trouble = undefined;
    const { writer, check } = this.#options;
    try {
      await writer.begin();
      this.#isOpen = true;
      for (const job of group) settle.push(await this.#attempt(job, released));
      check();
      // without a transaction both fail, the release and the commit
      await Promise.all([...released, writer.commit()]);
    } catch (error) {
      // a full disk may end the whole transaction; what fails after that says less
      const failure = this.#trouble ?? withoutValues(error);
      this.#options.done(failure);
      for (const job of group) job.reject(failure);
      return;
    } finally {
      this.#isOpen = false;
      writer.end().catch(() => {}); // the next transaction begins after that
    }
    this.#options.done(this.#trouble);
    for (const callback of settle) callback();
  }

  /**
   * Runs one job; its outcome is told only after the commit. The writer does what it is told in order,
   * so nobody waits for a savepoint to be set or released before telling it the next.
   */
  async #attempt(job: Job, released: Promise<unknown>[]): Promise<() => void> {
    const { writer } = this.#options;
    const begun = writer.execute("SAVEPOINT job");
    begun.catch(() => {}); // looked at below
    try {
      const value = await job.run(this.#queries);
      await begun;
      const done = writer.execute("RELEASE job");
      done.catch(() => {}); // looked at with the commit
      released.push(done);
      return () => job.resolve(value);
    } catch (error) {
      const failure = withoutValues(error);
      // without a transaction, this throws and everyone hears of it
      await writer.execute("ROLLBACK TO job");
      await writer.execute("RELEASE job");
      return () => job.reject(failure);
    }
  }

  /** A client for drizzle whose every statement runs in the transaction of the moment. */
  #currentTransaction(): Client {
    const execute = async (statement: InStatement) => {
      if (!this.#isOpen) throw closedError();
      try {
        return await this.#options.writer.execute(statement);
      } catch (error) {
        const failure = withoutValues(error);
        if (isTrouble(failure)) this.#trouble ??= failure;
        throw error;
      }
    };
    return { execute } as unknown as Client;
  }
}

function closedError(): DatabaseError {
  return new DatabaseError("db_closed", "Cannot write: the database is closed");
}
