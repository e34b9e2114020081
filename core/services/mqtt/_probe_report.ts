/**
 * Probes a broker elsewhere when the site first reaches it and reports once what it does not do. A
 * probe that fails says nothing about the broker; the next connection tries again.
 */
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../logging.ts";
import { type BrokerFacts, largestMessage, probeBroker, type ProbeOptions } from "./_probe.ts";

export interface ProbeReportOptions extends Omit<ProbeOptions, "signal"> {
  readonly log: Log;
  /** Hears what the broker falls short of, as a sentence part; not called when all is well. */
  readonly onShortcoming: (what: string) => void;
}

export class ProbeReport implements AsyncDisposable {
  readonly #options: ProbeReportOptions;
  readonly #stop = new AbortController();
  #running: Promise<boolean> | undefined;

  constructor(options: ProbeReportOptions) {
    this.#options = options;
  }

  /** Call it whenever the connection is up. */
  begin(): void {
    if (this.#stop.signal.aborted) return;
    const before = this.#running ?? Promise.resolve(false);
    this.#running = before.then((isDone) => isDone || this.#run());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Whether it came to a result. */
  async #run(): Promise<boolean> {
    const { log, url, onShortcoming } = this.#options;
    const { signal } = this.#stop;
    if (signal.aborted) return false;
    try {
      const facts = await probeBroker({ ...this.#options, signal });
      if (signal.aborted) return false;
      const what = shortcomings(facts);
      if (what === "") {
        log.info("MQTT broker probed", { broker: url.text, ...facts });
      } else {
        log.warn("MQTT broker falls short", { broker: url.text, what });
        onShortcoming(what);
      }
      return true;
    } catch (error) {
      log.debug("MQTT broker not probed", { broker: url.text, error: messageOf(error) });
      return false;
    }
  }
}

function shortcomings({ wildcards, delivers, largeMessages }: BrokerFacts): string {
  const found: string[] = [];
  if (!wildcards) found.push("it refuses subscriptions with a wildcard below edgeward/");
  if (!delivers) found.push("a message below edgeward/ does not come back to its sender");
  if (delivers && !largeMessages) {
    found.push(`a message of ${largestMessage} bytes does not arrive`);
  }
  return found.join("; ");
}
