/** HKDF-SHA256 (RFC 5869) over a Suite's HMAC. */
import { concat, utf8 } from "../base/bytes.ts";
import type { Suite } from "./crypto.ts";

/**
 * Derives `length` bytes (32 unless said, at most 8160) from input keying material.
 * @throws RangeError when more is asked for than the RFC allows
 */
export function hkdf(
  suite: Suite,
  options: {
    ikm: Uint8Array;
    salt: Uint8Array | string;
    info: Uint8Array | string;
    length?: number;
  },
): Uint8Array {
  const { length = 32 } = options;
  if (length > 255 * 32) {
    throw new RangeError("Cannot derive a key: more than 8160 bytes asked for");
  }
  const info = bytesOf(options.info);
  const prk = suite.hmacSha256(bytesOf(options.salt), options.ikm);
  const okm = new Uint8Array(length);
  let block: Uint8Array = new Uint8Array(0);
  for (let at = 0, i = 1; at < length; at += 32, i++) {
    block = suite.hmacSha256(prk, concat(block, info, Uint8Array.of(i)));
    okm.set(block.subarray(0, Math.min(32, length - at)), at);
  }
  return okm;
}

function bytesOf(value: Uint8Array | string): Uint8Array {
  return typeof value === "string" ? utf8(value) : value;
}
