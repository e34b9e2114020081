/** Messages of ceremonies: one encoding each, strict bounds, and an error of their own for anything else. */
import assert from "node:assert/strict";
import { equalBytes, toHex } from "../base/bytes.ts";
import { parseId } from "../base/id.ts";
import { type Cbor, encodeCbor } from "../trust/cbor.ts";
import { maxRosterBytes } from "../trust/share/roster.ts";
import { mutationsOf } from "./_mutations.ts";
import {
  type CeremonyCall,
  CeremonyMessageError,
  ceremonyRefusals,
  decodeCeremonyCall,
  decodeHello,
  decodeSigned,
  encodeCeremonyCall,
  encodeHello,
  encodeSigned,
  type Hello,
} from "./ceremony.ts";

const bytes = (n: number, value = 7) => new Uint8Array(n).fill(value);
const nonce = bytes(16);
const calls: CeremonyCall[] = [
  { call: "hello", nonce },
  { call: "offer", nonce, roster: bytes(300), share: bytes(32, 1) },
  { call: "commit", nonce, roster: bytes(400) },
  { call: "abort", nonce },
];
const hello: Hello = {
  ...{ nonce, id: parseId("gw-2"), url: "https://gw-2.example" },
  ...{ noiseKey: bytes(32, 2), signKey: bytes(32, 3), group: null },
};
const hellos: Hello[] = [
  hello,
  { ...hello, group: { name: parseId("home"), epoch: 3, key: bytes(32, 4) } },
];

Deno.test("what is encoded is decoded as it was", () => {
  for (const call of calls) assert.deepEqual(decodeCeremonyCall(encodeCeremonyCall(call)), call);
  for (const one of hellos) assert.deepEqual(decodeHello(encodeHello(one)), one);
  assert.deepEqual(decodeSigned(encodeSigned(bytes(99))), bytes(99));
});

Deno.test("a call out of its bounds is refused", () => {
  const offer = { call: "offer", nonce, roster: bytes(300), share: bytes(32) };
  const wrong: Record<string, Cbor>[] = [
    ...[{ nonce: bytes(15) }, { nonce: bytes(17) }, { nonce: "" }, { call: "deal" }, { call: 1 }]
      .map((bad) => ({ ...offer, ...bad })),
    ...[{ share: bytes(31) }, { share: bytes(33) }, { share: null }, { more: 1 }]
      .map((bad) => ({ ...offer, ...bad })),
    ...[0, maxRosterBytes + 1].map((length) => ({ ...offer, roster: bytes(length) })),
    ...[0, maxRosterBytes + 8_193].map((length) => (
      { call: "commit", nonce, roster: bytes(length) }
    )),
    ...[{ call: "hello" }, { call: "abort", nonce, roster: bytes(1) }, { nonce }],
  ];
  assert.doesNotThrow(() => decodeCeremonyCall(encodeCbor(offer)));
  for (const call of wrong) {
    assert.throws(() => decodeCeremonyCall(encodeCbor(call)), CeremonyMessageError);
  }
});

Deno.test("an answer out of its bounds is refused", () => {
  const { noiseKey, signKey } = hello;
  const group = { name: "home", epoch: 1, key: bytes(32) };
  const item = { nonce, id: "gw-2", url: "ws://x", noise_key: noiseKey, sign_key: signKey, group };
  const wrong: Record<string, Cbor>[] = [
    ...[
      { id: "a b" },
      { url: `http://${"x".repeat(250)}` },
      { url: "ftp://x" },
      { url: "http://x\x1b[2J" },
      { url: "" },
      { url: "http://x y" },
      { noise_key: bytes(31) },
      { sign_key: null },
    ].map((bad) => ({ ...item, ...bad })),
    ...[{ name: "" }, { epoch: 0 }, { epoch: 2 ** 31 + 1 }, { key: bytes(33) }, { more: 1 }]
      .map((bad) => ({ ...item, group: { ...group, ...bad } })),
    { ...item, group: 0 },
    { ...item, more: null },
  ];
  assert.doesNotThrow(() => decodeHello(encodeCbor(item)));
  for (const one of wrong) {
    assert.throws(() => decodeHello(encodeCbor(one)), CeremonyMessageError, Deno.inspect(one));
  }
  for (const length of [0, maxRosterBytes + 513]) {
    const answer = encodeCbor({ statement: bytes(length) });
    assert.throws(() => decodeSigned(answer), CeremonyMessageError);
  }
});

const parsers = {
  calls: {
    samples: calls.map(encodeCeremonyCall),
    again: (input: Uint8Array) => encodeCeremonyCall(decodeCeremonyCall(input)),
  },
  hellos: {
    samples: hellos.map(encodeHello),
    again: (input: Uint8Array) => encodeHello(decodeHello(input)),
  },
  answers: {
    samples: [encodeSigned(bytes(40))],
    again: (input: Uint8Array) => encodeSigned(decodeSigned(input)),
  },
};

for (const [i, [name, { samples, again }]] of Object.entries(parsers).entries()) {
  Deno.test(`${name} that are almost right are refused, or are these very bytes`, () => {
    let taken = 0;
    for (const input of mutationsOf(samples, { seed: 90 + i, count: 30_000 })) {
      try {
        assert.ok(equalBytes(again(input), input), toHex(input));
        taken++;
      } catch (error) {
        if (!(error instanceof CeremonyMessageError)) throw error;
      }
    }
    assert.ok(taken > 0);
  });
}

Deno.test("a refusal's code fits into a message of a session", () => {
  for (const code of ceremonyRefusals) assert.match(code, /^[a-z0-9_.]{1,64}$/);
});
