/**
 * Probes a broker elsewhere whenever the site has reached it anew, because it may have been changed
 * meanwhile, and reports what it finds. A probe that fails says nothing about the broker.
 */
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../logging.ts";
import { type BrokerFacts, probeBroker, type ProbeOptions } from "./_probe.ts";
import { shortcomingsOf } from "./_shortcomings.ts";

export interface ProbeReportOptions extends Omit<ProbeOptions, "signal"> {
  readonly log: Log;
  /** Hears what the broker does, and what it falls short of as a sentence part, "" when all is well. */
  readonly onFacts: (facts: BrokerFacts, shortcomings: string) => void;
}

export class ProbeReport implements AsyncDisposable {
  readonly #options: ProbeReportOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #isWanted = false;
  #last = "";

  constructor(options: ProbeReportOptions) {
    this.#options = options;
  }

  /** Call it whenever the connection is up. */
  begin(): void {
    this.#isWanted = true;
    this.#running ??= this.#runs().finally(() => this.#running = undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #runs(): Promise<void> {
    while (this.#isWanted && !this.#stop.signal.aborted) {
      this.#isWanted = false;
      await this.#run();
    }
  }

  async #run(): Promise<void> {
    const { log, url, onFacts } = this.#options;
    const { signal } = this.#stop;
    try {
      const facts = await probeBroker({ ...this.#options, signal });
      if (signal.aborted) return;
      const what = shortcomingsOf(facts).map(({ what }) => what).join("; ");
      const text = JSON.stringify(facts);
      if (text !== this.#last && what === "") {
        log.info("MQTT broker probed", { broker: url.text, ...facts });
      } else if (text !== this.#last) {
        log.warn("MQTT broker falls short", { broker: url.text, what });
      }
      this.#last = text;
      onFacts(facts, what);
    } catch (error) {
      log.debug("MQTT broker not probed", { broker: url.text, error: messageOf(error) });
    }
  }
}
