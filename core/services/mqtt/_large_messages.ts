/**
 * Takes the payload out of messages that are too large, on their way from a broker to whoever reads the
 * packets. At a broker that is not ours anybody may publish a message of any size, and have it kept for
 * all who subscribe: a client that hung up on one would not stay connected any more. So it arrives empty
 * and is acknowledged as any other, while its bytes pass by and are held nowhere (MQTT 3.1.1 §3.3).
 */
import { Buffer } from "node:buffer";

const publish = 3;

/**
 * Follows one direction of a connection: the function gives what is left of the bytes, in pieces.
 * @param limit bytes of a packet
 * @throws RangeError when a packet is too large that is no message, or its length is none
 */
export function withoutLargeMessages(limit: number): (bytes: Uint8Array) => Uint8Array[] {
  /** The beginning of a packet, as far as it is needed to know what becomes of it. */
  let head: number[] = [];
  let pass = 0; // bytes of the packet that go on
  let skip = 0; // bytes behind them that do not

  return (bytes) => {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      if (pass > 0) {
        const piece = bytes.subarray(at, at + pass);
        pieces.push(piece);
        pass -= piece.length;
        at += piece.length;
      } else if (skip > 0) {
        const step = Math.min(skip, bytes.length - at);
        skip -= step;
        at += step;
      } else {
        head.push(bytes[at++]!);
        const plan = planOf(head, limit);
        if (plan === null) continue;
        head = [];
        ({ pass, skip } = plan);
        pieces.push(Buffer.from(plan.head));
      }
    }
    return pieces;
  };
}

interface Plan {
  /** What the packet begins with instead. */
  readonly head: readonly number[];
  readonly pass: number;
  readonly skip: number;
}

/** Null as long as too little of the packet is there. */
function planOf(head: readonly number[], limit: number): Plan | null {
  const digits = head.findIndex((byte, i) => i > 0 && byte < 0x80);
  if (digits < 0) {
    if (head.length > 4) throw new RangeError("a packet whose length is none");
    return null;
  }
  const length = head.slice(1, digits + 1)
    .reduce((sum, digit, i) => sum + (digit & 0x7f) * 128 ** i, 0);
  const size = digits + 1 + length;
  if (size <= limit) return { head, pass: length, skip: 0 };
  if (head[0]! >> 4 !== publish) throw new RangeError(`a packet of ${size} bytes`);
  // the two bytes that say how long its topic is
  if (head.length < digits + 3) return null;
  const [high, low] = head.slice(-2) as [number, number];
  const hasId = (head[0]! & 0b110) !== 0;
  const pass = high * 256 + low + (hasId ? 2 : 0);
  if (pass + 2 > length) throw new RangeError("a message without an end");
  return { head: [head[0]!, ...digitsOf(pass + 2), high, low], pass, skip: length - 2 - pass };
}

/** A length as packets bear it (§2.2.3). */
function digitsOf(length: number): number[] {
  const rest = Math.floor(length / 128);
  return rest === 0 ? [length] : [length % 128 + 128, ...digitsOf(rest)];
}
