/**
 * Statements byte for byte: statement.json is what `playStatement` makes of its own inputs. The envelope
 * is computed a second time with the general CBOR encoder, from RFC 9052 §4.2 and §4.4.
 *
 * Signatures of ESP256 and ML-DSA-65 are not unique: those in the file are the deterministic ones
 * (RFC 6979; FIPS 204 with rnd = 0), which only a Suite without chance makes. Every Suite must take
 * them, and its own.
 */
import { fromHex, toHex } from "../../core/base/bytes.ts";
import { encodeCbor } from "../../core/trust/cbor.ts";
import type { Algorithm, Signer, Suite, Verifier } from "../../core/trust/crypto.ts";
import { nobleSuite } from "../../core/trust/crypto_noble.ts";
import { fingerprint } from "../../core/trust/fingerprint.ts";
import { type ContentType, signStatement, StatementVerifier } from "../../core/trust/statement.ts";
import { outcomeOfAsync, same } from "./same.ts";

/** Bytes are hexadecimal throughout. */
export interface StatementInputs {
  readonly algorithm: Algorithm;
  readonly seed: string;
  readonly content_type: ContentType;
  readonly payload: string;
  readonly refused: readonly RefusedInputs[];
}

export interface RefusedInputs {
  readonly note: string;
  /** What the reader expects. */
  readonly algorithm: Algorithm;
  readonly public_key: string;
  readonly content_type: ContentType;
  readonly statement: string;
}

export type StatementVector = Awaited<ReturnType<typeof playStatement>>;

const alg: Readonly<Record<Algorithm, number>> = { "Ed25519": -19, "ESP256": -9, "ML-DSA-65": -49 };

/** Computes every field of a vector from its inputs. @throws Error when two ways to one differ */
export async function playStatement(suite: Suite, inputs: StatementInputs) {
  const { algorithm, seed, content_type, payload } = inputs;
  const content = fromHex(payload);
  const signer = await signerOf(suiteWithoutChance(), algorithm, fromHex(seed));
  const public_key = toHex(signer.publicKey);
  const kid = fingerprint(suite, algorithm, signer.publicKey);
  const header = encodeCbor(
    new Map<number, number | string | Uint8Array>([
      ...[[1, alg[algorithm]], [3, content_type], [4, kid]] as const,
    ]),
  );
  const toBeSigned = encodeCbor(["Signature1", header, new Uint8Array(0), content]);
  const signature = await signer.sign(toBeSigned);
  const statement = `d2${toHex(encodeCbor([header, {}, content, signature]))}`;
  const reader = { algorithm, public_key, content_type };
  same(await open(suite, { ...reader, statement }), content, "payload");

  const own = await signerOf(suite, algorithm, fromHex(seed));
  const signed = toHex(await signStatement(suite, own, content_type, content));
  same(await open(suite, { ...reader, statement: signed }), content, "payload of its own");
  const length = signed.length - 2 * signature.length;
  same(signed.slice(0, length), statement.slice(0, length), "statement without its signature");
  if (algorithm === "Ed25519") same(signed, statement, "statement");

  const refused = [];
  for (const { note, algorithm, public_key, content_type, statement } of inputs.refused) {
    const reader = { algorithm, public_key, content_type, statement };
    refused.push({ note, ...reader, outcome: await outcomeOfAsync(() => open(suite, reader)) });
  }
  return {
    ...{ algorithm, seed, content_type, payload, public_key },
    kid: toHex(kid),
    protected: toHex(header),
    to_be_signed: toHex(toBeSigned),
    signature: toHex(signature),
    statement,
    refused,
  };
}

/** A Suite that signs the same way each time, in every engine. */
export function suiteWithoutChance(): Suite {
  return nobleSuite((length) => new Uint8Array(length));
}

export async function signerOf(
  suite: Suite,
  algorithm: Algorithm,
  seed: Uint8Array,
): Promise<Signer<Algorithm>> {
  if (algorithm === "Ed25519") return suite.ed25519.signer(seed);
  return algorithm === "ESP256" ? suite.p256.signer(seed) : await suite.mldsa65.signer(seed);
}

function verifierOf(suite: Suite, algorithm: Algorithm, key: Uint8Array): Verifier<Algorithm> {
  if (algorithm === "Ed25519") return suite.ed25519.verifier(key);
  return algorithm === "ESP256" ? suite.p256.verifier(key) : suite.mldsa65.verifier(key);
}

async function open(suite: Suite, inputs: Omit<RefusedInputs, "note">): Promise<Uint8Array> {
  const key = verifierOf(suite, inputs.algorithm, fromHex(inputs.public_key));
  return await new StatementVerifier(suite, key, inputs.content_type)
    .open(fromHex(inputs.statement));
}
