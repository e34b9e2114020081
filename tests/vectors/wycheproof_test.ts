/** Project Wycheproof against every Suite: the edge cases that implementations get wrong. */
import assert from "node:assert/strict";
import { concat, fromHex, toHex } from "../../core/base/bytes.ts";
import type { Aead, Primitive } from "../../core/trust/crypto.ts";
import { hkdf } from "../../core/trust/hkdf.ts";
import { missing, wycheproof } from "./_read.ts";
import { fillingOf, suites } from "./suites.ts";

for (const suite of suites) {
  const test = (file: string, primitive: Primitive, fn: () => void | Promise<void>) =>
    Deno.test({
      name: `Suite agrees with Wycheproof ${file} (${fillingOf(suite, primitive)})`,
      ignore: missing,
      fn,
    });

  test("x25519", "x25519", () => {
    for (const { test } of wycheproof<unknown, Record<string, string>>("x25519")) {
      const agree = () =>
        toHex(suite.x25519.keyPair(fromHex(test.private!)).sharedSecret(fromHex(test.public!)));
      // "acceptable" marks twisted, non-canonical and low-order keys; we refuse the zero secret only
      if (/^0*$/.test(test.shared!)) {
        assert.throws(agree, { code: "low_order" }, `tcId ${test.tcId}`);
      } else {
        assert.equal(agree(), test.shared, `tcId ${test.tcId}`);
      }
    }
  });

  test("ed25519", "ed25519", () => {
    type Group = { publicKey: { pk: string } };
    for (const { group, test } of wycheproof<Group, { msg: string; sig: string }>("ed25519")) {
      const verifier = suite.ed25519.verifier(fromHex(group.publicKey.pk));
      const verified = verifier.verify(fromHex(test.msg), fromHex(test.sig));
      assert.equal(verified, test.result === "valid", `tcId ${test.tcId} ${test.comment}`);
    }
  });

  test("hkdf_sha256", "hkdfSha256", () => {
    type Case = { ikm: string; salt: string; info: string; size: number; okm: string };
    for (const { test } of wycheproof<unknown, Case>("hkdf_sha256")) {
      const derive = () =>
        toHex(hkdf(suite, {
          ikm: fromHex(test.ikm),
          salt: fromHex(test.salt),
          info: fromHex(test.info),
          length: test.size,
        }));
      if (test.result === "valid") assert.equal(derive(), test.okm, `tcId ${test.tcId}`);
      else assert.throws(derive, RangeError, `tcId ${test.tcId}`);
    }
  });

  test("mldsa_65_verify", "mldsa65", async () => {
    type Group = { publicKey: string };
    type Case = { msg: string; sig: string; ctx?: string };
    let run = 0;
    for (const { group, test } of wycheproof<Group, Case>("mldsa_65_verify")) {
      if (test.ctx) continue; // the Suite signs and verifies with an empty context only
      run++;
      const verify = async () =>
        await suite.mldsa65.verifier(fromHex(group.publicKey))
          .verify(fromHex(test.msg), fromHex(test.sig));
      if (test.flags.includes("IncorrectPublicKeyLength")) {
        await assert.rejects(verify, { code: "bad_key" }, `tcId ${test.tcId}`);
      } else {
        assert.equal(await verify(), test.result === "valid", `tcId ${test.tcId} ${test.comment}`);
      }
    }
    assert.equal(run, 203); // of 210
  });

  test("mlkem_768", "mlkem768", async () => {
    type Case = { seed: string; ek?: string; c: string; K: string };
    let run = 0;
    for (const { test } of wycheproof<unknown, Case>("mlkem_768")) {
      run++;
      const decapsulate = async () => {
        const pair = await suite.mlkem768.keyPair(fromHex(test.seed));
        if (test.ek !== undefined) assert.equal(toHex(pair.publicKey), test.ek);
        return await pair.decapsulate(fromHex(test.c));
      };
      const what = `tcId ${test.tcId} ${test.comment}`;
      if (test.result === "valid") {
        assert.equal(toHex(await decapsulate()), test.K, what);
      } else {
        const code = test.seed.length === 128 ? "bad_ciphertext" : "bad_key";
        await assert.rejects(decapsulate, { code }, what);
      }
    }
    assert.equal(run, 193);
  });

  for (
    const [file, primitive] of [
      ["chacha20_poly1305", "chacha20poly1305"],
      ["aes_gcm", "aes256gcm"],
    ] as const
  ) {
    const cipher: Aead = suite[primitive];
    test(file, primitive, () => {
      type Group = { keySize: number; ivSize: number; tagSize: number };
      let run = 0;
      for (const { group, test } of wycheproof<Group, Record<string, string>>(file)) {
        // the Suite takes 256-bit keys and 96-bit nonces only, by its type
        if (group.keySize !== 256 || group.ivSize !== 96 || group.tagSize !== 128) continue;
        run++;
        const [key, nonce, ad] = [fromHex(test.key!), fromHex(test.iv!), fromHex(test.aad!)];
        const sealed = concat(fromHex(test.ct!), fromHex(test.tag!));
        const opened = cipher.open(key, nonce, ad, sealed);
        if (test.result === "valid") {
          assert.equal(opened && toHex(opened), test.msg, `tcId ${test.tcId}`);
          assert.equal(toHex(cipher.seal(key, nonce, ad, fromHex(test.msg!))), toHex(sealed));
        } else {
          assert.equal(opened, null, `tcId ${test.tcId} ${test.comment}`);
        }
      }
      assert.ok(run > 50, `only ${run} cases of ${file} apply`);
    });
  }
}
