/**
 * What a bot has yet to be told. An update stays until a later request names a higher number, however
 * often it was handed out before; only one request may wait for more at a time.
 */
import { BotApiRefusal } from "./_bot_refusal.ts";

export type UpdateKind = "message" | "callback_query" | "my_chat_member";

export interface Update {
  readonly update_id: number;
  readonly [kind: string]: unknown;
}

interface Waiting {
  readonly offset: number;
  readonly limit: number;
  readonly answer: (updates: readonly Update[]) => void;
  readonly refuse: (why: BotApiRefusal) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

export class Updates {
  #queue: Update[] = [];
  // as the real ones, they do not begin at 1
  #last = 700_000_000;
  #allowed: ReadonlySet<string> | null = null;
  #waiting: Waiting | null = null;

  /** Updates that were not confirmed. */
  get unconfirmed(): number {
    return this.#queue.length;
  }

  /** Whether a request waits for more. */
  get isAwaited(): boolean {
    return this.#waiting !== null;
  }

  add(kind: UpdateKind, value: unknown): void {
    if (this.#allowed !== null && !this.#allowed.has(kind)) return;
    this.#queue.push({ update_id: ++this.#last, [kind]: value });
    const waiting = this.#waiting;
    if (waiting === null) return;
    const updates = this.#from(waiting.offset).slice(0, waiting.limit);
    if (updates.length > 0) this.#finish(waiting, updates);
  }

  /**
   * @param params.timeout seconds to wait for the first one
   * @throws BotApiRefusal 409, when another request comes to wait
   */
  get(params: {
    readonly offset: number;
    readonly limit: number;
    readonly timeout: number;
    readonly allowed: readonly string[] | undefined;
  }): Promise<readonly Update[]> {
    const { offset, limit, timeout, allowed } = params;
    // without a list it stays as it was; an empty list is all
    if (allowed !== undefined) this.#allowed = allowed.length === 0 ? null : new Set(allowed);
    if (offset < 0) this.#queue = this.#queue.slice(offset);
    if (offset > 0) this.#queue = this.#from(offset);
    const updates = this.#queue.slice(0, limit);
    if (updates.length > 0 || timeout === 0) return Promise.resolve(updates);
    this.#refuse(
      "Conflict: terminated by other getUpdates request; make sure that only one bot instance is " +
        "running",
    );
    return new Promise((answer, refuse) => {
      const timer = setTimeout(() => this.#finish(waiting, []), timeout * 1_000);
      const waiting: Waiting = { offset, limit, answer, refuse, timer };
      this.#waiting = waiting;
    });
  }

  /** Ends the request that waits, as when its connection is gone. */
  hangUp(): void {
    if (this.#waiting !== null) this.#finish(this.#waiting, []);
  }

  #from(offset: number): Update[] {
    return this.#queue.filter(({ update_id }) => update_id >= offset);
  }

  #finish(waiting: Waiting, updates: readonly Update[]): void {
    clearTimeout(waiting.timer);
    this.#waiting = null;
    waiting.answer(updates);
  }

  #refuse(description: string): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    clearTimeout(waiting.timer);
    this.#waiting = null;
    waiting.refuse(new BotApiRefusal(409, description));
  }
}
