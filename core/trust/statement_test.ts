/** Statements: one encoding, one key, one content type. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decode, encode } from "cborg";
import { concat, equalBytes, utf8 } from "../base/bytes.ts";
import { nativeSuite } from "../services/crypto_native.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { signStatement, StatementVerifier } from "./statement.ts";

const suite = nativeSuite();
const signer = suite.ed25519.signer();
const type = "application/edgeward-test+cbor";
const verifier = new StatementVerifier(suite, signer.publicKey, type);

Deno.test("StatementVerifier.open() gives back what signStatement() signed", () => {
  for (const length of [0, 23, 24, 255, 256, 65_535, 65_536]) {
    const payload = suite.randomBytes(length);
    assert.deepEqual(verifier.open(signStatement(suite, signer, type, payload)), payload);
  }
});

Deno.test("signStatement() writes a COSE_Sign1 that a general CBOR decoder understands", () => {
  const statement = signStatement(suite, signer, type, utf8("payload"));
  const [header, unprotected, payload, signature] = decode(statement, {
    useMaps: true,
    tags: { 18: (inner) => inner() },
  }) as [Uint8Array, Map<never, never>, Uint8Array, Uint8Array];
  assert.equal(unprotected.size, 0);
  assert.deepEqual([...decode(header, { useMaps: true }).keys()], [1, 3, 4]);
  // RFC 9052 §4.4, rebuilt with the general encoder
  const toBeSigned = encode(["Signature1", header, new Uint8Array(0), payload]);
  assert.ok(suite.ed25519.verifier(signer.publicKey).verify(toBeSigned, new Uint8Array(signature)));
});

Deno.test("StatementVerifier.open() names why it refuses", () => {
  const other = suite.ed25519.signer();
  const cases: [string, Uint8Array][] = [
    ["wrong_key", signStatement(suite, other, type, utf8("x"))],
    ["wrong_type", signStatement(suite, signer, "application/edgeward-other+cbor", utf8("x"))],
    ["malformed", utf8("not a statement")],
    ["malformed", concat(signStatement(suite, signer, type, utf8("x")), Uint8Array.of(0))],
    ["malformed", new Uint8Array(0)],
  ];
  for (const [code, statement] of cases) assert.throws(() => verifier.open(statement), { code });
});

Deno.test("StatementVerifier.open() refuses every flipped bit and every truncation", () => {
  const statement = signStatement(suite, signer, type, utf8("payload"));
  for (let i = 0; i < statement.length; i++) {
    const altered = statement.slice();
    altered[i]! ^= 1;
    assert.throws(() => verifier.open(altered), { name: "StatementError" }, `byte ${i}`);
    assert.throws(() => verifier.open(statement.subarray(0, i)), { name: "StatementError" });
  }
});

Deno.test("StatementVerifier.open() refuses a length that is not in its shortest form", () => {
  const statement = signStatement(suite, signer, type, utf8("abc"));
  const at = statement.length - 66 - 4; // the payload's head: 0x43
  assert.equal(statement[at], 0x43);
  const longer = concat(
    statement.subarray(0, at),
    Uint8Array.of(0x58, 3),
    statement.subarray(at + 1),
  );
  assert.throws(() => verifier.open(longer), { code: "malformed" });
});

Deno.test("StatementVerifier.open() throws only StatementError, whatever it is given", () => {
  const statement = signStatement(suite, signer, type, utf8("payload"));
  const input = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 200 }).map((rest) => concat(statement.subarray(0, 2), rest)),
    fc.tuple(fc.nat(statement.length), fc.uint8Array({ maxLength: 20 }))
      .map(([at, rest]) => concat(statement.subarray(0, at), rest)),
  );
  fc.assert(
    fc.property(input, (bytes) => {
      if (equalBytes(bytes, statement)) return;
      assert.throws(() => verifier.open(bytes), { name: "StatementError" });
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("decodeCbor() refuses unsorted maps, trailing bytes, floats and long forms", () => {
  const refused = {
    "an unsorted map": "a2616201616101",
    "a duplicate key": "a2616101616101",
    "trailing bytes": "0000",
    "a float": "fb3ff8000000000000",
    "a long form": "1800",
    "an indefinite array": "9f01ff",
    "undefined": "f7",
    "nothing": "",
  };
  for (const [what, hex] of Object.entries(refused)) {
    const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    assert.throws(() => decodeCbor(bytes), { name: "CborError" }, what);
  }
});

Deno.test("encodeCbor() and decodeCbor() are inverse", () => {
  const item = fc.letrec((tie) => ({
    item: fc.oneof(
      { depthSize: "small" },
      fc.maxSafeInteger(),
      fc.string(),
      fc.uint8Array(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("item"), { maxLength: 5 }),
      fc.dictionary(fc.string(), tie("item"), { maxKeys: 5, noNullPrototype: true }),
    ),
  })).item;
  fc.assert(fc.property(item, (value) => {
    const bytes = encodeCbor(value as never);
    assert.deepEqual(encodeCbor(decodeCbor(bytes)), bytes);
  }));
});
