/**
 * A `Suite` in plain JavaScript over `@noble/*`: for runtimes that lack a primitive, and as the
 * second opinion in tests. Slower than native (Ed25519 verification about twenty times).
 */
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { p256 } from "@noble/curves/nist.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { isZero } from "../base/bytes.ts";
import {
  type Aead,
  CryptoError,
  type DiffieHellman,
  type Signatures,
  type Suite,
} from "./crypto.ts";
import { noblePostQuantum } from "./crypto_noble_pq.ts";
import { badKey, requireLength } from "./key_rules.ts";
import { hasSmallOrder } from "./small_order.ts";

/** A cryptographically secure source: PURE code has none of its own. */
type RandomBytes = (length: number) => Uint8Array;

export function nobleSuite(randomBytes: RandomBytes): Suite {
  return {
    name: "noble",
    native: [],
    randomBytes,
    sha256(...parts) {
      const hash = sha256.create();
      for (const part of parts) hash.update(part);
      return hash.digest();
    },
    hmacSha256: (key, data) => hmac(sha256, key, data),
    hkdfSha256: (ikm, salt, info, length) => hkdf(sha256, ikm, salt, info, length),
    x25519: x25519Keys(randomBytes),
    ed25519: ed25519Keys(randomBytes),
    p256: p256Keys(randomBytes),
    ...noblePostQuantum(randomBytes),
    chacha20poly1305: aead(chacha20poly1305),
    aes256gcm: aead(gcm),
  };
}

function x25519Keys(randomBytes: RandomBytes): DiffieHellman {
  return {
    keyPair(secretKey = randomBytes(32)) {
      requireLength("X25519", secretKey, 32);
      return {
        secretKey,
        publicKey: x25519.getPublicKey(secretKey),
        sharedSecret: (peer) => sharedSecret(secretKey, peer),
      };
    },
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

function ed25519Keys(randomBytes: RandomBytes): Signatures<"Ed25519"> {
  return {
    signer(seed = randomBytes(32)) {
      requireLength("Ed25519", seed, 32);
      return {
        algorithm: "Ed25519",
        seed,
        publicKey: ed25519.getPublicKey(seed),
        sign: (message) => ed25519.sign(message, seed),
      };
    },
    verifier(publicKey) {
      if (publicKey.length !== 32 || hasSmallOrder(publicKey) || !isPoint(ed25519, publicKey)) {
        throw badKey("Ed25519", "it is not a safe point");
      }
      return {
        algorithm: "Ed25519",
        publicKey,
        verify: (message, signature) =>
          signature.length === 64 &&
          ed25519.verify(signature, message, publicKey, { zip215: false }),
      };
    },
  };
}

function p256Keys(randomBytes: RandomBytes): Signatures<"ESP256"> {
  return {
    // 48 bytes, so that the scalar is even over the order (FIPS 186-5 A.2.1)
    signer(seed = p256.utils.randomSecretKey(randomBytes(48))) {
      if (!p256.utils.isValidSecretKey(seed)) throw badKey("P-256", "it is not a scalar");
      return {
        algorithm: "ESP256",
        seed,
        publicKey: p256.getPublicKey(seed, false),
        sign: (message) => p256.sign(message, seed, { lowS: true }),
      };
    },
    verifier(publicKey) {
      if (publicKey.length !== 65 || !isPoint(p256, publicKey)) {
        throw badKey("P-256", "it is not an uncompressed point on the curve");
      }
      return {
        algorithm: "ESP256",
        publicKey,
        verify: (message, signature) =>
          signature.length === 64 && p256.verify(signature, message, publicKey, { lowS: true }),
      };
    },
  };
}

function isPoint(
  curve: { Point: { fromBytes(bytes: Uint8Array): unknown } },
  publicKey: Uint8Array,
): boolean {
  try {
    curve.Point.fromBytes(publicKey);
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
