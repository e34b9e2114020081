/**
 * A Suite without chance: what it "draws" is given, by length, so that the product's own code makes
 * the messages of a vector. Never for anything but vectors.
 */
import type { Suite } from "../../core/trust/crypto.ts";

/** @param draws what `randomBytes` gives, once for each length */
export function scripted(suite: Suite, ...draws: readonly Uint8Array[]): Suite {
  const left = new Map(draws.map((bytes) => [bytes.length, bytes]));
  function randomBytes(length: number): Uint8Array {
    const bytes = left.get(length);
    if (bytes === undefined) throw new Error(`Cannot draw ${length} bytes: none are scripted`);
    left.delete(length);
    return bytes.slice();
  }
  const keyPair = (secretKey = randomBytes(32)) => suite.x25519.keyPair(secretKey);
  return { ...suite, randomBytes, x25519: { keyPair } };
}
