/**
 * Closes windows: waits until one is over, its grace included, sums it up and puts the signed summary
 * into the outbox. A window that gets late readings is closed again, as a revision, when the grace has
 * passed once more: corrections go together. What is due is read from the database, so a crash delays
 * a window and loses nothing, and a backlog takes no memory. While the fog does not know the time,
 * windows wait.
 */
import type { Host } from "../../core/host/plugin.ts";
import { messageOf } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import { DatabaseError } from "../../core/services/db/mod.ts";
import { pause } from "../../core/services/pause.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { encodeSummary, summaryType } from "../../core/wire/summary.ts";
import { type Closed, type Closing, longestPostponement, type Store } from "./store.ts";

/** How often to look for windows, and how long to wait after a failure. */
const tick = 250;
const pauseAfterFailure = 5_000;
/** Windows read at a time, and settled in one transaction at the most. */
const pageSize = 64;
const groupLimit = 32;
/** A transaction with several windows should be over after so many milliseconds: readings wait. */
const patience = 100;
/** Windows that are remembered as failing at the most. */
const failingLimit = 100;
const crowded = "summaries have no room for all registers: share the meters out among several " +
  "fogs, and look for one whose readings have many gaps";

export interface CloserOptions {
  /** Windows wait while there is a doubt. */
  readonly clock: { now(): number; readonly doubt: string | null };
  /** Milliseconds. */
  readonly grace: number;
  /** Hears that there are new summaries in the outbox. */
  readonly summary: () => void;
  /** Hears what keeps windows open, or null. */
  readonly trouble: (trouble: string | null) => void;
  /** Hears how many readings of a window went back without saying why. */
  readonly decreases?: (count: number) => void;
}

export type CloserHost = Pick<Host, "site" | "suite" | "identity" | "bus" | "log">;

export class WindowCloser {
  readonly #host: CloserHost;
  readonly #store: Pick<Store, "due" | "close" | "postpone">;
  readonly #options: CloserOptions;
  readonly #failing = new Map<number, string>();
  readonly #stopping = new AbortController();
  #together = 1;
  /** Whether there was no room for some of the last window. */
  #isCrowded = false;
  #running: Promise<void> | undefined;

  constructor(
    host: CloserHost,
    store: Pick<Store, "due" | "close" | "postpone">,
    options: CloserOptions,
  ) {
    this.#host = host;
    this.#store = store;
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const more = this.#options.clock.doubt === null && await this.closeDue();
        this.#options.trouble(this.#trouble());
        await pause(more ? 0 : tick, signal);
      } catch (error) {
        this.#host.log.error("windows cannot be closed", { error });
        this.#options.trouble(`windows wait: ${messageOf(error)}`);
        await pause(pauseAfterFailure, signal);
      }
    }
  }

  /** Closes a page of the windows that are due. @returns whether there may be more */
  async closeDue(): Promise<boolean> {
    const { clock, grace } = this.#options;
    const due = await this.#store.due({ now: clock.now(), grace, limit: pageSize });
    for (let i = 0; i < due.length && !this.#stopping.signal.aborted;) {
      const group = due.slice(i, i += this.#together);
      const began = performance.now();
      await Promise.all(group.map((start) => this.#close(start)));
      const took = performance.now() - began;
      this.#together = took > patience
        ? Math.max(1, this.#together >> 1)
        : Math.min(groupLimit, this.#together * 2);
    }
    return due.length >= pageSize;
  }

  /** @throws DatabaseError when the database does not work: then others need not be tried */
  async #close(start: number): Promise<void> {
    try {
      const closed = await this.#store.close(start, (closing) => this.#sign(closing));
      this.#failing.delete(start);
      if (closed !== null) this.#tell(closed);
    } catch (error) {
      if (error instanceof DatabaseError && error.code !== "db_failed") throw error;
      this.#host.log.error("a window could not be closed; it is tried again", { start, error });
      const why = messageOf(error);
      if (this.#failing.size < failingLimit) this.#failing.set(start, why);
      await this.#store.postpone(start, this.#options.clock.now() + longestPostponement);
    }
  }

  #tell({ window, revision, figures, decreases, decreasing, leftOut }: Closed): void {
    const { n, num_meters, sum_power_W, sum_voltage_mV } = figures;
    this.#host.bus.emit({
      type: "fog.window_closed",
      severity: "info",
      subject: this.#host.site,
      detail: { window, revision, num_meters, n, sum_power_W, sum_voltage_mV },
    });
    if (decreases > 0) {
      const registers = decreasing.join(" ");
      this.#host.log.warn("registers went back, and count no energy there", {
        window,
        decreases,
        registers,
      });
      this.#options.decreases?.(decreases);
    }
    this.#isCrowded = leftOut.length > 0;
    if (this.#isCrowded) {
      const registers = leftOut.join(" ");
      this.#host.log.error("a summary has no room for all that was read", { window, registers });
    }
    this.#options.summary();
  }

  #trouble(): string | null {
    const [failing] = this.#failing;
    if (failing === undefined) return this.#isCrowded ? crowded : null;
    const [start, why] = failing;
    const others = this.#failing.size - 1;
    const more = others === 0 ? "" : `, and ${others} more`;
    return `the window of ${new Date(start).toISOString()} waits${more}: ${why}`;
  }

  #sign({ window, revision, figures, last }: Closing) {
    const { suite, identity, site } = this.#host;
    const seq = last.seq + 1;
    const payload = encodeSummary({
      ...figures,
      fog_id: parseId(site),
      epoch: last.epoch,
      seq,
      window,
      revision,
      prev: last.hash,
    });
    const statement = signStatement(suite, identity.signer, summaryType, payload);
    return { seq, hash: suite.sha256(statement), statement };
  }
}
