/**
 * A `Suite` over the runtime's own cryptography (`node:crypto`, which is OpenSSL or Rust beneath).
 * Differences between runtimes are levelled here: some refuse low-order X25519 points, some return
 * zeros; some accept small-order Ed25519 keys; some have no post-quantum primitives, and then noble's
 * stand in.
 */
import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import { equalBytes, isZero } from "../base/bytes.ts";
import {
  type Aead,
  CryptoError,
  type DiffieHellman,
  type Primitive,
  type Signatures,
  type Suite,
} from "../trust/crypto.ts";
import { nobleSuite } from "../trust/crypto_noble.ts";
import { giveBack } from "./give_back.ts";
import { badKey, requireLength } from "../trust/key_rules.ts";
import { hasHighS, withLowS } from "../trust/low_s.ts";
import { importPair, importPublic, rawPublic, rawSecret } from "./_native_keys.ts";
import { nativePostQuantum } from "./_native_pq.ts";

/** The Suite of this runtime. */
export function nativeSuite(): Suite {
  const noble = nobleSuite(secureRandom);
  const native = {
    randomBytes: secureRandom,
    sha256(...parts) {
      const hash = createHash("sha256");
      for (const part of parts) hash.update(part);
      return plain(hash.digest());
    },
    hmacSha256: (key, data) => plain(createHmac("sha256", key).update(data).digest()),
    hkdfSha256: (ikm, salt, info, length) =>
      new Uint8Array(hkdfSync("sha256", ikm, salt, info, length)),
    x25519: x25519Keys(),
    ed25519: ed25519Keys(noble.ed25519),
    p256: p256Keys(noble.p256),
    ...nativePostQuantum(secureRandom),
    chacha20poly1305: aead("chacha20-poly1305"),
    aes256gcm: aead("aes-256-gcm"),
  } satisfies Partial<Suite>;
  return { ...noble, ...native, name: "native", native: Object.keys(native) as Primitive[] };
}

function x25519Keys(): DiffieHellman {
  const importPeer = peerImporter();
  return {
    keyPair(secretKey) {
      if (secretKey !== undefined) requireLength("X25519", secretKey, 32);
      // a pair drawn by the runtime costs half of what its public half costs when asked for later
      const { privateKey, publicKey } = secretKey === undefined
        ? generateKeyPairSync("x25519")
        : importPair("x25519", secretKey);
      return {
        publicKey: rawPublic("x25519", publicKey),
        get secretKey() {
          return secretKey ??= rawSecret(privateKey);
        },
        sharedSecret: (peer) => sharedSecret(privateKey, peer, importPeer),
      };
    },
  };
}

function sharedSecret(
  privateKey: KeyObject,
  peer: Uint8Array,
  importPeer: (peer: Uint8Array) => KeyObject,
): Uint8Array {
  if (peer.length === 32) {
    try {
      const secret = diffieHellman({ privateKey, publicKey: importPeer(peer) });
      if (!isZero(secret)) return plain(secret);
    } catch { /* newer runtimes refuse low-order points themselves */ }
  }
  throw new CryptoError("low_order", "Cannot agree on a secret: the peer's key has low order");
}

/** Keeps the latest two: a handshake agrees with its peer's static and ephemeral key, twice each. */
function peerImporter(): (peer: Uint8Array) => KeyObject {
  let latest: { raw: Uint8Array; key: KeyObject }[] = [];
  return (peer) => {
    const known = latest.find(({ raw }) => equalBytes(raw, peer));
    if (known !== undefined) return known.key;
    const key = importPublic("x25519", peer);
    latest = [{ raw: new Uint8Array(peer), key }, ...latest.slice(0, 1)];
    return key;
  };
}

function ed25519Keys(noble: Suite["ed25519"]): Signatures<"Ed25519"> {
  return {
    signer(seed = secureRandom(32)) {
      requireLength("Ed25519", seed, 32);
      const { privateKey, publicKey } = importPair("ed25519", seed);
      return {
        algorithm: "Ed25519",
        seed,
        publicKey: rawPublic("ed25519", publicKey),
        sign: (message) => plain(sign(null, message, privateKey)),
      };
    },
    verifier(publicKey) {
      // the runtime only notices a bad point when it verifies: noble looks now, once per key
      noble.verifier(publicKey);
      const key = importPublic("ed25519", publicKey);
      return {
        algorithm: "Ed25519",
        publicKey,
        verify: (message, signature) =>
          signature.length === 64 && verify(null, message, key, signature),
      };
    },
  };
}

function p256Keys(noble: Suite["p256"]): Signatures<"ESP256"> {
  const dsaEncoding = "ieee-p1363"; // r | s
  return {
    signer(given) {
      // noble draws and checks the scalar, evenly over the order
      const { seed, publicKey } = noble.signer(given);
      const key = { key: importPair("p256", seed).privateKey, dsaEncoding } as const;
      return {
        algorithm: "ESP256",
        seed,
        publicKey,
        sign: (message) => withLowS(plain(sign("sha256", message, key))),
      };
    },
    verifier(publicKey) {
      const key = { key: importPoint(publicKey), dsaEncoding } as const;
      return {
        algorithm: "ESP256",
        publicKey,
        // the length first: at any other one Deno 2.7.11 takes the whole process down
        verify: (message, signature) =>
          signature.length === 64 && !hasHighS(signature) &&
          verify("sha256", message, key, signature),
      };
    },
  };
}

function importPoint(publicKey: Uint8Array): KeyObject {
  requireLength("P-256", publicKey, 65);
  try {
    return importPublic("p256", publicKey);
  } catch {
    throw badKey("P-256", "it is not an uncompressed point on the curve");
  }
}

function aead(algorithm: "chacha20-poly1305" | "aes-256-gcm"): Aead {
  const options = { authTagLength: 16 };
  return {
    seal(key, nonce, ad, plaintext) {
      const cipher = createCipheriv(algorithm as "aes-256-gcm", key, nonce, options);
      cipher.setAAD(ad);
      // from Node's pool: an ArrayBuffer of its own would cost a tenth of the whole call
      const sealed = Buffer.allocUnsafe(plaintext.length + 16);
      const ciphertext = cipher.update(plaintext);
      sealed.set(ciphertext);
      if (ciphertext.length >= largeBuffer) giveBack(ciphertext);
      cipher.final();
      sealed.set(cipher.getAuthTag(), plaintext.length);
      return plain(sealed);
    },
    open(key, nonce, ad, ciphertext) {
      const length = ciphertext.length - 16;
      if (length < 0) return null;
      const decipher = createDecipheriv(algorithm as "aes-256-gcm", key, nonce, options);
      decipher.setAAD(ad);
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

/** Bytes of a buffer whose memory is worth giving back at once. */
const largeBuffer = 32 * 1024;

function secureRandom(length: number): Uint8Array {
  return plain(randomBytes(length));
}

/** Node's Buffer as the Uint8Array that the rest of the code expects. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
