/**
 * How the parts of a site are: each role and service reports `ok`, `degraded` or `failed` with a
 * reason; a change is logged once. `/readyz` is ready while nothing has failed; a lost link upstream
 * degrades, it does not fail.
 */
import type { Log } from "./logging.ts";

export type HealthState = "starting" | "ok" | "degraded" | "failed";

export interface PartHealth {
  readonly part: string;
  readonly state: HealthState;
  readonly detail: string;
}

export class Health {
  readonly #parts = new Map<string, PartHealth>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  report(part: string, state: HealthState, detail = ""): void {
    const before = this.#parts.get(part);
    if (before?.state === state && before.detail === detail) return;
    this.#parts.set(part, { part, state, detail });
    if (before === undefined || before.state !== state) {
      const level = state === "failed" ? "error" : state === "degraded" ? "warn" : "info";
      this.#log[level]("health changed", { part, state, detail });
    }
  }

  forget(part: string): void {
    this.#parts.delete(part);
  }

  /** Every part, in the order of its first report. */
  parts(): readonly PartHealth[] {
    return [...this.#parts.values()];
  }

  ready(): boolean {
    return this.parts().every(({ state }) => state === "ok" || state === "degraded");
  }
}
