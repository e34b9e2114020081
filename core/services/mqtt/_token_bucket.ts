/**
 * A token bucket that lends: whoever finds it not empty may take any amount, and waits until the debt
 * is paid. So a packet larger than the bucket passes, and the rate holds all the same.
 */
export class TokenBucket {
  readonly #perMillisecond: number;
  readonly #size: number;
  #level: number;
  #at: number;

  /** @param rate tokens per second @param size tokens that may be taken at once @param now milliseconds */
  constructor({ rate, size }: { rate: number; size: number }, now: number) {
    this.#perMillisecond = rate / 1_000;
    this.#size = size;
    this.#level = size;
    this.#at = now;
  }

  /** Milliseconds until something may be taken; 0 is now. */
  wait(now: number): number {
    this.#level = Math.min(this.#size, this.#level + (now - this.#at) * this.#perMillisecond);
    this.#at = now;
    return this.#level > 0 ? 0 : Math.ceil((1 - this.#level) / this.#perMillisecond);
  }

  take(amount: number): void {
    this.#level -= amount;
  }
}
