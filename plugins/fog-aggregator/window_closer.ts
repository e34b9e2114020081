/**
 * Closes windows: waits until one is over, its grace included, sums it up and puts the signed summary
 * into the outbox. A window that gets a late reading is closed again, as a revision. What is due is
 * read from the database at the start, so a crash delays a window and loses nothing.
 */
import type { Host } from "../../core/host/plugin.ts";
import { messageOf } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import { pause } from "../../core/services/pause.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { encodeSummary, summaryType } from "../../core/wire/summary.ts";
import type { Config } from "./config.ts";
import type { Link, Store } from "./store.ts";
import type { WindowFigures } from "../../core/wire/summary.ts";
import { closesAt } from "./window.ts";

/** How often the clock is looked at, and how long to wait after a failure. */
const tick = 250;
const pauseAfterFailure = 5_000;

export class WindowCloser {
  readonly #host: Host;
  readonly #config: Config;
  readonly #store: Store;
  readonly #hears: { summary: () => void; trouble: (trouble: string | null) => void };
  readonly #dirty = new Set<number>();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  /** @param hears of every summary in the outbox, and of what keeps windows open, or null */
  constructor(host: Host, config: Config, store: Store, hears: {
    summary: () => void;
    trouble: (trouble: string | null) => void;
  }) {
    this.#host = host;
    this.#config = config;
    this.#store = store;
    this.#hears = hears;
  }

  /** These windows have readings that no summary holds yet. */
  expect(starts: Iterable<number>): void {
    for (const start of starts) this.#dirty.add(start);
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
    let known = false;
    while (!signal.aborted) {
      try {
        if (!known) this.expect(await this.#store.dirtyWindows());
        known = true;
        await this.#closeDue();
        this.#hears.trouble(null);
        await pause(tick, signal);
      } catch (error) {
        this.#host.log.error("a window could not be closed", { error });
        this.#hears.trouble(`windows wait: ${messageOf(error)}`);
        known = false;
        await pause(pauseAfterFailure, signal);
      }
    }
  }

  async #closeDue(): Promise<void> {
    const now = this.#host.clock();
    const due = [...this.#dirty].filter((start) => closesAt(start, this.#config) <= now);
    for (const start of due.sort((a, b) => a - b)) {
      if (this.#stopping.signal.aborted) return;
      // forgotten first: a reading that arrives meanwhile makes it dirty again
      this.#dirty.delete(start);
      const closed = await this.#store.close(start, (...link) => this.#sign(start, ...link));
      if (closed === null) continue;
      const { revision, figures: { n, num_meters, sum_power_W, sum_voltage_mV } } = closed;
      this.#host.bus.emit({
        type: "fog.window_closed",
        severity: "info",
        subject: this.#host.site,
        detail: {
          window: { start, end: start + this.#config.window },
          revision,
          num_meters,
          n,
          sum_power_W,
          sum_voltage_mV,
        },
      });
      this.#hears.summary();
    }
  }

  #sign(start: number, figures: WindowFigures, revision: number, last: Link) {
    const { suite, identity, site } = this.#host;
    const seq = last.seq + 1;
    const payload = encodeSummary({
      ...figures,
      fog_id: parseId(site),
      epoch: last.epoch,
      seq,
      window: { start, end: start + this.#config.window },
      revision,
      prev: last.hash,
    });
    const statement = signStatement(suite, identity.signer, summaryType, payload);
    return { seq, hash: suite.sha256(statement), statement };
  }
}
