/** Noise beyond the published vectors, which are replayed in tests/vectors. */
import assert from "node:assert/strict";
import { viewOf } from "../../base/bytes.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import { Handshake, noiseCipher } from "./noise.ts";

const suite = nativeSuite();
const nothing = new Uint8Array(0);

Deno.test("noiseCipher() writes n as §12.3 and §12.4 say, whatever n was before", () => {
  const key = suite.randomBytes(32);
  for (const name of ["ChaChaPoly", "AESGCM"] as const) {
    const cipher = noiseCipher(suite, name);
    const aead = name === "ChaChaPoly" ? suite.chacha20poly1305 : suite.aes256gcm;
    for (const n of [Number.MAX_SAFE_INTEGER, 0, 2 ** 32, 2 ** 32 - 1, 2 ** 40 + 258, 1]) {
      const nonce = new Uint8Array(12);
      viewOf(nonce).setBigUint64(4, BigInt(n), name === "ChaChaPoly");
      const sealed = cipher.seal(key, n, nothing, nonce);
      assert.deepEqual(sealed, aead.seal(key, nonce, nothing, nonce), `${name} ${n}`);
      assert.deepEqual(cipher.open(key, n, nothing, sealed), nonce);
      assert.equal(cipher.open(key, n + 2, nothing, sealed), null);
    }
  }
});

Deno.test("Handshake refuses protocols that it does not know, and a psk behind no message", () => {
  const refused = [
    "Noise_IKpsk3_25519_ChaChaPoly_SHA256",
    "Noise_IKpsk4_25519_ChaChaPoly_SHA256",
    "Noise_KK_25519_ChaChaPoly_SHA256",
    "Noise_XX_448_ChaChaPoly_SHA256",
    "Noise_XX_25519_ChaChaPoly_BLAKE2s",
    "",
  ];
  for (const protocol of refused) {
    const begin = () => new Handshake(suite, protocol, { initiator: true, prologue: nothing });
    assert.throws(begin, { name: "NoiseError", code: "malformed" }, protocol);
  }
});
