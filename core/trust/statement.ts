/**
 * A statement: bytes that someone signed and anyone can check later. COSE_Sign1 with tag 18
 * (RFC 9052 §4.2) in deterministic CBOR: protected header `{1: alg, 3: content type, 4: kid}`,
 * unprotected header and external AAD empty; alg is −19, Ed25519 (RFC 9864).
 *
 * A statement says who signed which bytes under which content type. It says nothing about when, or
 * that it is new: replay is the business of whoever stores it.
 */
import { concat, equalBytes, utf8 } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { decodeCbor, encodeCbor, MapReader } from "./cbor.ts";
import type { Signer, Suite, Verifier } from "./crypto.ts";
import { fingerprint } from "./fingerprint.ts";

export type StatementErrorCode =
  | "malformed" // not a COSE_Sign1 in its one deterministic encoding
  | "wrong_type" // another content type than the expected one
  | "wrong_algorithm"
  | "wrong_key" // signed, it says, by another key than the expected one
  | "forged"; // the signature does not verify

export class StatementError extends CodedError<StatementErrorCode> {
  override readonly name = "StatementError";
}

/** Content types of statements; each is checked wherever one is read. */
export type ContentType = `application/edgeward-${string}+cbor`;

const ed25519Algorithm = -19;
const tagAndArray = Uint8Array.of(0xd2, 0x84); // tag 18, array of four
const emptyMap = 0xa0;

/** Signs payload bytes. Store and re-send what this returns, byte for byte. */
export function signStatement(
  suite: Suite,
  signer: Signer,
  contentType: ContentType,
  payload: Uint8Array,
): Uint8Array {
  const header = protectedHeader(suite, signer.publicKey, contentType);
  const signature = signer.sign(concat(signedPrefix(header), byteString(payload)));
  return concat(
    tagAndArray,
    byteString(header),
    Uint8Array.of(emptyMap),
    byteString(payload),
    byteString(signature),
  );
}

/**
 * Reads statements of one key and one content type. Preparing it costs a key import, so keep it
 * as long as the key is in use.
 */
export class StatementVerifier {
  readonly #key: Verifier;
  readonly #header: Uint8Array;
  /** Everything before the payload in what is signed: the same for every statement. */
  readonly #signedPrefix: Uint8Array;
  readonly #contentType: string;

  /** @throws CryptoError "bad_key" when the key is no point or of small order */
  constructor(suite: Suite, publicKey: Uint8Array, contentType: ContentType) {
    this.#key = suite.ed25519.verifier(publicKey);
    this.#header = protectedHeader(suite, publicKey, contentType);
    this.#signedPrefix = signedPrefix(this.#header);
    this.#contentType = contentType;
  }

  /** The payload bytes, once the signature has verified. @throws StatementError */
  open(statement: Uint8Array): Uint8Array {
    const { header, payload, signature } = splitStatement(statement);
    if (!equalBytes(header, this.#header)) this.#refuse(header);
    const signed = concat(this.#signedPrefix, byteStringHead(payload.length), payload);
    if (!this.#key.verify(signed, signature)) {
      throw new StatementError("forged", "Cannot accept the statement: the signature is wrong");
    }
    return payload;
  }

  /** Says which part of the header is not the expected one. */
  #refuse(header: Uint8Array): never {
    const { algorithm, contentType } = readHeader(header);
    if (contentType !== this.#contentType) {
      throw new StatementError("wrong_type", "Cannot accept the statement: another content type");
    }
    if (algorithm !== ed25519Algorithm) {
      throw new StatementError("wrong_algorithm", "Cannot accept the statement: another algorithm");
    }
    throw new StatementError("wrong_key", "Cannot accept the statement: signed by another key");
  }
}

function protectedHeader(suite: Suite, publicKey: Uint8Array, type: ContentType): Uint8Array {
  return encodeCbor(
    new Map<number, number | string | Uint8Array>([
      [1, ed25519Algorithm],
      [3, type],
      [4, fingerprint(suite, "Ed25519", publicKey)],
    ]),
  );
}

/** Sig_structure (RFC 9052 §4.4), ["Signature1", protected, external AAD, payload], to the AAD. */
function signedPrefix(header: Uint8Array): Uint8Array {
  const name = concat(Uint8Array.of(0x84, 0x6a), utf8("Signature1"));
  return concat(name, byteString(header), Uint8Array.of(0x40));
}

function readHeader(header: Uint8Array) {
  try {
    const map = new MapReader(decodeCbor(header));
    const algorithm = map.integer(1, -65_536, 65_535);
    const contentType = map.text(3);
    const kid = map.bytes(4, 32);
    map.end();
    return { algorithm, contentType, kid };
  } catch (error) {
    throw malformed(error);
  }
}

/** Takes the envelope apart by hand: its only deterministic form is these bytes in this order. */
function splitStatement(statement: Uint8Array) {
  let at = 2;
  if (statement[0] !== tagAndArray[0] || statement[1] !== tagAndArray[1]) throw malformed();
  const header = takeByteString();
  if (statement[at++] !== emptyMap) throw malformed();
  const payload = takeByteString();
  const signature = takeByteString();
  if (at !== statement.length || signature.length !== 64) throw malformed();
  return { header, payload, signature };

  function takeByteString(): Uint8Array {
    const lead = statement[at++];
    let length: number, shortest: number;
    if (lead !== undefined && lead >= 0x40 && lead < 0x58) [length, shortest] = [lead - 0x40, 0];
    else if (lead === 0x58) [length, shortest] = [takeInteger(1), 24];
    else if (lead === 0x59) [length, shortest] = [takeInteger(2), 0x100];
    else if (lead === 0x5a) [length, shortest] = [takeInteger(4), 0x1_0000];
    else throw malformed();
    if (length < shortest || at + length > statement.length) throw malformed();
    return statement.subarray(at, at += length);
  }

  function takeInteger(bytes: number): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) value = value * 256 + (statement[at++] ?? 0);
    return value;
  }
}

function byteString(bytes: Uint8Array): Uint8Array {
  return concat(byteStringHead(bytes.length), bytes);
}

/** What stands before the bytes of a CBOR byte string (RFC 8949 §3.1). */
function byteStringHead(n: number): Uint8Array {
  if (n < 24) return Uint8Array.of(0x40 + n);
  if (n < 0x100) return Uint8Array.of(0x58, n);
  if (n < 0x1_0000) return Uint8Array.of(0x59, n >> 8, n & 255);
  return Uint8Array.of(0x5a, n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255);
}

function malformed(cause?: unknown): StatementError {
  return new StatementError("malformed", "Cannot read the statement: not a COSE_Sign1", { cause });
}
