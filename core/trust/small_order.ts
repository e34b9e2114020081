/**
 * The encodings of the eight points of small order on edwards25519, canonical or not. Under such a
 * "public key" one signature fits many messages, and implementations disagree about it, so every
 * Suite refuses them before the first use (RFC 8032 §8.5 leaves it open; protocols.md §2 does not).
 */
import { fromHex, toHex } from "../base/bytes.ts";

/** y of the points of order 1, 2, 4 and 8, little-endian, with the sign bit clear. */
const smallOrderY = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  // the same, not reduced modulo p
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/** Whether an encoded point has small order, whatever its sign bit says. */
export function hasSmallOrder(publicKey: Uint8Array): boolean {
  const unsigned = publicKey.slice();
  unsigned[31]! &= 0x7f;
  return smallOrderY.includes(toHex(unsigned));
}

/** Every refused encoding, 14 of them, for tests. */
export function smallOrderEncodings(): Uint8Array[] {
  return smallOrderY.flatMap((hex) => {
    const signed = fromHex(hex);
    signed[31]! |= 0x80;
    return [fromHex(hex), signed];
  });
}
