/**
 * Notices a rival: another client that uses our client id. A broker ends the older of two connections
 * with one id and, in MQTT 3.1.1, says nothing: seen from here, connections that work are ended again
 * and again, while each new one is welcome. Both clients coming back at once would go on for ever.
 */

/** Milliseconds that an ending is remembered, unless said, and how many of them make a rival. */
const usualMemory = 30 * 60_000;
const enough = 3;

export class RivalWatch {
  readonly #memory: number;
  #endings: number[] = [];

  constructor({ memory = usualMemory }: { memory?: number } = {}) {
    this.#memory = memory;
  }

  /** How a connection, or the attempt to make one, has ended. Returns whether there is a rival. */
  ended(how: { worked: boolean; byBroker: boolean }, now: number): boolean {
    if (!how.worked && !how.byBroker) {
      // A broker that is away, or says why it refuses us, explains the endings before. One that hangs
      // up on an attempt does not: NATS does so when two clients chase each other.
      this.#endings = [];
    } else if (how.worked && how.byBroker) {
      this.#endings = [...this.#endings.slice(1 - enough), now];
    }
    return this.left(now) > 0;
  }

  /** Milliseconds until a rival counts as gone when nothing happens meanwhile; 0 when there is none. */
  left(now: number): number {
    const oldest = this.#endings.at(-enough) ?? -Infinity;
    return Math.max(0, oldest + this.#memory - now);
  }
}
