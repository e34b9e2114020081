/** Prints windows as they come to the cloud, each once, and again when it is revised. */
import { pause } from "../../core/services/pause.ts";
import { printJson, printLine, type Progress } from "../terminal.ts";
import type { Observer, ShownWindow } from "./observer.ts";

/** How often the cloud is asked, and how far back windows may still be revised, in milliseconds. */
const interval = 500;
const lookBack = 60_000;

export class WindowPrinter implements AsyncDisposable {
  readonly #observer: Observer;
  readonly #json: boolean;
  readonly #progress: Progress;
  readonly #revisions = new Map<number, number>();
  readonly #stopping = new AbortController();
  readonly #watching: Promise<void>;
  #from: number;

  /** Begins to watch; disposing it ends that. */
  constructor(
    observer: Observer,
    options: { json: boolean; since: number; progress: Progress },
  ) {
    this.#observer = observer;
    this.#json = options.json;
    this.#progress = options.progress;
    this.#from = options.since - lookBack;
    this.#watching = this.#watch();
  }

  /** Windows seen so far. */
  get count(): number {
    return this.#revisions.size;
  }

  /** Stops watching and prints what has come since the last look. */
  async finish(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.#print();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // a look that fails is repeated; the last one, in finish(), must not fail
      await this.#print().catch(() => {});
      await pause(interval, signal);
    }
  }

  async #print(): Promise<void> {
    for (const shown of await this.#observer.windows(this.#from)) {
      const { window: { start }, revision } = shown;
      if (this.#revisions.get(start) === revision) continue;
      this.#revisions.set(start, revision);
      this.#from = Math.max(this.#from, start - lookBack);
      this.#progress.clear();
      if (this.#json) printJson(lineOf(shown));
      else printLine(textOf(shown));
    }
  }
}

function lineOf(shown: ShownWindow) {
  const { window: { start, end }, revision, num_meters, avg_power, avg_voltage } = shown;
  return { window: { start, end, revision, num_meters, avg_power, avg_voltage } };
}

function textOf({ window, revision, num_meters, avg_power, avg_voltage }: ShownWindow): string {
  const time = new Date(window.start).toISOString().slice(11, 19);
  const meters = `${String(num_meters).padStart(2)} meters`;
  const revised = revision > 0 ? `  revision ${revision}` : "";
  return `${time}  ${meters}  ${avg_power.toFixed(3)} kW  ${avg_voltage.toFixed(2)} V${revised}`;
}
