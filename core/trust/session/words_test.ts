/** The six words against a second implementation, and the list that they are taken from. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import fc from "fast-check";
import { nativeSuite } from "../../services/crypto_native.ts";
import { type Contact, wordsOf } from "./words.ts";

const suite = nativeSuite();
const members = ["initiatorKey", "responderKey", "initiatorRandom", "responderRandom"] as const;
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const contacts: fc.Arbitrary<Contact> = fc.record({
  ...{ initiatorKey: bytes(32), responderKey: bytes(32) },
  ...{ initiatorRandom: bytes(16), responderRandom: bytes(16) },
});

/** As the specification says it, in one number. */
function straight(contact: Contact): string {
  const hash = createHash("sha256").update("edgeward/words");
  for (const member of members) hash.update(contact[member]);
  const first66 = BigInt(`0x${hash.digest("hex")}`) >> 190n;
  return [55n, 44n, 33n, 22n, 11n, 0n]
    .map((shift) => wordlist[Number((first66 >> shift) & 2047n)]).join(" ");
}

Deno.test("wordsOf() gives the words that a straight-line implementation gives", () => {
  fc.assert(
    fc.property(contacts, (contact) => assert.equal(wordsOf(suite, contact), straight(contact))),
    { numRuns: 2_000 },
  );
});

Deno.test("wordsOf() gives the words that were worked out by hand once", () => {
  const words = wordsOf(suite, {
    ...{ initiatorKey: new Uint8Array(32).fill(1), responderKey: new Uint8Array(32).fill(2) },
    initiatorRandom: new Uint8Array(16).fill(3),
    responderRandom: new Uint8Array(16).fill(4),
  });
  assert.equal(words, "narrow work echo fit cliff apart");
});

Deno.test("wordsOf() gives six words of the list in lower case with single spaces", () => {
  fc.assert(fc.property(contacts, (contact) => {
    const words = wordsOf(suite, contact);
    assert.match(words, /^[a-z]{3,8}( [a-z]{3,8}){5}$/);
    for (const word of words.split(" ")) assert.ok(wordlist.includes(word), word);
  }));
});

Deno.test("wordsOf() gives other words when one bit of anything differs, or the sides are swapped", () => {
  fc.assert(fc.property(contacts, fc.constantFrom(...members), fc.nat(255), (contact, which, n) => {
    const altered = contact[which].slice();
    altered[n % altered.length]! ^= 1 << (n >> 5);
    const words = wordsOf(suite, contact);
    assert.notEqual(wordsOf(suite, { ...contact, [which]: altered }), words);
  }));
  const contact = {
    ...{ initiatorKey: suite.randomBytes(32), responderKey: suite.randomBytes(32) },
    ...{ initiatorRandom: suite.randomBytes(16), responderRandom: suite.randomBytes(16) },
  };
  const { initiatorKey, responderKey, initiatorRandom, responderRandom } = contact;
  const words = wordsOf(suite, contact);
  const keysSwapped = { ...contact, initiatorKey: responderKey, responderKey: initiatorKey };
  assert.notEqual(wordsOf(suite, keysSwapped), words);
  const randomsSwapped = {
    ...contact,
    ...{ initiatorRandom: responderRandom, responderRandom: initiatorRandom },
  };
  assert.notEqual(wordsOf(suite, randomsSwapped), words);
});

Deno.test("the list of words is the English one of BIP-39", () => {
  assert.equal(wordlist.length, 2048);
  assert.deepEqual([wordlist[0], wordlist[2047]], ["abandon", "zoo"]);
  assert.equal(new Set(wordlist.map((word) => word.slice(0, 4))).size, 2048);
  assert.deepEqual(wordlist.toSorted(), wordlist);
  const published = createHash("sha256").update(`${wordlist.join("\n")}\n`).digest("hex");
  assert.equal(published, "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda");
});
