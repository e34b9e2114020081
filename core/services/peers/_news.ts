/** What is worth telling people of those who come, when anybody can come as often as they like. */
import type { Clock } from "../../base/clock.ts";

/** Newcomers that are announced in a minute: more would only be noise. */
const announcements = { limit: 10, within: 60_000 };
/** Of one name again after this time. */
const silence = 15 * 60_000;
const namesLimit = 1_000;

export class News {
  readonly #clock: Clock;
  #told: number[] = [];
  /** When a name was new, oldest first. */
  readonly #names = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether there is room for one more announcement; then it is taken. */
  take(): boolean {
    const now = this.#clock();
    this.#told = this.#told.filter((t) => isWithin(announcements.within, t, now));
    if (this.#told.length >= announcements.limit) return false;
    this.#told.push(now);
    return true;
  }

  /** Whether nothing was heard of this name for a while. */
  isNew(name: string): boolean {
    const now = this.#clock();
    const before = this.#names.get(name);
    if (before !== undefined && isWithin(silence, before, now)) return false;
    this.#names.delete(name);
    this.#names.set(name, now);
    const [oldest] = this.#names.keys();
    if (this.#names.size > namesLimit) this.#names.delete(oldest!);
    return true;
  }
}

/** A clock that was set back, and by how much nobody knows, makes nothing last. */
function isWithin(time: number, t: number, now: number): boolean {
  return Math.abs(now - t) < time;
}
