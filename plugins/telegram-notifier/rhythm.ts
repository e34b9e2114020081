/**
 * When a chat is told: a little after something happened, so that what belongs together comes together;
 * and the longer it goes on happening, the more seldom. An alarm need not wait so long, a few times.
 */
import { buckets } from "../../core/services/token_bucket.ts";

/** Milliseconds between two messages, however much happens, at the most. */
const slowest = 300_000;
/** Alarms that come before their turn while much happens. */
const urgent = { perSecond: 1 / 120, burst: 2 };

/** Since when things wait, in Unix milliseconds; null when none do. */
export interface Wait {
  readonly first: number | null;
  readonly firstAlarm: number | null;
}

/** Of one chat. */
export class Rhythm {
  readonly #within: number;
  readonly #urgent = buckets(urgent, { most: 1 });
  #last = -Infinity;
  /** Between the last message and the next, while it goes on. */
  #interval: number;
  #alarmAt: number | null = null;

  /** @param within milliseconds in which events come together */
  constructor(within: number) {
    this.#within = within;
    this.#interval = within;
  }

  /** When it is time to tell, in Unix milliseconds; null when there is nothing. */
  due({ first, firstAlarm }: Wait): number | null {
    if (first === null) return null;
    // a clock that was set back keeps nobody waiting for longer than the longest pause
    const since = Math.min(this.#last, first + this.#interval);
    const isCalm = first - since >= 2 * this.#interval;
    const usual = isCalm
      ? first + this.#within
      : Math.max(first + this.#within, since + this.#next());
    if (firstAlarm === null || firstAlarm + this.#within >= usual) return usual;
    if (this.#alarmAt !== firstAlarm) {
      if (this.#urgent.take("alarm", firstAlarm) > 0) return usual;
      this.#alarmAt = firstAlarm;
    }
    return firstAlarm + this.#within;
  }

  /** It was told. @param first since when something had waited */
  told(now: number, first: number): void {
    const isCalm = first - this.#last >= 2 * this.#interval;
    this.#interval = isCalm ? this.#within : this.#next();
    this.#last = now;
    this.#alarmAt = null;
  }

  #next(): number {
    return Math.min(2 * this.#interval, Math.max(slowest, this.#within));
  }
}
