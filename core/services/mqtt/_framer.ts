/**
 * Cuts what a client sends into whole packets, looking at fixed headers only (MQTT 3.1.1 §2.2). What
 * may not come from a client, or is too large, is refused by its header, before any of it is kept.
 */
import { MqttError } from "./_errors.ts";

/** Packets that carry topics and a will, and no message of their own. */
const controlLimit = 16 * 1024;

export class Framer {
  readonly #limit: number;
  /** What has come and is not handed out: a part of a chunk, or `#own` up to its length. */
  #held: Uint8Array = new Uint8Array();
  /** The buffer that an unfinished packet grows in. */
  #own: Uint8Array | undefined;

  /** @param limit bytes of a PUBLISH with its header */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes the next bytes. Call it only when `next()` has nothing left. */
  push(bytes: Uint8Array): void {
    const before = this.#held.length;
    if (before === 0) {
      this.#held = bytes;
      return;
    }
    const length = before + bytes.length;
    if (this.#own === undefined || this.#own.length < length) {
      const grown = new Uint8Array(Math.max(length, 2 * before));
      grown.set(this.#held);
      this.#own = grown;
    }
    this.#own.set(bytes, before);
    this.#held = this.#own.subarray(0, length);
  }

  /** The next whole packet, if it has come. @throws MqttError "mqtt_packet", "mqtt_too_large" */
  next(): Uint8Array | undefined {
    const size = this.#size();
    if (size === undefined || this.#held.length < size) {
      this.#keep();
      return undefined;
    }
    const packet = this.#held.subarray(0, size);
    this.#held = this.#held.subarray(size);
    // The packet may live on in its reader, so its buffer is not written to again.
    this.#own = undefined;
    return packet;
  }

  /** Bytes of the packet that comes next, when its header is complete. */
  #size(): number | undefined {
    const bytes = this.#held;
    if (bytes.length === 0) return undefined;
    const limit = limitOf(bytes[0]!, this.#limit);
    let length = 0;
    for (let i = 1; i < bytes.length; i++) {
      if (i > 4) throw new MqttError("mqtt_packet", "a length field of more than four bytes");
      const byte = bytes[i]!;
      length += (byte & 0x7f) * 128 ** (i - 1);
      const size = i + 1 + length;
      if (size > limit) {
        throw new MqttError("mqtt_too_large", `a packet of ${size} bytes or more, not ${limit}`);
      }
      if ((byte & 0x80) === 0) return size;
    }
    return undefined;
  }

  /** Keeps the rest of a chunk by itself, so that it does not hold the chunk in memory. */
  #keep(): void {
    if (this.#own !== undefined || this.#held.length === 0) return;
    this.#own = this.#held.slice();
    this.#held = this.#own;
  }
}

/** The most bytes of a packet with this first byte. */
function limitOf(first: number, publish: number): number {
  switch (first >> 4) {
    case 3: // PUBLISH
      return publish;
    case 1: // CONNECT
    case 8: // SUBSCRIBE
    case 10: // UNSUBSCRIBE
      return Math.min(publish, controlLimit);
    case 4: // PUBACK and its kin
    case 5:
    case 6:
    case 7:
      return 4;
    case 12: // PINGREQ
    case 14: // DISCONNECT
      return 2;
    default:
      throw new MqttError("mqtt_packet", "a packet that only a broker sends");
  }
}
