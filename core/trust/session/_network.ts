/**
 * A network for the worlds of this folder, in virtual time: it loses, repeats, reorders, delays and
 * alters frames, all following from a seed.
 */

/** How likely each thing happens to a frame on its way, in [0, 1), and milliseconds it may take. */
export interface Faults {
  readonly loss: number;
  readonly repeat: number;
  readonly corrupt: number;
  readonly delay: number;
}

interface Flying {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly up: boolean;
}

export class Network {
  readonly random: () => number;
  faults: Faults = { loss: 0, repeat: 0, corrupt: 0, delay: 10 };
  readonly #flying: Flying[] = [];

  constructor(seed: number) {
    this.random = seeded(seed);
  }

  /** Sends a frame off. @param up from the device to the site */
  carry(now: number, frame: Uint8Array, up: boolean): void {
    const { loss, repeat, corrupt, delay } = this.faults;
    for (let copies = this.random() < repeat ? 2 : 1; copies > 0; copies--) {
      if (this.random() < loss) continue;
      const bytes = frame.slice();
      if (this.random() < corrupt) {
        bytes[Math.floor(this.random() * bytes.length)]! ^= 1 + Math.floor(this.random() * 255);
      }
      this.#flying.push({ at: now + 1 + this.random() * delay, bytes, up });
    }
  }

  /** When the next frame arrives. */
  get due(): number {
    this.#flying.sort((a, b) => a.at - b.at);
    return this.#flying[0]?.at ?? Infinity;
  }

  /** The next frame, if it has arrived. */
  take(now: number): Flying | undefined {
    return this.due <= now ? this.#flying.shift() : undefined;
  }
}

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}
