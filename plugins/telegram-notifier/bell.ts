/** Something to wait at that somebody else can ring, once for all who wait and for who comes next. */
import { pause as realPause } from "../../core/services/pause.ts";

export class Bell {
  readonly #signal: AbortSignal;
  readonly #pause: typeof realPause;
  #ring = new AbortController();

  /** @param options.signal wakes everybody for good */
  constructor(options: { signal: AbortSignal; pause: typeof realPause }) {
    this.#signal = options.signal;
    this.#pause = options.pause;
  }

  ring(): void {
    this.#ring.abort();
  }

  /** Waits for so long, or until it rings; at once if it has rung since the last time. */
  async wait(milliseconds: number): Promise<void> {
    const rung = AbortSignal.any([this.#signal, this.#ring.signal]);
    // a timer of the runtime cannot wait longer than this
    await this.#pause(Math.min(milliseconds, 0x7fffffff), rung);
    this.#ring = new AbortController();
  }
}
