/** The site's keys on disk: made once, for the owner's eyes only, and never quoted. */
import assert from "node:assert/strict";
import { toBase64url, utf8 } from "../base/bytes.ts";
import { Secret } from "../base/secret.ts";
import { fingerprint } from "../trust/fingerprint.ts";
import { nativeSuite } from "./crypto_native.ts";
import { IdentityError, openIdentity } from "./identity.ts";

const suite = nativeSuite();

function withFolder(use: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    use(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("openIdentity() makes the directory and one file, for its owner only", () => {
  withFolder((folder) => {
    const data = `${folder}/a/data`;
    openIdentity(suite, data);
    assert.equal(Deno.statSync(data).mode! & 0o777, 0o700);
    assert.equal(Deno.statSync(`${data}/identity.key`).mode! & 0o777, 0o600);
    assert.deepEqual(Array.from(Deno.readDirSync(data), ({ name }) => name), ["identity.key"]);
  });
});

Deno.test("openIdentity() gives the same keys after reopening, and others elsewhere", () => {
  withFolder((folder) => {
    const [one, again, other] = ["a", "a", "b"].map((name) => {
      const { noise, signer, fingerprint, sealingKey } = openIdentity(suite, `${folder}/${name}`);
      const seal = sealingKey.newest.key.reveal();
      return [noise.publicKey, noise.secretKey, signer.seed, fingerprint, seal];
    });
    assert.deepEqual(again, one);
    for (const [i, key] of one!.entries()) assert.notDeepEqual(other![i], key);
    assert.equal(new Set(one!.map(toBase64url)).size, 5);
  });
});

Deno.test("openIdentity() gives keys that work under the fingerprint that it says", () => {
  withFolder((folder) => {
    const identity = openIdentity(suite, folder);
    const { publicKey } = identity.signer;
    assert.deepEqual(identity.fingerprint, fingerprint(suite, "Ed25519", publicKey));
    const signature = identity.signer.sign(utf8("x"));
    assert.ok(suite.ed25519.verifier(publicKey).verify(utf8("x"), signature));
    const other = suite.x25519.keyPair();
    const secret = identity.noise.sharedSecret(other.publicKey);
    assert.deepEqual(secret, other.sharedSecret(identity.noise.publicKey));
  });
});

Deno.test("openIdentity() gives what shows no secret when it is printed or serialised", () => {
  withFolder((folder) => {
    const identity = openIdentity(suite, folder);
    const depth = 9;
    const shown = Deno.inspect(identity, { depth, getters: true }).replace(/\s/g, "") +
      JSON.stringify(identity);
    assert.ok(shown.includes([...identity.fingerprint].join(",")));
    const { noise, signer, sealingKey } = identity;
    for (const secret of [noise.secretKey, signer.seed, sealingKey.newest.key.reveal()]) {
      assert.ok(!shown.includes([...secret].join(",")));
      assert.ok(!shown.includes(JSON.stringify(secret).slice(1, -1)));
    }
  });
});

Deno.test("openIdentity() refuses a damaged file without quoting it, and leaves it alone", () => {
  withFolder((folder) => {
    const file = `${folder}/identity.key`;
    openIdentity(suite, folder);
    const good = Deno.readTextFileSync(file);
    const keys = JSON.parse(good);
    const damaged = {
      empty: "",
      truncated: good.slice(0, -10),
      "followed by something": `${good}x`,
      null: "null",
      "a list": JSON.stringify(Object.values(keys)),
      "without a key": JSON.stringify({ ...keys, seal: undefined }),
      "of another version": JSON.stringify({ ...keys, version: 3 }),
      "of an older version": JSON.stringify({ ...keys, version: 1 }),
      "without a sealing key": JSON.stringify({ ...keys, seal: [] }),
      "with a version twice": JSON.stringify({ ...keys, seal: [...keys.seal, ...keys.seal] }),
      "with a version 0": JSON.stringify({ ...keys, seal: [{ ...keys.seal[0], version: 0 }] }),
      "with a version 256": JSON.stringify({ ...keys, seal: [{ ...keys.seal[0], version: 256 }] }),
      "with a short sealing key": JSON.stringify({ ...keys, seal: [{ version: 1, key: "AAAA" }] }),
      "with a short key": JSON.stringify({ ...keys, sign: keys.sign.slice(0, -4) }),
      "with an odd key": JSON.stringify({ ...keys, noise: `${keys.noise.slice(0, -1)}=` }),
      "with a number": JSON.stringify({ ...keys, noise: 7 }),
    };
    for (const [how, text] of Object.entries(damaged)) {
      Deno.writeTextFileSync(file, text);
      const error = errorOf(() => openIdentity(suite, folder));
      assert.ok(error instanceof IdentityError, how);
      assert.equal(error.code, "identity_unreadable", how);
      assert.equal(error.cause, undefined);
      const shown = Deno.inspect(error, { depth: 9, showHidden: true });
      for (const key of [keys.noise, keys.sign, keys.seal[0].key]) {
        assert.ok(!shown.includes(key.slice(0, 8)), `${how} shows ${key}`);
      }
      assert.equal(Deno.readTextFileSync(file), text);
    }
    Deno.removeSync(file);
    Deno.mkdirSync(file);
    assert.throws(() => openIdentity(suite, folder), { code: "identity_unreadable" });
  });
});

Deno.test("openIdentity() says that it cannot write to the directory", () => {
  withFolder((folder) => {
    Deno.symlinkSync(`${folder}/nowhere/at/all`, `${folder}/link`);
    const error = errorOf(() => openIdentity(suite, `${folder}/link/data`));
    assert.ok(error instanceof IdentityError, `${error}`);
    assert.equal(error.code, "data_dir_unwritable");
    assert.match(error.hint ?? "", /data_dir/);
  });
});

Deno.test("openIdentity() keeps the file to its owner although a crash left another behind", () => {
  withFolder((folder) => {
    Deno.writeTextFileSync(`${folder}/identity.key.new`, "half a fi", { mode: 0o644 });
    openIdentity(suite, folder);
    assert.equal(Deno.statSync(`${folder}/identity.key`).mode! & 0o777, 0o600);
    openIdentity(suite, folder);
  });
});

Deno.test("openIdentity() reads a file of version 1, and a rotation makes it one of version 2", () => {
  withFolder((folder) => {
    const file = `${folder}/identity.key`;
    openIdentity(suite, folder);
    const { noise, sign, seal: [{ key }] } = JSON.parse(Deno.readTextFileSync(file));
    Deno.writeTextFileSync(file, JSON.stringify({ version: 1, noise, sign, seal: key }) + "\n");
    const identity = openIdentity(suite, folder);
    const { sealingKey } = identity;
    assert.deepEqual(sealingKey.versions, [1]);
    assert.equal(toBase64url(sealingKey.newest.key.reveal()), key);
    const added = sealingKey.add(new Secret(suite.randomBytes(32)));
    const read = () => JSON.parse(Deno.readTextFileSync(file));
    const second = { version: 2, key: toBase64url(added.key.reveal()) };
    assert.deepEqual(read(), { version: 2, noise, sign, seal: [{ version: 1, key }, second] });
    assert.deepEqual(openIdentity(suite, folder).sealingKey.versions, [1, 2]);
    sealingKey.forgetBefore(added);
    assert.deepEqual(read(), { version: 2, noise, sign, seal: [second] });
    assert.equal(Deno.statSync(file).mode! & 0o777, 0o600);
    const again = openIdentity(suite, folder);
    assert.deepEqual(again.sealingKey.versions, [2]);
    assert.deepEqual(again.fingerprint, identity.fingerprint);
  });
});

Deno.test("a sealing key changes no file but the one that it was read from", () => {
  withFolder((folder) => {
    const file = `${folder}/identity.key`;
    const { sealingKey } = openIdentity(suite, folder);
    openIdentity(suite, `${folder}/other`);
    const others = Deno.readTextFileSync(`${folder}/other/identity.key`);
    const fresh = () => sealingKey.add(new Secret(suite.randomBytes(32)));
    Deno.renameSync(`${folder}/other/identity.key`, file);
    assert.throws(fresh, { code: "identity_unreadable", message: /removed or replaced/ });
    assert.equal(Deno.readTextFileSync(file), others);
    Deno.removeSync(file);
    assert.throws(fresh, { code: "identity_unreadable" });
    assert.deepEqual(sealingKey.versions, [1]);
  });
});

function errorOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  assert.fail("nothing was thrown");
}
