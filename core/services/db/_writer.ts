/**
 * The way to the connection that writes, which has a thread of its own: while it waits for the disk,
 * and a card in a small computer can take its time, the program goes on.
 */
import { setImmediate } from "node:timers";
import type { InStatement } from "@libsql/client";
import type { pause } from "../pause.ts";
import { DatabaseError, databaseError, type DatabaseErrorCode } from "./_errors.ts";

type Pause = typeof pause;

/**
 * What the thread is told, as many at a time as there are; it does one after the other, whatever becomes
 * of those before, and answers all of them at once, in the same order.
 */
export type WriterOrder =
  | { readonly do: "open"; readonly url: string }
  | { readonly do: "execute"; readonly statement: InStatement }
  | { readonly do: "begin" | "commit" | "end" | "close" };

export interface WriterAnswer {
  readonly result?: StatementResult | undefined;
  readonly error?: {
    readonly code?: DatabaseErrorCode;
    readonly message: string;
    readonly hint?: string;
  };
}

/** What of the driver's result is used; a row is an object with a member for each column. */
export interface StatementResult {
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly rowsAffected: number;
}

/** Milliseconds in all, and between two attempts. */
const patience = 5_000;
const between = 50;

export class Writer {
  readonly #pause: Pause;
  readonly #thread: Worker;
  /** What was ordered in this turn of the event loop: a message costs more than most orders do. */
  #orders: WriterOrder[] = [];
  /** Who waits for an answer, in the order of the answers. */
  readonly #waiting: PromiseWithResolvers<StatementResult | undefined>[] = [];
  #failure: DatabaseError | undefined;

  private constructor(pause: Pause) {
    this.#pause = pause;
    const program = new URL("./_writer_thread.ts", import.meta.url);
    this.#thread = new Worker(program, { type: "module", name: "database" });
    this.#thread.onmessage = ({ data }: MessageEvent<readonly WriterAnswer[]>) => {
      const waited = this.#waiting.splice(0, data.length);
      data.forEach(({ error, result }, i) => {
        if (error === undefined) waited[i]!.resolve(result);
        else waited[i]!.reject(errorOf(error));
      });
    };
    this.#thread.onerror = (event) => {
      event.preventDefault();
      this.#fail(databaseError("db_failed", "its thread ended", "restart the site"));
    };
  }

  /** @param url of a file, which is made if there is none */
  static async open(url: string, pause: Pause): Promise<Writer> {
    const writer = new Writer(pause);
    try {
      await writer.#patiently({ do: "open", url });
      return writer;
    } catch (error) {
      await writer.close();
      throw error;
    }
  }

  /** Has the lock when it resolves. @throws DatabaseError "db_busy" when another process keeps it */
  async begin(): Promise<void> {
    await this.#patiently({ do: "begin" });
  }

  async execute(statement: InStatement): Promise<StatementResult> {
    return (await this.#order({ do: "execute", statement: withOwnBytes(statement) }))!;
  }

  async commit(): Promise<void> {
    await this.#order({ do: "commit" });
  }

  /** Ends the transaction, and undoes what was not committed. */
  async end(): Promise<void> {
    await this.#order({ do: "end" });
  }

  async close(): Promise<void> {
    await this.#order({ do: "close" }).catch(() => {});
    this.#fail(databaseError("db_closed", "it is closed"));
  }

  #order(order: WriterOrder): Promise<StatementResult | undefined> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const answer = Promise.withResolvers<StatementResult | undefined>();
    this.#waiting.push(answer);
    if (this.#orders.push(order) === 1) setImmediate(() => this.#send());
    return answer.promise;
  }

  #send(): void {
    const orders = this.#orders;
    this.#orders = [];
    if (this.#failure === undefined) this.#thread.postMessage(orders);
  }

  /** SQLite is never told to wait for the lock of another process: that would block the thread. */
  async #patiently(order: WriterOrder): Promise<void> {
    const { signal } = new AbortController();
    for (let waited = 0;; waited += between) {
      try {
        await this.#order(order);
        return;
      } catch (error) {
        const isBusy = error instanceof DatabaseError && error.code === "db_busy";
        if (!isBusy) throw error;
        if (waited >= patience) {
          throw databaseError(
            "db_busy",
            `another process has held its lock for ${patience / 1_000} s`,
            "end the program that works on edgeward.db",
          );
        }
      }
      await this.#pause(between, signal);
    }
  }

  #fail(error: DatabaseError): void {
    this.#failure ??= error;
    this.#thread.terminate();
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

function errorOf({ code, message, hint }: NonNullable<WriterAnswer["error"]>): DatabaseError {
  if (code === undefined) return databaseError("db_failed", message);
  return new DatabaseError(code, message, hint === undefined ? {} : { hint });
}

/** A view is sent with all that it is a view of: what is part of something larger is copied first. */
function withOwnBytes(statement: InStatement): InStatement {
  if (typeof statement === "string" || !Array.isArray(statement.args)) return statement;
  const args = statement.args.map((arg) =>
    arg instanceof Uint8Array && arg.byteLength < arg.buffer.byteLength ? arg.slice() : arg
  );
  return { sql: statement.sql, args };
}
