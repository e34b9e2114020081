/** The key-encryption key: HKDF-SHA256 over all three parts, each of which matters. */
import assert from "node:assert/strict";
import { hkdfSync } from "node:crypto";
import { concat, utf8 } from "../../base/bytes.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import { keyEncryptionKey } from "./kek.ts";

const suite = nativeSuite();
const parts = {
  result: Uint8Array.from({ length: 64 }, (_, i) => i),
  deviceSecret: new Uint8Array(32).fill(2),
  volume: new Uint8Array(16).fill(3),
};

Deno.test("keyEncryptionKey() is HKDF(result, device secret, label | volume)", () => {
  for (const result of [parts.result, parts.result.slice(0, 32)]) {
    const info = concat(utf8("edgeward/kek/1"), parts.volume);
    const expected = new Uint8Array(hkdfSync("sha256", result, parts.deviceSecret, info, 32));
    assert.deepEqual(keyEncryptionKey(suite, { ...parts, result }), expected);
  }
});

Deno.test("keyEncryptionKey() changes with every part, and takes no other lengths", () => {
  const key = keyEncryptionKey(suite, parts);
  for (const name of ["result", "deviceSecret", "volume"] as const) {
    const part = parts[name];
    assert.notDeepEqual(keyEncryptionKey(suite, { ...parts, [name]: part.with(0, 99) }), key);
    for (const bad of [part.slice(1), concat(part, part.slice(0, 1)), new Uint8Array(0)]) {
      const act = () => keyEncryptionKey(suite, { ...parts, [name]: bad });
      assert.throws(act, { code: "malformed" });
    }
  }
});
