/** Secrets of roles: sealed in the database, each role's its own, reached by a rotation of the key. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { toHex, utf8 } from "../base/bytes.ts";
import { auditMigrations, auditOf } from "./audit.ts";
import { nativeSuite } from "./crypto_native.ts";
import { openDatabase } from "./db/mod.ts";
import { openIdentity } from "./identity.ts";
import { sealerOf } from "./sealing.ts";
import { rotateSealingKey } from "./sealing_rotation.ts";
import { sealedSecret, secretMigrations, secretsOf } from "./secrets.ts";

const suite = nativeSuite();

async function open(folder: string) {
  const key = openIdentity(suite, folder).sealingKey;
  const sealer = sealerOf(suite, key, [sealedSecret]);
  const db = await openDatabase({ path: `${folder}/edgeward.db` });
  await db.migrate("core", [...auditMigrations, ...secretMigrations]);
  const audit = auditOf("core", () => 1_000);
  return {
    ...{ db, sealer },
    of: (role: string) => secretsOf(role, { sealer }),
    rotate: () => rotateSealingKey({ suite, key, sealer, db, audit, actor: "site" }),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
}

async function withSite(use: (site: Awaited<ReturnType<typeof open>>, folder: string) => unknown) {
  const folder = await Deno.makeTempDir();
  try {
    await using site = await open(folder);
    await use(site, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a secret is kept, replaced and forgotten, and is nowhere in the database", async () => {
  await withSite(async ({ db, of }) => {
    const secrets = of("share-gateway");
    const get = (name: string) => db.read((q) => secrets.get(q, name));
    const [old, value] = [utf8("an older secret"), utf8("a secret with a name")];
    assert.equal(await get("share/1"), null);
    await db.write((tx) => secrets.put(tx, "share/1", old));
    await db.write((tx) => secrets.put(tx, "share/1", value));
    assert.deepEqual(await get("share/1"), value);
    assert.deepEqual(await db.write((tx) => secrets.get(tx, "share/1")), value);
    const [row] = await db.read((q) =>
      q.all<{ role: string; name: string; value: string }>(
        sql`SELECT role, name, hex(value) AS value FROM secrets`,
      )
    );
    assert.equal(`${row!.role} ${row!.name}`, "share-gateway share/1");
    assert.ok(!row!.value.toLowerCase().includes(toHex(utf8("secret"))));
    await db.write((tx) => secrets.delete(tx, "share/1"));
    await db.write((tx) => secrets.delete(tx, "share/1"));
    assert.equal(await get("share/1"), null);
  });
});

Deno.test("a role finds no secret but its own, whatever the names", async () => {
  await withSite(async ({ db, of }) => {
    const [one, other] = [of("a"), of("a-b")];
    await db.write(async (tx) => {
      await one.put(tx, "b/c", utf8("of a"));
      await other.put(tx, "c", utf8("of a-b"));
    });
    const read = (name: string) =>
      db.read(async (q) => [await one.get(q, name), await other.get(q, name)]);
    assert.deepEqual(await read("b/c"), [utf8("of a"), null]);
    assert.deepEqual(await read("c"), [null, utf8("of a-b")]);
    await db.write((tx) => other.delete(tx, "b/c"));
    assert.deepEqual(await read("b/c"), [utf8("of a"), null]);
    assert.throws(() => of("a/b"), /secrets of "a\/b"/);
    assert.throws(() => of(""));
  });
});

Deno.test("a sealed value that is moved to another name or role does not open", async () => {
  await withSite(async ({ db, of }) => {
    const [one, other] = [of("one"), of("other")];
    await db.write((tx) => one.put(tx, "x", utf8("secret")));
    await db.write((tx) => tx.run(sql`INSERT INTO secrets SELECT 'one', 'y', value FROM secrets`));
    await db.write((tx) =>
      tx.run(sql`INSERT INTO secrets SELECT 'other', 'x', value FROM secrets WHERE name = 'x'`)
    );
    const unsealable = { name: "SealingError", code: "unsealable" };
    await assert.rejects(db.read((q) => one.get(q, "y")), unsealable);
    await assert.rejects(db.read((q) => other.get(q, "x")), unsealable);
    assert.deepEqual(await db.read((q) => one.get(q, "x")), utf8("secret"));
  });
});

Deno.test("a rotation seals the secrets of every role anew, and they open after a restart", async () => {
  await withSite(async (site, folder) => {
    const names = ["one", "other"].flatMap((role) => ["x", "y/z"].map((name) => [role, name]));
    for (const [role, name] of names) {
      await site.db.write((tx) => site.of(role!).put(tx, name!, utf8(`${role} ${name}`)));
    }
    const sealed = () => site.db.read((q) => q.all(sql`SELECT hex(value) FROM secrets`));
    const before = await sealed();
    assert.deepEqual(await site.rotate(), { version: 2, resealed: 4 });
    assert.notDeepEqual(await sealed(), before);
    await site.db[Symbol.asyncDispose]();
    await using again = await open(folder);
    for (const [role, name] of names) {
      const value = await again.db.read((q) => again.of(role!).get(q, name!));
      assert.deepEqual(value, utf8(`${role} ${name}`));
    }
  });
});

Deno.test("a secret that is too large, or has no name, is not kept", async () => {
  await withSite(async ({ db, of }) => {
    const secrets = of("one");
    const put = (name: string, length: number) =>
      db.write((tx) => secrets.put(tx, name, new Uint8Array(length)));
    await put("n".repeat(200), 4_096);
    await assert.rejects(put("x", 4_097), /4097 bytes/);
    await assert.rejects(put("", 1), /name a secret/);
    await assert.rejects(put("n".repeat(201), 1), /name a secret/);
  });
});
