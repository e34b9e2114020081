/** Frames that are sent again, byte for byte and ever more rarely, until something comes back. */

/** Milliseconds: how long to wait for an answer before repeating, and after a failure to send. */
const repeat = { first: 2_000, longest: 10_000 };
const retry = { first: 250, longest: 5_000 };

export class Attempt {
  readonly frames: readonly Uint8Array[];
  /** When to send them next. */
  due: number;
  /** How often they have been sent. */
  times = 0;
  #repeat = repeat.first;
  #failures = 0;

  constructor(due: number, ...frames: Uint8Array[]) {
    this.due = due;
    this.frames = frames;
  }

  sent(now: number): void {
    this.times++;
    this.due = now + this.#repeat;
    this.#repeat = Math.min(this.#repeat * 2, repeat.longest);
  }

  /** @param random in [0, 1) */
  failed(now: number, random: number): void {
    this.due = now + retryAfter(this.#failures++, random);
  }
}

/** Milliseconds to wait after so many failures, spread so that many devices do not come at once. */
export function retryAfter(failures: number, random: number): number {
  return Math.min(retry.first * 2 ** failures, retry.longest) * (0.5 + random);
}
