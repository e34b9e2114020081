/**
 * Six words for two people to compare: they stand for everything that a first contact has agreed on.
 * Both ends show the same words only if nobody sat between them. Whoever does can try once, and is
 * found out with a probability of 1 − 2⁻⁶⁶: the commitment in message 1 fixes his choice before he
 * sees what the other end chose (protocols.md §1).
 */
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { concat, utf8 } from "../../base/bytes.ts";
import type { Suite } from "../crypto.ts";

/** What the two ends have brought to a first contact: static keys, and 16 random bytes each. */
export interface Contact {
  readonly initiatorKey: Uint8Array;
  readonly responderKey: Uint8Array;
  readonly initiatorRandom: Uint8Array;
  readonly responderRandom: Uint8Array;
}

const count = 6;
const bitsPerWord = 11;

/**
 * The first 66 bits of SHA-256("edgeward/words" | s_i | s_r | r_i | r_r) as six words of the BIP-39
 * English list, with single spaces between them.
 */
export function wordsOf(suite: Suite, contact: Contact): string {
  const { initiatorKey, responderKey, initiatorRandom, responderRandom } = contact;
  const hash = suite.sha256(
    concat(utf8("edgeward/words"), initiatorKey, responderKey, initiatorRandom, responderRandom),
  );
  const words: string[] = [];
  for (let first = 0; words.length < count; first += bitsPerWord) {
    let index = 0;
    for (let bit = first; bit < first + bitsPerWord; bit++) {
      index = 2 * index + (hash[bit >> 3]! >> (7 - (bit & 7)) & 1);
    }
    words.push(wordlist[index]!);
  }
  return words.join(" ");
}
