/**
 * How the database is. A trouble is told at once; that it is over is told when a probe has got
 * through, which is tried again and again with growing pauses, so that nobody's data has to fail first.
 */
import { messageOf } from "../../base/errors.ts";
import { DatabaseError } from "./_errors.ts";
import type { pause } from "../pause.ts";

/** Milliseconds from a trouble to the first probe, between two of them at the most, between glances. */
const firstProbe = 1_000;
const longestPause = 30_000;
const glance = 10_000;

export class Condition {
  readonly #tell: (trouble: string | null) => void;
  readonly #pause: typeof pause;
  readonly #probe: () => Promise<unknown>;
  readonly #closing = new AbortController();
  readonly #watching: Promise<void>;
  #healing: Promise<void> | undefined;
  #trouble: string | null | undefined;
  #failures = 0;

  /**
   * @param options.probe fails, and reports that here, while writes fail
   * @param options.look throws what can be seen without writing, now and then
   */
  constructor(options: {
    tell: (trouble: string | null) => void;
    pause: typeof pause;
    probe: () => Promise<unknown>;
    look: () => void;
  }) {
    this.#tell = options.tell;
    this.#pause = options.pause;
    this.#probe = options.probe;
    this.#watching = this.#watch(options.look);
  }

  /** A write got through: the first one says that all is well. */
  works(): void {
    if (this.#trouble === undefined) this.#say(null);
  }

  /** Writes fail. */
  fails(error: unknown): void {
    this.#failures++;
    this.#say(messageOf(error));
    // what is damaged stays so, whatever a probe may manage to write elsewhere in the file
    const isLasting = error instanceof DatabaseError && error.code === "db_damaged";
    if (isLasting) this.#closing.abort();
    else if (!this.#closing.signal.aborted) this.#healing ??= this.#heal();
  }

  /** Ends the probes. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#healing, this.#watching]);
  }

  #say(trouble: string | null): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#tell(trouble);
  }

  async #heal(): Promise<void> {
    const { signal } = this.#closing;
    for (let wait = firstProbe;; wait = Math.min(2 * wait, longestPause)) {
      await this.#pause(wait, signal);
      if (signal.aborted) break;
      const failures = this.#failures;
      // a neighbour of the probe may fail where the probe does not
      const passed = await this.#probe().then(() => failures === this.#failures, () => false);
      if (!passed) continue;
      this.#say(null);
      break;
    }
    this.#healing = undefined;
  }

  async #watch(look: () => void): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      await this.#pause(glance, signal);
      if (signal.aborted) return;
      try {
        look();
      } catch (error) {
        this.fails(error);
      }
    }
  }
}
