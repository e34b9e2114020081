/**
 * The Suite in plain JavaScript with bytes that count up for randomness: it gives the same in every
 * engine. For checks only.
 */
import { viewOf } from "../../core/base/bytes.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { nobleSuite } from "../../core/trust/crypto_noble.ts";

export function plainSuite(): Suite {
  let drawn = 0;
  return nobleSuite((length) => {
    const bytes = new Uint8Array(length);
    if (length >= 4) viewOf(bytes).setUint32(0, ++drawn);
    return bytes;
  });
}
