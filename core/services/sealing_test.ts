/** Sealed fields: worth nothing in another place, under another key, or altered by one bit. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, toHex, utf8 } from "../base/bytes.ts";
import { Secret } from "../base/secret.ts";
import { nativeSuite } from "./crypto_native.ts";
import { type Place, sealerOf } from "./sealing.ts";
import { SealingKey } from "./sealing_key.ts";

const suite = nativeSuite();
const masterKey = () => new Secret(suite.randomBytes(32));
const sealer = sealerOf(suite, masterKey());
const place: Place = { table: "peers", column: "psk", row: "meter/m-1" };
const anyPlace = fc.record({ table: fc.string(), column: fc.string(), row: fc.string() });
const unsealable = { name: "SealingError", code: "unsealable" };

Deno.test("a sealer opens what it sealed, in its place", () => {
  fc.assert(fc.property(anyPlace, fc.uint8Array({ maxLength: 100 }), (place, plaintext) => {
    const sealed = sealer.seal(place, plaintext);
    assert.deepEqual(sealer.open(place, sealed), plaintext);
    assert.equal(sealed.length, plaintext.length + 29);
  }));
});

Deno.test("a sealed value opens in no other place", () => {
  fc.assert(fc.property(anyPlace, anyPlace, (here, there) => {
    fc.pre(
      ["table", "column", "row"].some((key) => Reflect.get(here, key) !== Reflect.get(there, key)),
    );
    const sealed = sealer.seal(here, utf8("secret"));
    assert.throws(() => sealer.open(there, sealed), unsealable);
  }));
  const shifted = { table: "peers", column: "psk/meter", row: "m-1" };
  assert.throws(() => sealer.open(shifted, sealer.seal(place, utf8("secret"))), unsealable);
});

Deno.test("a sealed value does not open when any bit of it was altered, or bytes are missing", () => {
  const sealed = sealer.seal(place, utf8("secret"));
  for (let i = 0; i < sealed.length; i++) {
    for (const bit of [1, 0x80]) {
      const altered = sealed.slice();
      altered[i]! ^= bit;
      assert.throws(() => sealer.open(place, altered), unsealable, `byte ${i}`);
    }
    assert.throws(() => sealer.open(place, sealed.subarray(0, i)), unsealable);
  }
});

Deno.test("a sealed value does not open under another site's key, and says nothing of itself", () => {
  const sealed = sealer.seal(place, utf8("secret"));
  const other = sealerOf(suite, masterKey());
  assert.throws(() => other.open(place, sealed), (error: Error & { hint?: string }) => {
    assert.match(error.hint ?? "", /identity\.key/);
    assert.doesNotMatch(Deno.inspect(error), /secret\b|m-1/);
    return true;
  });
});

Deno.test("the same value is sealed differently each time", () => {
  const sealed = Array.from({ length: 100 }, () => toHex(sealer.seal(place, utf8("secret"))));
  assert.equal(new Set(sealed).size, 100);
  assert.equal(new Set(sealed.map((text) => text.slice(2, 26))).size, 100);
});

Deno.test("a sealer opens what any version kept has sealed, and seals with the newest", () => {
  const first = { version: 1, key: masterKey() };
  const key = new SealingKey([first], () => {});
  const sealer = sealerOf(suite, key);
  const old = sealer.seal(place, utf8("old"));
  const second = key.add(masterKey());
  const fresh = sealer.seal(place, utf8("new"));
  assert.deepEqual([old[0], fresh[0]], [1, 2]);
  assert.deepEqual(sealer.open(place, old), utf8("old"));
  assert.deepEqual(sealer.open(place, fresh), utf8("new"));
  const relabelled = concat(Uint8Array.of(2), old.subarray(1));
  assert.throws(() => sealer.open(place, relabelled), unsealable);
  key.forgetBefore(second);
  assert.throws(() => sealer.open(place, old), unsealable);
  assert.deepEqual(sealer.open(place, fresh), utf8("new"));
  assert.throws(() => first.key.reveal(), /wiped/);
});

Deno.test("a sealer of declared columns seals no other", () => {
  const columns = [{ table: "peers", column: "psk", row: "kind || '/' || id" }];
  const sealer = sealerOf(suite, masterKey(), columns);
  sealer.seal(place, utf8("secret"));
  assert.throws(() => sealer.seal({ ...place, column: "code" }, utf8("secret")), /not declared/);
  assert.throws(() => sealer.seal({ ...place, table: "users" }, utf8("secret")), /not declared/);
});

Deno.test("a sealing key is saved before it is used, and numbers its versions from 1 to 255", () => {
  const saved: number[][] = [];
  let full = false;
  const key = new SealingKey([{ version: 254, key: masterKey() }], (versions) => {
    if (full) throw new Error("the disk is full");
    saved.push(versions.map(({ version }) => version));
  });
  key.add(masterKey());
  const last = key.add(masterKey());
  assert.deepEqual(key.versions, [254, 255, 1]);
  full = true;
  assert.throws(() => key.add(masterKey()), /full/);
  assert.throws(() => key.forgetBefore(last), /full/);
  assert.deepEqual(key.versions, [254, 255, 1]);
  full = false;
  key.forgetBefore(last);
  key.forgetBefore(last);
  assert.deepEqual(saved, [[254, 255], [254, 255, 1], [1]]);
});
