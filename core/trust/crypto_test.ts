/** What every Suite must do alike beyond the published vectors. */
import assert from "node:assert/strict";
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256 } from "@noble/curves/nist.js";
import { concat, equalBytes, fromHex, toHex, utf8 } from "../base/bytes.ts";
import { nativeSuite } from "../services/crypto_native.ts";
import { nobleSuite } from "./crypto_noble.ts";
import { hkdf } from "./hkdf.ts";
import { hasHighS, withLowS } from "./low_s.ts";
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

  Deno.test(`KeyPair takes a peer's array that changes as another key (${suite.name})`, () => {
    const [mine, one, two] = [0, 1, 2].map(() => suite.x25519.keyPair());
    const array = one!.publicKey.slice();
    assert.deepEqual(mine!.sharedSecret(array), one!.sharedSecret(mine!.publicKey));
    array.set(two!.publicKey);
    assert.deepEqual(mine!.sharedSecret(array), two!.sharedSecret(mine!.publicKey));
  });

  Deno.test(`Suite makes the same keys again from their secrets (${suite.name})`, async () => {
    const pair = suite.x25519.keyPair();
    assert.deepEqual(suite.x25519.keyPair(pair.secretKey).publicKey, pair.publicKey);
    for (const scheme of [suite.ed25519, suite.p256, suite.mldsa65]) {
      const { seed, publicKey } = await scheme.signer();
      assert.equal(seed.length, 32);
      assert.deepEqual((await scheme.signer(seed)).publicKey, publicKey);
    }
  });

  Deno.test(`Suite refuses secrets of another length, or out of range (${suite.name})`, async () => {
    const refused = { code: "bad_key" };
    for (const length of [0, 31, 33]) {
      const secret = new Uint8Array(length).fill(1);
      assert.throws(() => suite.x25519.keyPair(secret), refused);
      assert.throws(() => suite.ed25519.signer(secret), refused);
      assert.throws(() => suite.p256.signer(secret), refused);
      await assert.rejects(async () => await suite.mldsa65.signer(secret), refused);
      await assert.rejects(async () => await suite.mlkem768.keyPair(secret), refused);
    }
    assert.throws(() => suite.p256.signer(new Uint8Array(32)), refused);
    assert.throws(() => suite.p256.signer(new Uint8Array(32).fill(255)), refused);
  });

  Deno.test(`Suite refuses P-256 keys but uncompressed points on the curve (${suite.name})`, () => {
    const { publicKey } = suite.p256.signer();
    const offCurve = publicKey.slice();
    offCurve[64]! ^= 1;
    const refused = {
      "off the curve": offCurve,
      "compressed": p256.Point.fromBytes(publicKey).toBytes(true),
      "hybrid": concat(Uint8Array.of(6 + (publicKey[64]! & 1)), publicKey.subarray(1)),
      "compressed, with a tail": concat(Uint8Array.of(2), publicKey.subarray(1)),
      "infinity": Uint8Array.of(0),
      "the origin": concat(Uint8Array.of(4), new Uint8Array(64)),
      "coordinates beyond the field": new Uint8Array(65).fill(255).fill(4, 0, 1),
      "too long": concat(publicKey, Uint8Array.of(0)),
      "empty": new Uint8Array(0),
    };
    for (const [what, key] of Object.entries(refused)) {
      assert.throws(() => suite.p256.verifier(key), { code: "bad_key" }, what);
    }
  });

  Deno.test(`Suite accepts one spelling of an ESP256 signature (${suite.name})`, () => {
    // RFC 6979 A.2.5, P-256 with SHA-256, message "sample": its s lies in the upper half
    const signer = suite.p256.signer(
      fromHex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"),
    );
    const published = fromHex(
      "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716" +
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    );
    const verifier = suite.p256.verifier(signer.publicKey);
    assert.equal(hasHighS(published), true);
    assert.equal(verifier.verify(utf8("sample"), published), false);
    assert.equal(verifier.verify(utf8("sample"), withLowS(published)), true);
    for (let i = 0; i < 20; i++) {
      const message = Uint8Array.of(i);
      const signature = signer.sign(message);
      assert.equal(hasHighS(signature), false);
      assert.equal(verifier.verify(message, signature), true);
    }
  });

  Deno.test(`Verifier says no to signatures of any length (${suite.name})`, async () => {
    for (const scheme of [suite.ed25519, suite.p256, suite.mldsa65]) {
      const signer = await scheme.signer();
      const verifier = scheme.verifier(signer.publicKey);
      const signature = await signer.sign(utf8("x"));
      assert.equal(await verifier.verify(utf8("x"), signature), true, signer.algorithm);
      assert.equal(await verifier.verify(utf8("y"), signature), false, signer.algorithm);
      for (const length of [0, 1, 63, 64, 65, 3308, 3309, 3310]) {
        for (const fill of [0, 1, 255]) {
          const wrong = new Uint8Array(length).fill(fill);
          assert.equal(await verifier.verify(utf8("x"), wrong), false, `${length} × ${fill}`);
        }
      }
    }
  });

  Deno.test(`Suite refuses an ML-KEM key with a coefficient not below q (${suite.name})`, async () => {
    const { publicKey } = await suite.mlkem768.keyPair();
    const refused = async (key: Uint8Array) =>
      await assert.rejects(async () => await suite.mlkem768.encapsulate(key), { code: "bad_key" });
    for (const coefficient of [0, 1, 766, 767]) {
      for (const [value, isKey] of [[3328, true], [3329, false], [4095, false]] as const) {
        const key = publicKey.slice();
        const at = Math.floor(coefficient / 2) * 3;
        if (coefficient % 2 === 0) {
          key[at] = value;
          key[at + 1] = key[at + 1]! & 0xf0 | value >> 8;
        } else {
          key[at + 1] = key[at + 1]! & 0x0f | value << 4;
          key[at + 2] = value >> 4;
        }
        if (isKey) await suite.mlkem768.encapsulate(key);
        else await refused(key);
      }
    }
    for (const length of [0, 1183, 1185]) await refused(new Uint8Array(length));
  });

  Deno.test(`KemKeyPair agrees with whoever encapsulates, until wiped (${suite.name})`, async () => {
    const pair = await suite.mlkem768.keyPair();
    const { ciphertext, sharedSecret } = await suite.mlkem768.encapsulate(pair.publicKey);
    assert.deepEqual(await pair.decapsulate(ciphertext), sharedSecret);
    const altered = ciphertext.slice();
    altered[0]! ^= 1;
    assert.ok(!equalBytes(await pair.decapsulate(altered), sharedSecret));
    const short = ciphertext.subarray(1);
    await assert.rejects(async () => await pair.decapsulate(short), { code: "bad_ciphertext" });
    pair.wipe();
    await assert.rejects(async () => await pair.decapsulate(ciphertext), { code: "bad_key" });
  });

  Deno.test(`hkdf() refuses lengths that not every runtime derives (${suite.name})`, () => {
    const options = { ikm: utf8("ikm"), salt: "", info: "" };
    assert.equal(hkdf(suite, { ...options, length: 8160 }).length, 8160);
    assert.throws(() => hkdf(suite, { ...options, length: 8161 }), RangeError);
    assert.equal(hkdf(suite, { ...options, info: new Uint8Array(1024) }).length, 32);
    assert.throws(() => hkdf(suite, { ...options, info: new Uint8Array(1025) }), RangeError);
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

Deno.test("Suite names what the runtime provides", () => {
  assert.deepEqual(noble.native, []);
  const primitives = Object.keys(noble).filter((name) => name !== "name" && name !== "native");
  const lacking = new Set<string>(primitives);
  for (const primitive of native.native) assert.ok(lacking.delete(primitive), primitive);
  // by the runtime's version, noble stands in for these or not
  for (const primitive of lacking) assert.match(primitive, /^ml(dsa65|kem768)$/);
});

Deno.test("Suites write the same bytes from the same keys", async () => {
  for (let i = 0; i < 10; i++) {
    const seed = native.randomBytes(32);
    for (const scheme of ["ed25519", "p256", "mldsa65"] as const) {
      const [a, b] = await Promise.all([native[scheme].signer(seed), noble[scheme].signer(seed)]);
      assert.deepEqual(a.publicKey, b.publicKey, scheme);
    }
    const [a, b] = [native.ed25519.signer(seed), noble.ed25519.signer(seed)];
    assert.deepEqual(a.sign(utf8("x")), b.sign(utf8("x")));
    const [x, y] = [native.x25519.keyPair(seed), noble.x25519.keyPair(seed)];
    assert.deepEqual(x.publicKey, y.publicKey);
    assert.deepEqual(native.hmacSha256(seed, seed), noble.hmacSha256(seed, seed));
    const derived = [native, noble].map((suite) => suite.hkdfSha256(seed, seed, seed, 100));
    assert.deepEqual(derived[0], derived[1]);
  }
});

Deno.test("Suites verify each other's signatures", async () => {
  for (const [ours, theirs] of [[native, noble], [noble, native]] as const) {
    for (const scheme of ["ed25519", "p256", "mldsa65"] as const) {
      for (let i = 0; i < 5; i++) {
        const message = native.randomBytes(i * 100);
        const signer = await ours[scheme].signer();
        const verifier = theirs[scheme].verifier(signer.publicKey);
        const signature = await signer.sign(message);
        assert.equal(await verifier.verify(message, signature), true, scheme);
        signature[i]! ^= 1;
        assert.equal(await verifier.verify(message, signature), false, scheme);
      }
    }
  }
});

Deno.test("Suites agree through ML-KEM, also on altered ciphertexts", async () => {
  const seed = native.randomBytes(64);
  const [a, b] = await Promise.all([native, noble].map((suite) => suite.mlkem768.keyPair(seed)));
  assert.deepEqual(a!.publicKey, b!.publicKey);
  for (const suite of [native, noble]) {
    const { ciphertext, sharedSecret } = await suite.mlkem768.encapsulate(a!.publicKey);
    assert.deepEqual(await a!.decapsulate(ciphertext), sharedSecret);
    assert.deepEqual(await b!.decapsulate(ciphertext), sharedSecret);
    ciphertext[7]! ^= 1;
    assert.deepEqual(await a!.decapsulate(ciphertext), await b!.decapsulate(ciphertext));
  }
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

Deno.test("withLowS() turns every s into the one of the lower half", () => {
  const n = p256.Point.Fn.ORDER;
  const signature = (s: bigint) => fromHex("00".repeat(32) + s.toString(16).padStart(64, "0"));
  for (const s of [1n, 2n, n / 2n, n / 2n + 1n, n - 2n, n - 1n, 0xffn << 128n]) {
    const lower = s > n / 2n ? n - s : s;
    assert.equal(hasHighS(signature(s)), s !== lower);
    assert.deepEqual(withLowS(signature(s)), signature(lower));
  }
});
