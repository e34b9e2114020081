/** What one chat is answered: first come, first served, and not kept: whoever has no answer asks again. */
import type { Bell } from "./bell.ts";
import type { Html } from "./markup.ts";
import type { Source, Work } from "./work.ts";

/** Answers that wait at the most; more are not given. */
const most = 20;

export class Replies implements Source {
  readonly #bell: Pick<Bell, "ring">;
  readonly #queue: { html: Html; message?: number }[] = [];

  constructor(bell: Pick<Bell, "ring">) {
    this.#bell = bell;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** @param message one that is changed, and has no buttons then */
  add(html: Html, message?: number): void {
    if (this.#queue.length >= most) return;
    this.#queue.push({ html, ...(message !== undefined && { message }) });
    this.#bell.ring();
  }

  next(): Work | null {
    const [first] = this.#queue;
    if (first === undefined) return null;
    const over = () => {
      const at = this.#queue.indexOf(first);
      if (at >= 0) this.#queue.splice(at, 1);
    };
    return { ...first, done: over, dropped: over };
  }
}
