/**
 * Which denials are written down. The first one of a device for a reason is; what follows is counted, and
 * at most once a minute the count is: a device that asks without end fills no disk and hides nothing.
 */
import type { Clock } from "../../core/base/clock.ts";

interface Tally {
  readonly device: string;
  readonly reason: string;
  /** When one was written last. */
  at: number;
  /** Not written yet. */
  count: number;
}

/** Denials of one device for one reason, to be written as one entry. */
export interface DenialCount {
  readonly device: string;
  readonly reason: string;
  readonly count: number;
}

const interval = 60_000;
/** Devices are enrolled and reasons few; this is for sites with very many of them. */
const limit = 10_000;

export class Denials {
  readonly #monotonic: Clock;
  readonly #limit: number;
  /** Oldest first. */
  readonly #tallies = new Map<string, Tally>();

  /** @param monotonic milliseconds that never go backwards */
  constructor(monotonic: Clock, options: { limit?: number } = {}) {
    this.#monotonic = monotonic;
    this.#limit = options.limit ?? limit;
  }

  /** Whether one more would be written. */
  isDue(device: string, reason: string): boolean {
    const tally = this.#tallies.get(`${device} ${reason}`);
    return tally === undefined || this.#monotonic() - tally.at >= interval;
  }

  /** Counts one. Gives what is to be written now, or null. */
  note(device: string, reason: string): DenialCount | null {
    const key = `${device} ${reason}`;
    const isDue = this.isDue(device, reason);
    const count = (this.#tallies.get(key)?.count ?? 0) + 1;
    const at = isDue ? this.#monotonic() : this.#tallies.get(key)!.at;
    this.#put({ device, reason, at, count: isDue ? 0 : count });
    return isDue ? { device, reason, count } : null;
  }

  /** They were not written after all: the next ones count them. */
  failed({ device, reason, count }: DenialCount): void {
    const tally = this.#tallies.get(`${device} ${reason}`);
    this.#put({ device, reason, at: -Infinity, count: (tally?.count ?? 0) + count });
  }

  /**
   * What has been waiting for a minute, to be written now. Forgets who has been quiet.
   * @param isLast whether all of it is, because nobody will ask again
   */
  flush(isLast = false): DenialCount[] {
    const now = this.#monotonic();
    const due: DenialCount[] = [];
    for (const [key, { device, reason, at, count }] of this.#tallies) {
      if (now - at < interval && !isLast) continue;
      this.#tallies.delete(key);
      if (count > 0) {
        due.push({ device, reason, count });
        this.#put({ device, reason, at: now, count: 0 });
      }
    }
    return due;
  }

  #put(tally: Tally): void {
    const key = `${tally.device} ${tally.reason}`;
    this.#tallies.delete(key);
    this.#tallies.set(key, tally);
    if (this.#tallies.size > this.#limit) {
      this.#tallies.delete(this.#tallies.keys().next().value!);
    }
  }
}
