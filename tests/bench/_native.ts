/**
 * The floors' own primitives: the runtime's native cryptography called as directly as it goes, with
 * keys prepared, none of the product's code around it. What fails here throws, so that no floor is
 * fast because it did nothing.
 */
import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  verify,
} from "node:crypto";
import { concat, fromHex } from "../../core/base/bytes.ts";

/** One ChaCha20-Poly1305 message, its tag apart. */
export interface Sealed {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly ad: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

const algorithm = "chacha20-poly1305" as "aes-256-gcm"; // the types know no other with AAD
const tagLength = { authTagLength: 16 };

export function nativeSeal(
  { key, nonce, ad }: Pick<Sealed, "key" | "nonce" | "ad">,
  plaintext: Uint8Array,
): Sealed {
  const cipher = createCipheriv(algorithm, key, nonce, tagLength);
  cipher.setAAD(ad, { plaintextLength: plaintext.length });
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return { key, nonce, ad, ciphertext, tag: cipher.getAuthTag() };
}

/** @throws Error when the tag does not verify */
export function nativeOpen({ key, nonce, ad, ciphertext, tag }: Sealed): Uint8Array {
  const decipher = createDecipheriv(algorithm, key, nonce, tagLength);
  decipher.setAAD(ad, { plaintextLength: ciphertext.length });
  decipher.setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  decipher.final();
  return plaintext;
}

export interface Signed {
  readonly publicKey: KeyObject;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** @throws Error when the Ed25519 signature does not verify */
export function nativeVerify({ publicKey, message, signature }: Signed): void {
  if (!verify(null, message, publicKey, signature)) throw new Error("The signature is wrong");
}

/** A raw Ed25519 key in the form that verifies fastest (RFC 8410 §4). */
export function nativeVerifyKey(publicKey: Uint8Array): KeyObject {
  const key = Buffer.from(concat(fromHex("302a300506032b6570032100"), publicKey));
  return createPublicKey({ key, format: "der", type: "spki" });
}

export interface NativeKeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export function nativeX25519(): NativeKeyPair {
  return generateKeyPairSync("x25519");
}

export function nativeSharedSecret(mine: NativeKeyPair, theirs: NativeKeyPair): Uint8Array {
  return diffieHellman({ privateKey: mine.privateKey, publicKey: theirs.publicKey });
}
