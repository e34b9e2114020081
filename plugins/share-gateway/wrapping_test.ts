/** The second lock: what it opens, what it does not, and what a missing key file means. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "../../core/base/bytes.ts";
import { Secret } from "../../core/base/secret.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { readSealKey, wrapper } from "./wrapping.ts";

const suite = nativeSuite();
const newKey = () => new Secret(suite.randomBytes(32));
const wrong = { name: "WrappingError", code: "seal_key_wrong" };

Deno.test("a wrapper opens what it wrapped, in its place, with a key and without", () => {
  for (const key of [newKey(), null]) {
    const { wrap, unwrap, isCurrent } = wrapper(suite, key);
    fc.assert(fc.property(fc.string(), fc.uint8Array({ maxLength: 100 }), (place, bytes) => {
      const kept = wrap(place, bytes);
      assert.deepEqual(unwrap(place, kept), bytes);
      assert.ok(isCurrent(kept));
    }));
  }
});

Deno.test("what is wrapped opens in no other place, altered in no bit, under no other key", () => {
  const key = newKey();
  const { wrap, unwrap } = wrapper(suite, key);
  const kept = wrap("share/1", utf8("a share"));
  assert.throws(() => unwrap("share/2", kept), wrong);
  assert.throws(() => wrapper(suite, newKey()).unwrap("share/1", kept), wrong);
  for (let i = 1; i < kept.length; i++) {
    const altered = kept.slice();
    altered[i]! ^= 1;
    assert.throws(() => unwrap("share/1", altered), wrong, `byte ${i}`);
    assert.throws(() => unwrap("share/1", kept.subarray(0, i)), wrong);
  }
  for (const bytes of [new Uint8Array(0), Uint8Array.of(2, ...kept.subarray(1))]) {
    assert.throws(() => unwrap("share/1", bytes), wrong);
  }
  key.wipe();
  assert.deepEqual(unwrap("share/1", kept), utf8("a share"));
});

Deno.test("what is wrapped needs its key, and what was kept before there was one does not", () => {
  const [without, withKey] = [wrapper(suite, null), wrapper(suite, newKey())];
  const missing = { code: "seal_key_missing", hint: /seal_key_file/ };
  assert.throws(() => without.unwrap("x", withKey.wrap("x", utf8("a share"))), missing);
  const old = without.wrap("x", utf8("a share"));
  assert.deepEqual(withKey.unwrap("x", old), utf8("a share"));
  assert.deepEqual([withKey.isCurrent(old), without.isCurrent(old)], [false, true]);
});

Deno.test("readSealKey() reads the file's bytes as they are, and waits for one that is missing", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/seal.key`;
    assert.equal(readSealKey(undefined), null);
    const missing = { name: "Unavailable", message: /seal_key_file.*no such file/ };
    assert.throws(() => readSealKey(file), missing);
    const bytes = Uint8Array.of(...suite.randomBytes(30), 0xff, 0x0a);
    await Deno.writeFile(file, bytes);
    assert.deepEqual(readSealKey(file)!.reveal(), bytes);
    for (const size of [0, 15, 65_537]) {
      await Deno.writeFile(file, new Uint8Array(size));
      assert.throws(() => readSealKey(file), { name: "Unavailable", message: /a key 16 to 65536/ });
    }
    Deno.env.set("EDGEWARD_TEST_SEAL_KEY", "sixteen bytes or more");
    const named = readSealKey("env:EDGEWARD_TEST_SEAL_KEY")!;
    assert.deepEqual(named.reveal(), utf8("sixteen bytes or more"));
  } finally {
    Deno.env.delete("EDGEWARD_TEST_SEAL_KEY");
    await Deno.remove(folder, { recursive: true });
  }
});
