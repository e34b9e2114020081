/**
 * A `Suite` over the runtime's own cryptography (`node:crypto`, which is OpenSSL or Rust beneath).
 * Differences between runtimes are levelled here: some refuse low-order X25519 points, some return
 * zeros; some accept small-order Ed25519 keys.
 */
import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import { concat, fromHex, isZero } from "../base/bytes.ts";
import { type Aead, CryptoError, type Suite } from "../trust/crypto.ts";
import { nobleSuite } from "../trust/crypto_noble.ts";

/** The Suite of this runtime. */
export function nativeSuite(): Suite {
  return {
    name: "native",
    randomBytes: secureRandom,
    sha256: (data) => plain(createHash("sha256").update(data).digest()),
    hmacSha256: (key, data) => plain(createHmac("sha256", key).update(data).digest()),
    x25519: {
      keyPair(secretKey = secureRandom(32)) {
        const privateKey = importPrivate(x25519Pkcs8, secretKey);
        return {
          secretKey,
          publicKey: exportPublic(privateKey),
          sharedSecret: (peer) => sharedSecret(privateKey, peer),
        };
      },
    },
    ed25519: {
      signer(seed = secureRandom(32)) {
        const privateKey = importPrivate(ed25519Pkcs8, seed);
        return {
          seed,
          publicKey: exportPublic(privateKey),
          sign: (message) => plain(sign(null, message, privateKey)),
        };
      },
      verifier(publicKey) {
        // the runtime only notices a bad point when it verifies: noble looks now, once per key
        nobleRules.verifier(publicKey);
        const key = createPublicKey({
          key: asBuffer(concat(ed25519Spki, publicKey)),
          format: "der",
          type: "spki",
        });
        return {
          publicKey,
          verify: (message, signature) =>
            signature.length === 64 && verify(null, message, key, signature),
        };
      },
    },
    chacha20poly1305: aead("chacha20-poly1305"),
    aes256gcm: aead("aes-256-gcm"),
  };
}

const nobleRules = nobleSuite(secureRandom).ed25519;

// the fixed DER wrapping of raw keys (RFC 8410 §4, §7)
const x25519Spki = fromHex("302a300506032b656e032100");
const x25519Pkcs8 = fromHex("302e020100300506032b656e04220420");
const ed25519Spki = fromHex("302a300506032b6570032100");
const ed25519Pkcs8 = fromHex("302e020100300506032b657004220420");

function importPrivate(header: Uint8Array, secret: Uint8Array): KeyObject {
  if (secret.length !== 32) throw new CryptoError("bad_key", "Cannot use the key: not 32 bytes");
  return createPrivateKey({ key: asBuffer(concat(header, secret)), format: "der", type: "pkcs8" });
}

function exportPublic(privateKey: KeyObject): Uint8Array {
  const der = createPublicKey(privateKey as unknown as string).export({
    format: "der",
    type: "spki",
  });
  return new Uint8Array(der.subarray(der.length - 32));
}

function sharedSecret(privateKey: KeyObject, peer: Uint8Array): Uint8Array {
  if (peer.length === 32) {
    try {
      const publicKey = createPublicKey({
        key: asBuffer(concat(x25519Spki, peer)),
        format: "der",
        type: "spki",
      });
      const secret = diffieHellman({ privateKey, publicKey });
      if (!isZero(secret)) return plain(secret);
    } catch { /* newer runtimes refuse low-order points themselves */ }
  }
  throw new CryptoError("low_order", "Cannot agree on a secret: the peer's key has low order");
}

function aead(algorithm: "chacha20-poly1305" | "aes-256-gcm"): Aead {
  const options = { authTagLength: 16 };
  return {
    seal(key, nonce, ad, plaintext) {
      const cipher = createCipheriv(algorithm as "aes-256-gcm", key, nonce, options);
      cipher.setAAD(ad, { plaintextLength: plaintext.length });
      const sealed = new Uint8Array(plaintext.length + 16);
      sealed.set(cipher.update(plaintext));
      cipher.final();
      sealed.set(cipher.getAuthTag(), plaintext.length);
      return sealed;
    },
    open(key, nonce, ad, ciphertext) {
      const length = ciphertext.length - 16;
      if (length < 0) return null;
      const decipher = createDecipheriv(algorithm as "aes-256-gcm", key, nonce, options);
      decipher.setAAD(ad, { plaintextLength: length });
      decipher.setAuthTag(ciphertext.subarray(length));
      try {
        const plaintext = plain(decipher.update(ciphertext.subarray(0, length)));
        decipher.final();
        return plaintext;
      } catch {
        return null;
      }
    },
  };
}

/** The DER readers take nothing but a Buffer. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function secureRandom(length: number): Uint8Array {
  return plain(randomBytes(length));
}

/** Node's Buffer as the Uint8Array that the rest of the code expects. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
