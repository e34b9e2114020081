/**
 * Time that passes when the test says so, for everything in this process that asks the runtime for it:
 * timers and the monotonic clock. A month of roles that wait and repeat takes as long as their work.
 */

interface Timer {
  readonly due: number;
  readonly run: () => void;
}

export class VirtualTime implements Disposable {
  readonly #real = { setTimeout, clearTimeout, now: performance.now };
  readonly #timers = new Map<number, Timer>();
  #elapsed = 0;
  #lastTimer = 0;

  /** Takes the runtime's timers over, until it is disposed of. */
  constructor() {
    const set = (run: (...parts: unknown[]) => void, wait = 0, ...parts: unknown[]) => {
      this.#timers.set(++this.#lastTimer, {
        due: this.#elapsed + Math.max(0, wait),
        run: () => run(...parts),
      });
      return this.#lastTimer;
    };
    globalThis.setTimeout = set as unknown as typeof setTimeout;
    globalThis.clearTimeout = (timer) => void this.#timers.delete(timer as number);
    performance.now = () => this.#elapsed;
  }

  /** Milliseconds since it was made. */
  get elapsed(): number {
    return this.#elapsed;
  }

  /** Lets time pass, and runs each timer that is due by then. */
  pass(milliseconds: number): void {
    this.#elapsed += milliseconds;
    const due = [...this.#timers].filter(([, timer]) => timer.due <= this.#elapsed)
      .sort(([, a], [, b]) => a.due - b.due);
    for (const [id, { run }] of due) if (this.#timers.delete(id)) run();
  }

  /** Gives the process a turn, in real time. */
  turn(milliseconds = 0): Promise<void> {
    return new Promise((resolve) =>
      void this.#real.setTimeout.call(globalThis, resolve, milliseconds)
    );
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = this.#real.setTimeout;
    globalThis.clearTimeout = this.#real.clearTimeout;
    performance.now = this.#real.now;
  }
}
