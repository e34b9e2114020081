/**
 * When strangers may apply: between opening and closing, an hour at most, or whenever the
 * configuration says so. It is kept in memory only: a site that has just started lets nobody new in
 * unless it is told to.
 */
import type { Clock } from "../../base/clock.ts";
import { PeerError } from "./_states.ts";

/** Milliseconds that it is open at the most. */
export const longestJoin = 3_600_000;

export interface JoinState {
  readonly open: boolean;
  /** When it closes, Unix milliseconds; null when it is closed, or open until somebody closes it. */
  readonly until: number | null;
}

export class JoinWindow {
  readonly #clock: Clock;
  #from: number;
  #until: number;

  /** @param options.open whether it is open to begin with, and until somebody closes it */
  constructor({ clock, open }: { clock: Clock; open: boolean }) {
    this.#clock = clock;
    [this.#from, this.#until] = open ? [-Infinity, Infinity] : [0, 0];
  }

  get state(): JoinState {
    const now = this.#clock();
    // a clock that was set back must not make it longer
    if (now < this.#from || now >= this.#until) return { open: false, until: null };
    return { open: true, until: this.#until === Infinity ? null : this.#until };
  }

  /** One that is open until somebody closes it stays so. */
  open(milliseconds: number): void {
    checkJoin(milliseconds);
    if (this.#until === Infinity) return;
    this.#from = this.#clock();
    this.#until = this.#from + milliseconds;
  }

  close(): void {
    this.#until = 0;
  }
}

/** @throws PeerError "bad_duration" */
export function checkJoin(milliseconds: number): void {
  if (Number.isInteger(milliseconds) && milliseconds > 0 && milliseconds <= longestJoin) return;
  throw new PeerError("bad_duration", "Cannot open the site to strangers: at most for an hour", {
    hint: "open it for the minutes that you need, and again if they were too few",
  });
}
