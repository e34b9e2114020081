/** Statements: one encoding, one key, one content type, in each of the three algorithms. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decode, encode } from "cborg";
import { concat, equalBytes, fromHex, toHex, utf8 } from "../base/bytes.ts";
import { nativeSuite } from "../services/crypto_native.ts";
import { type Cbor, decodeCbor, encodeCbor } from "./cbor.ts";
import { encodeSign1, signedBytes, splitSign1 } from "./cose_sign1.ts";
import type { Algorithm } from "./crypto.ts";
import { fingerprint } from "./fingerprint.ts";
import { hasHighS } from "./low_s.ts";
import { signStatement, StatementError, StatementVerifier } from "./statement.ts";

const suite = nativeSuite();
const type = "application/edgeward-test+cbor";
const signer = suite.ed25519.signer();
const verifier = new StatementVerifier(suite, signer.publicKey, type);

/** As the RFCs number the algorithms, beside the schemes that make them. */
const schemes = [
  { alg: -19, scheme: suite.ed25519, signatureLength: 64 },
  { alg: -9, scheme: suite.p256, signatureLength: 64 },
  { alg: -49, scheme: suite.mldsa65, signatureLength: 3309 },
] as const;

Deno.test("StatementVerifier.open() gives back at once what an Ed25519 signer signed", () => {
  for (const length of [0, 23, 24, 255, 256, 65_535, 65_536]) {
    const payload = suite.randomBytes(length);
    const statement: Uint8Array = signStatement(suite, signer, type, payload);
    const opened: Uint8Array = verifier.open(statement);
    assert.deepEqual(opened, payload);
  }
});

for (const { alg, scheme, signatureLength } of schemes) {
  const signer = await scheme.signer();
  const name = signer.algorithm;
  const verifier = new StatementVerifier<Algorithm>(suite, scheme.verifier(signer.publicKey), type);
  const statement = await signStatement<Algorithm>(suite, signer, type, utf8("payload"));
  const parts = splitSign1(statement)!;
  const open = async (statement: Uint8Array) => await verifier.open(statement);

  /** Signs under any header, as a signer that does not keep to the rules would. */
  const signedUnder = async (header: Uint8Array) =>
    encodeSign1({
      ...parts,
      header,
      signature: await signer.sign(signedBytes(header)(parts.payload)),
    });

  Deno.test(`StatementVerifier.open() gives back what was signed (${name})`, async () => {
    for (const length of [0, 23, 24, 255, 256, 65_535, 65_536]) {
      const payload = suite.randomBytes(length);
      assert.deepEqual(
        await open(await signStatement<Algorithm>(suite, signer, type, payload)),
        payload,
      );
    }
  });

  Deno.test(`signStatement() writes what a general CBOR decoder understands (${name})`, async () => {
    const [header, unprotected, payload, signature] = decode(statement, {
      useMaps: true,
      tags: { 18: (inner) => inner() },
    }) as [Uint8Array, Map<never, never>, Uint8Array, Uint8Array];
    assert.equal(unprotected.size, 0);
    const kid = fingerprint(suite, name, signer.publicKey);
    const entries = [...decode(header, { useMaps: true })] as [number, Cbor][];
    assert.deepEqual(entries.map(([key]) => key), [1, 3, 4]);
    assert.deepEqual(entries.map(([, value]) => value).slice(0, 2), [alg, type]);
    assert.equal(toHex(entries[2]![1] as Uint8Array), toHex(kid));
    assert.equal(signature.length, signatureLength);
    // RFC 9052 §4.4, rebuilt with the general encoder
    const toBeSigned = encode(["Signature1", header, new Uint8Array(0), payload]);
    const { verify } = scheme.verifier(signer.publicKey);
    assert.ok(await verify(toBeSigned, new Uint8Array(signature)));
  });

  Deno.test(`StatementVerifier.open() names why it refuses (${name})`, async () => {
    const { header, payload, signature } = parts;
    const kid = fingerprint(suite, name, signer.publicKey);
    const map = (...entries: [number, Cbor][]) => encodeCbor(new Map<number, Cbor>(entries));
    const otherAlg = alg === -9 ? -19 : -9;
    const other = await scheme.signer();
    const otherKid = fingerprint(suite, name, other.publicKey);
    const otherType = "application/edgeward-other+cbor";
    const byAnother = schemes[(schemes.findIndex((scheme) => scheme.alg === alg) + 1) % 3]!.scheme;
    const cases: [code: string, what: string, statement: Uint8Array][] = [
      ["wrong_key", "another key", await signStatement<Algorithm>(suite, other, type, payload)],
      ["wrong_key", "a swapped kid", await signedUnder(map([1, alg], [3, type], [4, otherKid]))],
      [
        "wrong_type",
        "another type",
        await signStatement<Algorithm>(suite, signer, otherType, payload),
      ],
      [
        "wrong_algorithm",
        "another algorithm",
        await signStatement<Algorithm>(suite, await byAnother.signer(), type, payload),
      ],
      ["wrong_algorithm", "an unknown one", await signedUnder(map([1, -7], [3, type], [4, kid]))],
      [
        alg === -49 ? "malformed" : "wrong_algorithm",
        "another number over the same signature",
        await signedUnder(map([1, otherAlg], [3, type], [4, kid])),
      ],
      [
        "forged",
        "another's signature",
        encodeSign1({ header, payload, signature: await other.sign(payload) }),
      ],
      [
        "forged",
        "no signature",
        encodeSign1({ ...parts, signature: new Uint8Array(signatureLength) }),
      ],
      ["forged", "another payload", encodeSign1({ ...parts, payload: utf8("Payload") })],
      [
        "malformed",
        "a short signature",
        encodeSign1({ ...parts, signature: signature.subarray(1) }),
      ],
      [
        "malformed",
        "a long signature",
        encodeSign1({ ...parts, signature: concat(signature, header.subarray(0, 1)) }),
      ],
      ["malformed", "trailing bytes", concat(statement, Uint8Array.of(0))],
      ["malformed", "an unsorted header", await signedUnder(unsorted(header))],
      ["malformed", "a long form in it", await signedUnder(longForm(header))],
      ["malformed", "a missing member", await signedUnder(map([1, alg], [3, type]))],
      [
        "malformed",
        "an unknown member",
        await signedUnder(map([1, alg], [2, 0], [3, type], [4, kid])),
      ],
      [
        "malformed",
        "a short kid",
        await signedUnder(map([1, alg], [3, type], [4, kid.subarray(1)])),
      ],
      ["malformed", "no header", await signedUnder(new Uint8Array(0))],
      ["malformed", "no tag", statement.subarray(1)],
      ["malformed", "text", utf8("not a statement")],
      ["malformed", "nothing", new Uint8Array(0)],
    ];
    for (const [code, what, statement] of cases) {
      await assert.rejects(() => open(statement), { name: "StatementError", code }, what);
    }
  });

  Deno.test(`StatementVerifier.open() refuses every truncation (${name})`, async () => {
    for (let length = 0; length < statement.length; length++) {
      await assert.rejects(() => open(statement.subarray(0, length)), { code: "malformed" });
    }
  });

  Deno.test(`StatementVerifier.open() refuses a byte changed anywhere (${name})`, async () => {
    const change = fc.tuple(fc.nat(statement.length - 1), fc.integer({ min: 1, max: 255 }));
    await fc.assert(fc.asyncProperty(change, async ([at, mask]) => {
      const altered = statement.slice();
      altered[at]! ^= mask;
      await assert.rejects(() => open(altered), { name: "StatementError" });
    }));
  });
}

Deno.test("StatementVerifier.open() refuses every flipped bit of an Ed25519 statement", () => {
  const statement = signStatement(suite, signer, type, utf8("payload"));
  for (let i = 0; i < 8 * statement.length; i++) {
    const altered = statement.slice();
    altered[i >> 3]! ^= 1 << (i & 7);
    assert.throws(() => verifier.open(altered), { name: "StatementError" }, `bit ${i}`);
  }
});

Deno.test("StatementVerifier.open() refuses a length that is not in its shortest form", () => {
  const statement = signStatement(suite, signer, type, utf8("abc"));
  const at = statement.length - 66 - 4; // the payload's head: 0x43
  assert.equal(statement[at], 0x43);
  for (
    const head of [[0x58, 3], [0x59, 0, 3], [0x5a, 0, 0, 0, 3], [0x5b, 0, 0, 0, 0, 0, 0, 0, 3]]
  ) {
    const [before, after] = [statement.subarray(0, at), statement.subarray(at + 1)];
    const longer = concat(before, Uint8Array.from(head), after);
    assert.throws(() => verifier.open(longer), { code: "malformed" });
  }
});

Deno.test("StatementVerifier refuses keys that are none", () => {
  const offCurve = suite.p256.signer().publicKey;
  offCurve[1]! ^= 1;
  const keys = {
    "a small-order Ed25519 key": () => new StatementVerifier(suite, new Uint8Array(32), type),
    "an Ed25519 key of 31 bytes": () => new StatementVerifier(suite, new Uint8Array(31), type),
    "an off-curve P-256 key": () =>
      new StatementVerifier(suite, suite.p256.verifier(offCurve), type),
    "a truncated ML-DSA-65 key": () =>
      new StatementVerifier(suite, suite.mldsa65.verifier(new Uint8Array(1951)), type),
  };
  for (const [what, make] of Object.entries(keys)) {
    assert.throws(make, { name: "CryptoError", code: "bad_key" }, what);
  }
});

Deno.test("StatementVerifier.open() refuses the other spelling of ESP256 and says what to do", () => {
  const signer = suite.p256.signer();
  const verifier = new StatementVerifier(suite, suite.p256.verifier(signer.publicKey), type);
  const parts = splitSign1(signStatement(suite, signer, type, utf8("payload")))!;
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = n - BigInt(`0x${toHex(parts.signature.subarray(32))}`);
  const r = parts.signature.subarray(0, 32);
  const signature = concat(r, fromHex(s.toString(16).padStart(64, "0")));
  assert.ok(hasHighS(signature));
  assert.throws(
    () => verifier.open(encodeSign1({ ...parts, signature })),
    (error) =>
      error instanceof StatementError && error.code === "forged" && /n - s/.test(error.hint!),
  );
});

Deno.test("fingerprint() hashes the thumbprint input of each kind of key", () => {
  const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => i);
  const inputs = {
    // RFC 8037 A.3
    Ed25519: [
      fromHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
      '{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}',
    ],
    X25519: [
      bytes(32),
      '{"crv":"X25519","kty":"OKP","x":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}',
    ],
    ESP256: [
      bytes(65),
      '{"crv":"P-256","kty":"EC","x":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA",' +
      '"y":"ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-P0A"}',
    ],
    "ML-DSA-65": [bytes(3), '{"alg":"ML-DSA-65","kty":"AKP","pub":"AAEC"}'],
  } as const;
  for (const [algorithm, [key, input]] of Object.entries(inputs)) {
    assert.deepEqual(fingerprint(suite, algorithm as "X25519", key), suite.sha256(utf8(input)));
  }
});

Deno.test("open() and decodeCbor() throw only their own errors on 100,000 broken inputs", () => {
  const statement = signStatement(suite, signer, type, utf8("payload"));
  const { header } = splitSign1(statement)!;
  const seed = Number(Deno.env.get("SEED") ?? Date.now() % 2 ** 32);
  const random = generator(seed);
  const cases = 100_000;
  const refused = { statement: 0, cbor: 0 };
  for (let i = 0; i < cases; i++) {
    const broken = breakBytes(i % 2 === 0 ? statement : header, random);
    try {
      const opened = verifier.open(broken);
      assert.ok(equalBytes(broken, statement) && opened.length === 7, "opened what is not signed");
    } catch (error) {
      assert.ok(error instanceof StatementError, `seed ${seed}, input ${toHex(broken)}: ${error}`);
      refused.statement++;
    }
    try {
      assert.deepEqual(encodeCbor(decodeCbor(broken)), broken);
    } catch (error) {
      const { name } = error as Error;
      assert.equal(name, "CborError", `seed ${seed}, input ${toHex(broken)}: ${error}`);
      refused.cbor++;
    }
  }
  assert.ok(refused.statement > cases * 0.9 && refused.cbor > cases / 2, JSON.stringify(refused));
});

Deno.test("decodeCbor() refuses nesting that is deeper than the stack", () => {
  for (const lead of [0x81, 0xa1, 0xd2]) {
    assert.throws(() => decodeCbor(new Uint8Array(1_000_000).fill(lead)), { name: "CborError" });
  }
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
    assert.throws(() => decodeCbor(fromHex(hex)), { name: "CborError" }, what);
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

/** The header with its first two members swapped. */
function unsorted(header: Uint8Array): Uint8Array {
  const typeAt = header.indexOf(3, 1);
  const kidAt = header.length - 35;
  return concat(
    header.subarray(0, 1),
    header.subarray(typeAt, kidAt),
    header.subarray(1, typeAt),
    header.subarray(kidAt),
  );
}

/** The header with the number of its first member in two bytes. */
function longForm(header: Uint8Array): Uint8Array {
  return concat(header.subarray(0, 1), Uint8Array.of(0x18, 1), header.subarray(2));
}

/** Truncates, splices, flips, or makes up bytes, as a random choice has it. */
function breakBytes(bytes: Uint8Array, random: (below: number) => number): Uint8Array {
  const at = random(bytes.length);
  const noise = Uint8Array.from({ length: random(12) }, () => random(256));
  const altered = bytes.slice();
  altered[at] = random(256);
  switch (random(6)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return concat(bytes.subarray(0, at), noise);
    case 2:
      return concat(bytes.subarray(0, at), noise, bytes.subarray(at));
    case 3:
      return concat(bytes.subarray(0, at), noise, bytes.subarray(random(bytes.length)));
    case 4:
      return noise;
    default:
      return altered;
  }
}

/** Numbers that are the same again for the same seed (mulberry32). */
function generator(seed: number): (below: number) => number {
  return (below) => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 2 ** 32 * below);
  };
}
