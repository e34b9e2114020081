/** HKDF-SHA256 (RFC 5869) with its parameters by name. */
import { utf8 } from "../base/bytes.ts";
import type { Suite } from "./crypto.ts";

/**
 * Derives `length` bytes (32 unless said, at most 8160) from input keying material.
 * @throws RangeError when more is asked for than the RFC allows, or the info is longer than 1024
 * bytes, which Node and its like refuse
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
  if (info.length > 1024) {
    throw new RangeError("Cannot derive a key: the info is longer than 1024 bytes");
  }
  return suite.hkdfSha256(options.ikm, bytesOf(options.salt), info, length);
}

function bytesOf(value: Uint8Array | string): Uint8Array {
  return typeof value === "string" ? utf8(value) : value;
}
