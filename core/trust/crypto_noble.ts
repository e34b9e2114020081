/**
 * A `Suite` in plain JavaScript over `@noble/*`: for runtimes that lack a primitive, and as the
 * second opinion in tests. Slower than native (Ed25519 verification about twenty times).
 */
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { isZero } from "../base/bytes.ts";
import { type Aead, CryptoError, type Suite } from "./crypto.ts";
import { hasSmallOrder } from "./small_order.ts";

/** @param randomBytes a cryptographically secure source: PURE code has none of its own */
export function nobleSuite(randomBytes: (length: number) => Uint8Array): Suite {
  return {
    name: "noble",
    randomBytes,
    sha256: (data) => sha256(data),
    hmacSha256: (key, data) => hmac(sha256, key, data),
    x25519: {
      keyPair: (secretKey = randomBytes(32)) => ({
        secretKey,
        publicKey: x25519.getPublicKey(secretKey),
        sharedSecret: (peer) => sharedSecret(secretKey, peer),
      }),
    },
    ed25519: {
      signer: (seed = randomBytes(32)) => ({
        seed,
        publicKey: ed25519.getPublicKey(seed),
        sign: (message) => ed25519.sign(message, seed),
      }),
      verifier(publicKey) {
        if (publicKey.length !== 32 || hasSmallOrder(publicKey) || !isPoint(publicKey)) {
          throw new CryptoError("bad_key", "Cannot use the Ed25519 key: it is not a safe point");
        }
        return {
          publicKey,
          verify: (message, signature) =>
            signature.length === 64 &&
            ed25519.verify(signature, message, publicKey, { zip215: false }),
        };
      },
    },
    chacha20poly1305: aead(chacha20poly1305),
    aes256gcm: aead(gcm),
  };
}

function sharedSecret(secretKey: Uint8Array, peer: Uint8Array): Uint8Array {
  if (peer.length === 32) {
    try {
      const secret = x25519.getSharedSecret(secretKey, peer);
      if (!isZero(secret)) return secret;
    } catch { /* noble refuses low-order points by throwing */ }
  }
  throw new CryptoError("low_order", "Cannot agree on a secret: the peer's key has low order");
}

function isPoint(publicKey: Uint8Array): boolean {
  try {
    ed25519.Point.fromBytes(publicKey);
    return true;
  } catch {
    return false;
  }
}

type NobleCipher = (key: Uint8Array, nonce: Uint8Array, ad: Uint8Array) => {
  encrypt(plaintext: Uint8Array): Uint8Array;
  decrypt(ciphertext: Uint8Array): Uint8Array;
};

function aead(cipher: NobleCipher): Aead {
  return {
    seal: (key, nonce, ad, plaintext) => cipher(key, nonce, ad).encrypt(plaintext),
    open(key, nonce, ad, ciphertext) {
      if (ciphertext.length < 16) return null;
      try {
        return cipher(key, nonce, ad).decrypt(ciphertext);
      } catch {
        return null;
      }
    },
  };
}
