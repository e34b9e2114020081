/**
 * The primitives that the floor of trust is built on, as one interface. A `Suite` is filled with the
 * runtime's native functions (`core/services/crypto_native.ts`), with `@noble/*` (`crypto_noble.ts`)
 * or, in the firmware, with what the microcontroller offers; the same vectors run against each.
 *
 * Everything is synchronous but ML-DSA and ML-KEM: where only WebCrypto has them, their answers are
 * promises, so await them. Keys that are used more than once are prepared once: a `KeyPair`, `Signer`
 * or `Verifier` holds whatever form the filling needs.
 */
import { CodedError } from "../base/errors.ts";

export interface Suite {
  /** Which filling this is, for test names and benchmarks. */
  readonly name: string;
  /** What the runtime itself provides; the rest of this filling is plain JavaScript. */
  readonly native: readonly Primitive[];
  /** Bytes from a cryptographically secure source. */
  randomBytes(length: number): Uint8Array;
  /** SHA-256 (FIPS 180-4) of the parts one after the other, 32 bytes. */
  sha256(...parts: readonly Uint8Array[]): Uint8Array;
  /** HMAC-SHA256 (RFC 2104), 32 bytes. */
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** HKDF-SHA256 (RFC 5869) within the limits of `hkdf`, which is the form with names. */
  hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  readonly x25519: DiffieHellman;
  readonly ed25519: Signatures<"Ed25519">;
  readonly p256: Signatures<"ESP256">;
  readonly mldsa65: Signatures<"ML-DSA-65">;
  readonly mlkem768: KeyEncapsulation;
  /** ChaCha20-Poly1305 (RFC 8439). */
  readonly chacha20poly1305: Aead;
  /** AES-256-GCM (NIST SP 800-38D) with 96-bit nonces. */
  readonly aes256gcm: Aead;
}

export type Primitive = Exclude<keyof Suite, "name" | "native">;

export type MaybePromise<T> = T | Promise<T>;

/** X25519 (RFC 7748). */
export interface DiffieHellman {
  /** A prepared key pair; from 32 random bytes unless a secret key is given. */
  keyPair(secretKey?: Uint8Array): KeyPair;
}

export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
  /**
   * The 32-byte shared secret with a peer's public key.
   * @throws CryptoError "low_order" when it would be all zeros (RFC 7748 §6.1)
   */
  sharedSecret(peer: Uint8Array): Uint8Array;
}

/**
 * How statements can be signed, by the names of the COSE registry:
 * - `Ed25519` (RFC 8032), verified by the strict rules: canonical encodings, no ZIP 215, no keys of
 *   small order. Public keys have 32 bytes, signatures 64.
 * - `ESP256`, ECDSA over P-256 with SHA-256 (FIPS 186-5). Public keys are the 65 bytes of the
 *   uncompressed point, because that is what secure elements, certificates and thumbprints (RFC 7638
 *   takes x and y) hold: naming a key needs no square root. Signatures are r | s, 64 bytes, with s in
 *   the lower half of the order: the other half would be a second spelling that anyone can make.
 * - `ML-DSA-65` (FIPS 204), with an empty context. Public keys have 1952 bytes, signatures 3309.
 */
export type Algorithm = "Ed25519" | "ESP256" | "ML-DSA-65";

/** How an algorithm answers: at once, or perhaps as a promise. */
export type Answer<A extends Algorithm, T> = A extends "ML-DSA-65" ? MaybePromise<T> : T;

export interface Signatures<A extends Algorithm> {
  /**
   * A prepared signing key; a fresh one unless its 32 secret bytes are given.
   * @throws CryptoError "bad_key" when they are not 32, or no scalar of P-256
   */
  signer(seed?: Uint8Array): Answer<A, Signer<A>>;
  /** A prepared public key. @throws CryptoError "bad_key" when it is no key of the algorithm */
  verifier(publicKey: Uint8Array): Verifier<A>;
}

export interface Signer<A extends Algorithm = "Ed25519"> {
  readonly algorithm: A;
  readonly publicKey: Uint8Array;
  /** The 32 secret bytes that make this signer again: for P-256 the scalar, else the seed. */
  readonly seed: Uint8Array;
  sign(message: Uint8Array): Answer<A, Uint8Array>;
}

export interface Verifier<A extends Algorithm = "Ed25519"> {
  readonly algorithm: A;
  readonly publicKey: Uint8Array;
  /** Never throws, whatever the signature is and however long. */
  verify(message: Uint8Array, signature: Uint8Array): Answer<A, boolean>;
}

/** ML-KEM-768 (FIPS 203). */
export interface KeyEncapsulation {
  /** A prepared key pair; a fresh one unless its seed d | z, 64 bytes, is given. */
  keyPair(seed?: Uint8Array): MaybePromise<KemKeyPair>;
  /**
   * A secret for the owner of the key, of 1184 bytes.
   * @throws CryptoError "bad_key" on another length, or on a coefficient not below q (§7.2)
   */
  encapsulate(publicKey: Uint8Array): MaybePromise<Encapsulation>;
}

export interface KemKeyPair {
  readonly publicKey: Uint8Array;
  /**
   * The 32-byte shared secret. An altered ciphertext of 1088 bytes gives another secret, no error.
   * @throws CryptoError "bad_ciphertext" on another length; "bad_key" once wiped
   */
  decapsulate(ciphertext: Uint8Array): MaybePromise<Uint8Array>;
  /** Forgets the secret key, and overwrites it where it lies in JavaScript. */
  wipe(): void;
}

export interface Encapsulation {
  /** 1088 bytes. */
  readonly ciphertext: Uint8Array;
  /** 32 bytes. */
  readonly sharedSecret: Uint8Array;
}

/**
 * An authenticated cipher with 32-byte keys, 12-byte nonces and 16-byte tags. It keeps none of its
 * arguments: callers use one array for the nonces of many messages.
 */
export interface Aead {
  /** Ciphertext followed by the tag. */
  seal(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** The plaintext, or null when the tag does not verify. */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    ciphertext: Uint8Array,
  ): Uint8Array | null;
}

export type CryptoErrorCode = "low_order" | "bad_key" | "bad_ciphertext";

/** A key that must not be used, or a ciphertext that is none. */
export class CryptoError extends CodedError<CryptoErrorCode> {
  override readonly name = "CryptoError";
}
