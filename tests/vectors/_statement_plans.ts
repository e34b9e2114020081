/**
 * What statement.json is made from: each algorithm, payloads around the steps of CBOR's lengths, and
 * what a reader must refuse, well signed or not. Seeds are SHA-256 of their own description.
 */
import { p256 } from "@noble/curves/nist.js";
import { ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import { concat, fromHex, toHex, utf8 } from "../../core/base/bytes.ts";
import { type Cbor, encodeCbor } from "../../core/trust/cbor.ts";
import type { Algorithm, Suite } from "../../core/trust/crypto.ts";
import type { ContentType } from "../../core/trust/statement.ts";
import {
  playStatement,
  type RefusedInputs,
  signerOf,
  type StatementInputs,
  type StatementVector,
  suiteWithoutChance,
} from "./statement.ts";

const type = "application/edgeward-example+cbor";
const otherType: ContentType = "application/edgeward-other+cbor";

export async function makeStatementVectors(suite: Suite): Promise<StatementVector[]> {
  const vectors: StatementVector[] = [];
  for (const length of [0, 23, 24, 256]) {
    const inputs = example(suite, "Ed25519", length);
    vectors.push(await playStatement(suite, inputs));
  }
  for (const algorithm of ["Ed25519", "ESP256", "ML-DSA-65"] as const) {
    const inputs = example(suite, algorithm, 5);
    const refused = await refusedOf(suite, await playStatement(suite, inputs));
    vectors.push(await playStatement(suite, { ...inputs, refused }));
  }
  return vectors;
}

function example(suite: Suite, algorithm: Algorithm, length: number): StatementInputs {
  return {
    algorithm,
    seed: toHex(seedOf(suite, `${algorithm} signer`)),
    content_type: type,
    payload: toHex(Uint8Array.from({ length }, (_, i) => i)),
    refused: [],
  };
}

/** Each is read by somebody who expects the vector's key and type, save where the note says more. */
async function refusedOf(suite: Suite, vector: StatementVector): Promise<RefusedInputs[]> {
  const { algorithm, public_key, content_type } = vector;
  const [statement, header, payload, signature, kid] = [
    ...[vector.statement, vector.protected, vector.payload, vector.signature, vector.kid],
  ].map(fromHex) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const signer = await signerOf(suiteWithoutChance(), algorithm, fromHex(vector.seed));

  const refused = (note: string, statement: Uint8Array, reader: Partial<RefusedInputs> = {}) => {
    return { note, algorithm, public_key, content_type, statement: toHex(statement), ...reader };
  };
  const envelope = (...parts: Cbor[]) => concat(Uint8Array.of(0xd2), encodeCbor(parts));
  /** A header that nobody writes, and a signature over it that verifies. */
  const signed = async (header: Uint8Array, externalAad: Uint8Array = new Uint8Array(0)) => {
    const toBeSigned = encodeCbor(["Signature1", header, externalAad, payload]);
    return envelope(header, {}, payload, await signer.sign(toBeSigned));
  };
  const headerOf = (...members: [number, Cbor][]) => encodeCbor(new Map(members));
  const other = await signerOf(suite, algorithm, seedOf(suite, "another signer"));

  const common = [
    refused("another payload", envelope(header, {}, payload.with(0, 1), signature)),
    refused(
      "another signature",
      envelope(header, {}, payload, signature.with(0, signature[0]! ^ 1)),
    ),
    refused("a signature too short", envelope(header, {}, payload, signature.slice(1))),
    refused("the reader expects another type", statement, { content_type: otherType }),
    refused("the reader expects another key", statement, { public_key: toHex(other.publicKey) }),
  ];
  if (algorithm === "ESP256") {
    const key = signer.publicKey;
    return [
      ...common,
      refused("the other s", envelope(header, {}, payload, otherS(signature))),
      refused("alg -7, ES256", await signed(headerOf([1, -7], [3, type], [4, kid]))),
      refused("the reader's key is compressed", statement, {
        public_key: toHex(p256.Point.fromBytes(key).toBytes(true)),
      }),
      refused("the reader's key is no point", statement, {
        public_key: toHex(key.with(64, key[64]! ^ 1)),
      }),
    ];
  }
  const ed25519 = await signerOf(suite, "Ed25519", seedOf(suite, "Ed25519 signer"));
  if (algorithm === "ML-DSA-65") {
    const { secretKey } = ml_dsa65.keygen(signer.seed);
    const toBeSigned = encodeCbor(["Signature1", header, new Uint8Array(0), payload]);
    const inContext = ml_dsa65.sign(toBeSigned, secretKey, {
      context: utf8("context"),
      extraEntropy: new Uint8Array(32),
    });
    return [
      ...common,
      refused("a signature in a context", envelope(header, {}, payload, inContext)),
      refused("the reader's key is too short", statement, { public_key: public_key.slice(2) }),
      refused("the reader expects Ed25519", statement, {
        algorithm: "Ed25519",
        public_key: toHex(ed25519.publicKey),
      }),
    ];
  }
  const point = (y: number) => toHex(Uint8Array.from({ length: 32 }, (_, i) => i === 0 ? y : 0));
  return [
    ...common,
    refused("s and the order", envelope(header, {}, payload, plusOrder(signature))),
    refused("alg -8, EdDSA", await signed(headerOf([1, -8], [3, type], [4, kid]))),
    refused("no kid", await signed(headerOf([1, -19], [3, type]))),
    refused("a member too many", await signed(headerOf([1, -19], [2, []], [3, type], [4, kid]))),
    refused("members out of order", await signed(unsorted(header))),
    refused("an external AAD", await signed(header, utf8("aad"))),
    refused("an unprotected header", envelope(header, { a: 1 }, payload, signature)),
    refused("no tag", statement.slice(1)),
    refused("tag 17", statement.with(0, 0xd1)),
    refused("an array of five", envelope(header, {}, payload, signature, 0)),
    refused("a length in two bytes instead of one", longHeader(statement)),
    refused("a byte behind the end", concat(statement, Uint8Array.of(0))),
    refused("the last byte missing", statement.slice(0, -1)),
    refused("the reader's key has order 2", statement, { public_key: `ec${"ff".repeat(30)}7f` }),
    refused("the reader's key has order 4", statement, { public_key: point(0) }),
    refused("the reader's key is no point", statement, { public_key: point(2) }),
  ];
}

/** n − s verifies wherever s does, to whoever does not insist on the lower one. */
function otherS(signature: Uint8Array): Uint8Array {
  const { Fn } = p256.Point;
  const s = Fn.fromBytes(signature.subarray(32));
  return concat(signature.subarray(0, 32), Fn.toBytes(Fn.neg(s)));
}

/** S + L: the same signature to whoever does not check that S is below L (RFC 8032 §5.1.7). */
function plusOrder(signature: Uint8Array): Uint8Array {
  const order = fromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  const sum = signature.slice();
  let carry = 0;
  for (let i = 0; i < 32; i++) {
    carry += sum[32 + i]! + order[i]!;
    sum[32 + i] = carry & 255;
    carry >>= 8;
  }
  return sum;
}

/** {3: …, 1: …, 4: …}: the first member, two bytes, behind the second. */
function unsorted(header: Uint8Array): Uint8Array {
  const second = 3; // a3, then 01 32: alg -19
  const third = second + 1 + 2 + type.length;
  return concat(
    header.subarray(0, 1),
    header.subarray(second, third),
    header.subarray(1, second),
    header.subarray(third),
  );
}

/** The header's length with a zero before it: 59 00 nn instead of 58 nn. */
function longHeader(statement: Uint8Array): Uint8Array {
  const head = Uint8Array.of(0xd2, 0x84, 0x59, 0);
  return concat(head, statement.subarray(3));
}

function seedOf(suite: Suite, what: string): Uint8Array {
  return suite.sha256(utf8(`edgeward statement.json: ${what}`));
}
