/**
 * Notices a rival: another client that uses our client id. A broker ends the older of two connections
 * with one id and, in MQTT 3.1.1, says nothing: seen from here, connections that work are ended again
 * and again, while each new one is welcome. Both clients coming back at once would go on for ever.
 */

/** Milliseconds that an ending is remembered, and how many of them make a rival. */
const memory = 30 * 60_000;
const enough = 3;

export class RivalWatch {
  #endings: number[] = [];

  /** How a connection, or the attempt to make one, has ended. Returns whether there is a rival. */
  ended(how: { worked: boolean; byBroker: boolean }, now: number): boolean {
    if (!how.worked && !how.byBroker) {
      // A broker that is away, or says why it refuses us, explains the endings before. One that hangs
      // up on an attempt does not: NATS does so when two clients chase each other.
      this.#endings = [];
    } else if (how.worked && how.byBroker) {
      this.#endings = [...this.#endings.filter((time) => time > now - memory), now];
    }
    return this.#endings.length >= enough;
  }
}
