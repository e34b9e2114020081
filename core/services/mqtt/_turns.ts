/**
 * Lets expensive work run a few at a time. What comes when too many wait is turned away, and each
 * party may have only some of it waiting or running, so that none can fill the queue.
 */
export interface TurnLimits {
  /** Runs at the same time. */
  readonly atOnce: number;
  /** Waits. */
  readonly waiting: number;
  /** Runs or waits for the same party. */
  readonly perParty: number;
}

export class Turns {
  readonly #limits: TurnLimits;
  readonly #parties = new Map<string, number>();
  readonly #waiting: (() => void)[] = [];
  readonly #all = new Set<Promise<void>>();
  #running = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** Runs the work when it is its turn; undefined when it is turned away. */
  take<T>(party: string, work: () => Promise<T>): Promise<T> | undefined {
    const { waiting, perParty } = this.#limits;
    const mine = this.#parties.get(party) ?? 0;
    if (mine >= perParty || this.#waiting.length >= waiting) return undefined;
    this.#parties.set(party, mine + 1);
    const result = this.#run(party, work);
    const over: Promise<void> = result.then(() => {}, () => {}).then(() => {
      this.#all.delete(over);
    });
    this.#all.add(over);
    return result;
  }

  /** Resolves when nothing runs or waits any more. */
  async idle(): Promise<void> {
    while (this.#all.size > 0) await Promise.all(this.#all);
  }

  async #run<T>(party: string, work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limits.atOnce) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await work();
    } finally {
      const left = this.#parties.get(party)! - 1;
      if (left === 0) this.#parties.delete(party);
      else this.#parties.set(party, left);
      // The place goes to whoever waits longest, or becomes free.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
