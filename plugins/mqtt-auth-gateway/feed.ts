/**
 * What has happened lately, in order: each message has a number, so that a listener who was away for a
 * moment goes on where it stopped. The last 1,000 are kept, or fewer where they are long.
 */
import type { Clock } from "../../core/base/clock.ts";

/** Plain data that can be shown; no secrets. */
export type Message = { readonly type: string } & Readonly<Record<string, unknown>>;

const kept = 1_000;
const keptLength = 4 * 1024 * 1024;
/** Messages of one type that are told in a second; the others are only counted. */
const perSecond = 50;

export class Feed {
  readonly #clock: Clock;
  readonly #listeners = new Set<(text: string) => void>();
  /** Consecutive, oldest first. */
  #texts: string[] = [];
  #length = 0;
  #seq: number;
  /** How many of a type came in the present second, and how many of them were not told. */
  readonly #counts = new Map<string, { second: number; told: number; skipped: number }>();

  constructor({ clock }: { clock: Clock }) {
    this.#clock = clock;
    // beyond all that an earlier run has told: its numbers are too old here, not wrong
    this.#seq = Math.max(0, Math.floor(clock())) * 1_000;
  }

  /** The number of the last message. */
  get seq(): number {
    return this.#seq;
  }

  /** Tells a message, unless there are too many of its type: then how many were left out, later. */
  tell(message: Message): void {
    const skipped = this.#skipped(message.type);
    if (skipped !== null) this.#tell(message, skipped);
  }

  /** A second has passed: tells of what was left out, where nothing came that could. */
  tick(): void {
    const second = this.#second();
    for (const [type, count] of [...this.#counts]) {
      if (count.second === second) continue;
      this.#counts.delete(type);
      if (count.skipped > 0) this.#tell({ type }, count.skipped);
    }
  }

  #tell(message: Message, skipped: number): void {
    const text = JSON.stringify({
      seq: ++this.#seq,
      t: this.#clock(),
      ...message,
      ...(skipped > 0 && { skipped }),
    });
    this.#texts.push(text);
    this.#length += text.length;
    let old = 0;
    for (; this.#texts.length - old > kept || this.#length > keptLength; old++) {
      this.#length -= this.#texts[old]!.length;
    }
    // in one go: taking them off one by one would move all the others each time
    if (old > 0) this.#texts = this.#texts.slice(old);
    for (const listener of this.#listeners) listener(text);
  }

  /**
   * Listens from now on, or from behind a message. What is asked for and no longer there is said to be
   * so: whoever hears `reset` looks at everything anew.
   * @param after the number of the last message that the listener has
   */
  listen(listener: (text: string) => void, after: number | null = null): () => void {
    const missing = after === null ? 0 : this.#seq - after;
    if (after === null) {
      listener(JSON.stringify({ seq: this.#seq, type: "hello" }));
    } else if (missing < 0 || missing > this.#texts.length) {
      listener(JSON.stringify({ seq: this.#seq, type: "hello", reset: true }));
    } else if (missing > 0) {
      for (const text of this.#texts.slice(-missing)) listener(text);
    }
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #second(): number {
    return Math.floor(this.#clock() / 1_000);
  }

  /** Counts a message. Gives how many of its type were left out before it; null to leave it out too. */
  #skipped(type: string): number | null {
    const second = this.#second();
    const before = this.#counts.get(type);
    const count = before?.second === second
      ? before
      : { second, told: 0, skipped: before?.skipped ?? 0 };
    this.#counts.set(type, count);
    if (count.told >= perSecond) {
      count.skipped++;
      return null;
    }
    count.told++;
    const { skipped } = count;
    count.skipped = 0;
    return skipped;
  }
}
