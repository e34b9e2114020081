/** What every Suite must do alike beyond the published vectors. */
import assert from "node:assert/strict";
import { ed25519 } from "@noble/curves/ed25519.js";
import { toHex, utf8 } from "../base/bytes.ts";
import { nativeSuite } from "../services/crypto_native.ts";
import { nobleSuite } from "./crypto_noble.ts";
import { hasSmallOrder, smallOrderEncodings } from "./small_order.ts";

const native = nativeSuite();
const noble = nobleSuite(native.randomBytes);

for (const suite of [native, noble]) {
  Deno.test(`Suite refuses small-order Ed25519 keys in every encoding (${suite.name})`, () => {
    assert.equal(new Set(smallOrderEncodings().map(toHex)).size, 14);
    for (const key of smallOrderEncodings()) {
      assert.throws(() => suite.ed25519.verifier(key), { code: "bad_key" }, toHex(key));
    }
  });

  Deno.test(`Suite refuses Ed25519 keys that are no point or no 32 bytes (${suite.name})`, () => {
    const noPoint = new Uint8Array(32).fill(2);
    assert.throws(() => suite.ed25519.verifier(noPoint), { code: "bad_key" });
    assert.throws(() => suite.ed25519.verifier(new Uint8Array(31)), { code: "bad_key" });
  });

  Deno.test(`Suite refuses to agree with the zero X25519 key (${suite.name})`, () => {
    const pair = suite.x25519.keyPair();
    assert.throws(() => pair.sharedSecret(new Uint8Array(32)), { code: "low_order" });
    assert.throws(() => pair.sharedSecret(new Uint8Array(31)), { code: "low_order" });
  });

  Deno.test(`Aead.open gives null for every altered byte (${suite.name})`, () => {
    for (const cipher of [suite.chacha20poly1305, suite.aes256gcm]) {
      const [key, nonce] = [suite.randomBytes(32), suite.randomBytes(12)];
      const sealed = cipher.seal(key, nonce, utf8("ad"), utf8("hello"));
      for (let i = 0; i < sealed.length; i++) {
        const altered = sealed.slice();
        altered[i]! ^= 1;
        assert.equal(cipher.open(key, nonce, utf8("ad"), altered), null);
      }
      assert.equal(cipher.open(key, nonce, utf8("da"), sealed), null);
      assert.equal(cipher.open(key, nonce, utf8("ad"), sealed.subarray(0, 15)), null);
    }
  });
}

Deno.test("Suites write the same bytes from the same keys", () => {
  const seed = native.randomBytes(32);
  const [a, b] = [native.ed25519.signer(seed), noble.ed25519.signer(seed)];
  assert.deepEqual(a.publicKey, b.publicKey);
  assert.deepEqual(a.sign(utf8("x")), b.sign(utf8("x")));
  const [x, y] = [native.x25519.keyPair(seed), noble.x25519.keyPair(seed)];
  assert.deepEqual(x.publicKey, y.publicKey);
  assert.deepEqual(native.hmacSha256(seed, seed), noble.hmacSha256(seed, seed));
});

Deno.test("hasSmallOrder() agrees with the curve", () => {
  for (const key of smallOrderEncodings()) {
    const canonical = (() => {
      try {
        return ed25519.Point.fromBytes(key, true);
      } catch {
        return null; // a sign bit on x = 0 is no point at all
      }
    })();
    if (canonical !== null) assert.ok(canonical.isSmallOrder());
  }
  assert.equal(hasSmallOrder(native.ed25519.signer().publicKey), false);
});
