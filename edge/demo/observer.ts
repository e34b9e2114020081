/** What can be seen of the demo from outside, over HTTP only: the demo reports nothing else. */
import type { Site } from "../../core/host/site.ts";

/** One window as `/cloud-summary/windows` shows it. */
export interface ShownWindow {
  readonly window: { readonly start: number; readonly end: number };
  readonly revision: number;
  readonly num_meters: number;
  readonly avg_power: number;
  readonly avg_voltage: number;
  readonly readings: number;
}

export interface ShownSummary {
  readonly total_packets: number;
  readonly avg_power_overall: number;
  readonly avg_voltage_overall: number;
}

/** Readings by what became of them, as the fog counts them. */
export interface ReadingCounts {
  readonly accepted: number;
  readonly refused: number;
}

export class Observer implements Disposable {
  readonly #client = Deno.createHttpClient({ poolMaxIdlePerHost: 2 });
  readonly #cloud: string;
  readonly #metrics: string;

  constructor(sites: { cloud: Site; fog: Site }) {
    this.#cloud = `http://127.0.0.1:${sites.cloud.http!.port}`;
    this.#metrics = `http://127.0.0.1:${sites.fog.admin.port}/metrics`;
  }

  async summary(): Promise<ShownSummary> {
    return await this.#json(`${this.#cloud}/summary`) as ShownSummary;
  }

  /** Every window from an instant on, oldest first. */
  async windows(from: number): Promise<ShownWindow[]> {
    const all: ShownWindow[] = [];
    let after: string | null = null;
    do {
      const query = new URLSearchParams({ from: String(from), limit: "1000" });
      if (after !== null) query.set("after", after);
      const page = await this.#json(`${this.#cloud}/cloud-summary/windows?${query}`) as {
        windows: ShownWindow[];
        next: string | null;
      };
      all.push(...page.windows);
      after = page.next;
    } while (after !== null);
    return all;
  }

  async readings(): Promise<ReadingCounts> {
    const response = await fetch(this.#metrics, { client: this.#client });
    const text = await response.text();
    const sum = (name: string) => {
      let total = 0;
      for (const [, value] of text.matchAll(new RegExp(`^${name}(?:{[^}]*})? (\\d+)$`, "gm"))) {
        total += Number(value);
      }
      return total;
    };
    return {
      accepted: sum("edgeward_readings_accepted_total"),
      refused: sum("edgeward_readings_refused_total"),
    };
  }

  async #json(url: string): Promise<unknown> {
    const response = await fetch(url, { client: this.#client });
    if (!response.ok) throw new Error(`Cannot observe the demo: ${url} says ${response.status}`);
    return await response.json();
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
