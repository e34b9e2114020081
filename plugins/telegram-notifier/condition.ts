/** How the role is: what is wrong with its parts, the worst first; well when nothing is. */
import type { Host, RoleState } from "../../core/host/plugin.ts";

export interface Trouble {
  readonly state: Exclude<RoleState, "ok">;
  /** A sentence part, with the next step. */
  readonly detail: string;
}

export class Condition {
  readonly #report: Host["report"];
  readonly #troubles = new Map<string, Trouble>();

  constructor(report: Host["report"]) {
    this.#report = report;
  }

  /** Says how a part is. @param trouble null when it is well */
  say(part: string, trouble: Trouble | null): void {
    if (trouble === null) this.#troubles.delete(part);
    else this.#troubles.set(part, trouble);
    const all = [...this.#troubles.values()];
    const isFailed = all.some(({ state }) => state === "failed");
    const state = isFailed ? "failed" : all.length > 0 ? "degraded" : "ok";
    const sorted = all.toSorted((a, b) =>
      Number(b.state === "failed") - Number(a.state === "failed")
    );
    this.#report(state, [...new Set(sorted.map(({ detail }) => detail))].join("; "));
  }
}
