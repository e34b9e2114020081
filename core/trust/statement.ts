/**
 * A statement: bytes that someone signed and anyone can check later. COSE_Sign1 (RFC 9052 §4.2) in
 * deterministic CBOR with the protected header `{1: alg, 3: content type, 4: kid}`; alg is −19
 * Ed25519 or −9 ESP256 (RFC 9864) or −49 ML-DSA-65 (RFC 9964), kid the key's fingerprint.
 *
 * A statement says who signed which bytes under which content type. It says nothing about when, or
 * that it is new: replay is the business of whoever stores it. Its bytes are the signer's alone:
 * nobody else can spell the same statement differently, so its hash names it. For ESP256 that takes
 * a rule which COSE does not have: s lies in the lower half of the order (`low_s.ts`).
 */
import { equalBytes } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { decodeCbor, encodeCbor, MapReader } from "./cbor.ts";
import { encodeSign1, type Sign1, signedBytes, splitSign1 } from "./cose_sign1.ts";
import type { Algorithm, Answer, MaybePromise, Signer, Suite, Verifier } from "./crypto.ts";
import { fingerprint } from "./fingerprint.ts";
import { hasHighS } from "./low_s.ts";

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

/** As COSE numbers them, and how long their signatures are. */
const algorithms = {
  "Ed25519": { alg: -19, signatureLength: 64 },
  "ESP256": { alg: -9, signatureLength: 64 },
  "ML-DSA-65": { alg: -49, signatureLength: 3309 },
} satisfies Record<Algorithm, { alg: number; signatureLength: number }>;

/**
 * Signs payload bytes. Store and re-send what this returns, byte for byte. With an ML-DSA-65 signer
 * it may be a promise.
 */
export function signStatement<A extends Algorithm>(
  suite: Suite,
  signer: Signer<A>,
  contentType: ContentType,
  payload: Uint8Array,
): Answer<A, Uint8Array> {
  const header = protectedHeader(suite, signer, contentType);
  return once(
    signer.sign(signedBytes(header)(payload)),
    (signature) => encodeSign1({ header, payload, signature }),
  ) as Answer<A, Uint8Array>;
}

/**
 * Reads statements of one key and one content type. Preparing it costs a key import, so keep it
 * as long as the key is in use.
 */
export class StatementVerifier<A extends Algorithm = "Ed25519"> {
  readonly #key: Verifier<A>;
  readonly #header: Uint8Array;
  readonly #signedBytes: (payload: Uint8Array) => Uint8Array;
  readonly #contentType: string;

  /**
   * @param key a prepared key of any algorithm, or the bytes of an Ed25519 key
   * @throws CryptoError "bad_key" when the bytes are no point or of small order
   */
  constructor(suite: Suite, key: Verifier<A> | Uint8Array, contentType: ContentType) {
    this.#key = key instanceof Uint8Array
      ? suite.ed25519.verifier(key) as Verifier<Algorithm> as Verifier<A>
      : key;
    this.#header = protectedHeader(suite, this.#key, contentType);
    this.#signedBytes = signedBytes(this.#header);
    this.#contentType = contentType;
  }

  /**
   * The payload bytes, once the signature has verified. With ML-DSA-65 they may be promised; what is
   * wrong with all but the signature is thrown at once.
   * @throws StatementError
   */
  open(statement: Uint8Array): Answer<A, Uint8Array> {
    const parts = this.#split(statement);
    return once(
      this.#key.verify(this.#signedBytes(parts.payload), parts.signature),
      (verified) => this.#payloadOf(parts, verified),
    ) as Answer<A, Uint8Array>;
  }

  /**
   * As `open`, where something else checks the signature: another thread, many at a time. What is
   * wrong with all but the signature is thrown at once.
   * @throws StatementError, or what `check` throws
   */
  openBy(
    check: (key: Verifier<A>, message: Uint8Array, signature: Uint8Array) => Promise<boolean>,
    statement: Uint8Array,
  ): Promise<Uint8Array> {
    const parts = this.#split(statement);
    const message = this.#signedBytes(parts.payload);
    return check(this.#key, message, parts.signature)
      .then((verified) => this.#payloadOf(parts, verified));
  }

  #split(statement: Uint8Array): Sign1 {
    const parts = splitSign1(statement);
    if (parts === null) throw malformed();
    if (!equalBytes(parts.header, this.#header)) this.#refuse(parts);
    if (parts.signature.length !== algorithms[this.#key.algorithm].signatureLength) {
      throw malformed();
    }
    return parts;
  }

  #payloadOf({ payload, signature }: Sign1, verified: boolean): Uint8Array {
    if (!verified) throw forged(this.#key.algorithm, signature);
    return payload;
  }

  /** Says which part of the header is not the expected one. */
  #refuse({ header, signature }: Sign1): never {
    const { alg, contentType } = readHeader(header);
    const known = Object.values(algorithms).find((algorithm) => algorithm.alg === alg);
    if (known !== undefined && signature.length !== known.signatureLength) throw malformed();
    if (contentType !== this.#contentType) {
      throw new StatementError("wrong_type", "Cannot accept the statement: another content type");
    }
    if (alg !== algorithms[this.#key.algorithm].alg) {
      throw new StatementError("wrong_algorithm", "Cannot accept the statement: another algorithm");
    }
    throw new StatementError("wrong_key", "Cannot accept the statement: signed by another key");
  }
}

function protectedHeader(
  suite: Suite,
  key: { readonly algorithm: Algorithm; readonly publicKey: Uint8Array },
  type: ContentType,
): Uint8Array {
  return encodeCbor(
    new Map<number, number | string | Uint8Array>([
      [1, algorithms[key.algorithm].alg],
      [3, type],
      [4, fingerprint(suite, key.algorithm, key.publicKey)],
    ]),
  );
}

function readHeader(header: Uint8Array) {
  try {
    const map = new MapReader(decodeCbor(header));
    const alg = map.integer(1, -65_536, 65_535);
    const contentType = map.text(3);
    map.bytes(4, 32);
    map.end();
    return { alg, contentType };
  } catch (error) {
    throw malformed(error);
  }
}

/** Goes on with an answer when it is there: at once, unless it is a promise. */
function once<T, U>(answer: MaybePromise<T>, next: (answer: T) => U): MaybePromise<U> {
  return answer instanceof Promise ? answer.then(next) : next(answer);
}

function forged(algorithm: Algorithm, signature: Uint8Array): StatementError {
  const options = algorithm === "ESP256" && hasHighS(signature)
    ? { hint: "its s lies in the upper half of the order: the signer must send n - s" }
    : {};
  const message = "Cannot accept the statement: the signature is wrong";
  return new StatementError("forged", message, options);
}

function malformed(cause?: unknown): StatementError {
  return new StatementError("malformed", "Cannot read the statement: not a COSE_Sign1", { cause });
}
