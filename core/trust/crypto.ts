/**
 * The primitives that the floor of trust is built on, as one interface. A `Suite` is filled with the
 * runtime's native functions (`core/services/crypto_native.ts`), with `@noble/*` (`crypto_noble.ts`)
 * or, in the firmware, with what the microcontroller offers; the same vectors run against each.
 *
 * Everything here is synchronous. Keys that are used more than once are prepared once: a `KeyPair`,
 * `Signer` or `Verifier` holds whatever form the filling needs.
 */
import { CodedError } from "../base/errors.ts";

export interface Suite {
  /** Which filling this is, for test names and benchmarks. */
  readonly name: string;
  /** Bytes from a cryptographically secure source. */
  randomBytes(length: number): Uint8Array;
  /** SHA-256 (FIPS 180-4), 32 bytes. */
  sha256(data: Uint8Array): Uint8Array;
  /** HMAC-SHA256 (RFC 2104), 32 bytes. */
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
  readonly x25519: DiffieHellman;
  readonly ed25519: Signatures;
  /** ChaCha20-Poly1305 (RFC 8439). */
  readonly chacha20poly1305: Aead;
  /** AES-256-GCM (NIST SP 800-38D) with 96-bit nonces. */
  readonly aes256gcm: Aead;
}

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

/** Ed25519 (RFC 8032), verified by the strict rules: canonical encodings, no ZIP 215. */
export interface Signatures {
  /** A prepared signing key; from 32 random bytes unless a seed is given. */
  signer(seed?: Uint8Array): Signer;
  /** A prepared public key. @throws CryptoError "bad_key" when it is no point or of small order */
  verifier(publicKey: Uint8Array): Verifier;
}

export interface Signer {
  readonly publicKey: Uint8Array;
  readonly seed: Uint8Array;
  /** 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
}

export interface Verifier {
  readonly publicKey: Uint8Array;
  verify(message: Uint8Array, signature: Uint8Array): boolean;
}

/** An authenticated cipher with 32-byte keys, 12-byte nonces and 16-byte tags. */
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

export type CryptoErrorCode = "low_order" | "bad_key";

/** A key that must not be used. */
export class CryptoError extends CodedError<CryptoErrorCode> {
  override readonly name = "CryptoError";
}
