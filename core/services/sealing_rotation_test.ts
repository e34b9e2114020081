/** Rotation: whenever it is cut short, all that is sealed opens, and the next rotation ends it. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { sql } from "drizzle-orm";
import { toBase64url } from "../base/bytes.ts";
import { parseId } from "../base/id.ts";
import { pskFromCode } from "../trust/session/handshake.ts";
import { auditMigrations, auditOf } from "./audit.ts";
import { EventBus } from "./bus.ts";
import { nativeSuite } from "./crypto_native.ts";
import { type Database, openDatabase } from "./db/mod.ts";
import { openIdentity } from "./identity.ts";
import { openPeers, peerMigrations } from "./peers/mod.ts";
import { sealerOf } from "./sealing.ts";
import { rotateSealingKey } from "./sealing_rotation.ts";
import { openedIn, openSealedSite } from "./_sealed_site.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const ids = Array.from({ length: 30 }, (_, i) => `t-${i + 10}`);

Deno.test("a rotation seals everything anew and forgets the old key, on disk and in memory", async () => {
  await withFolder(async (folder) => {
    await using site = await openSealedSite(folder);
    for (const id of ids) await site.add(id);
    await site.db.write((tx) => tx.run(sql`INSERT INTO things VALUES ('thing', 'none', NULL)`));
    const sealed = () =>
      site.db.read((q) => q.all<{ secret: ArrayBuffer }>(sql`SELECT secret FROM things`));
    const [old] = [site.key.newest.key, await sealed()];
    const oldText = toBase64url(old.reveal());
    assert.deepEqual(await site.rotate(), { version: 2, resealed: 30 });
    assert.deepEqual(await openedIn(site), ids);
    for (const { secret } of await sealed()) {
      if (secret !== null) assert.equal(new Uint8Array(secret)[0], 2);
    }
    assert.deepEqual(site.key.versions, [2]);
    assert.throws(() => old.reveal(), /wiped/);
    const file = await Deno.readTextFile(`${folder}/identity.key`);
    assert.ok(!file.includes(oldText));
    assert.equal((await Deno.stat(`${folder}/identity.key`)).mode! & 0o777, 0o600);
    const audited = await site.db.read((q) =>
      q.all(sql`SELECT type, actor, subject, detail FROM audit`)
    );
    assert.deepEqual(audited, [{
      ...{ type: "sealing_key.rotated", actor: "site", subject: "identity.key" },
      detail: JSON.stringify({ version: 2, resealed: 30 }),
    }]);
  });
});

/** Cuts a rotation short in one place. */
const cuts: Record<string, (folder: string, db: Database) => Database> = {
  "while the new key is saved": (folder, db) => {
    obstruct(folder);
    return db;
  },
  "before the values are sealed anew": (_folder, db) => ({
    ...doors(db),
    write: () => Promise.reject(new Error("cut")),
  }),
  "while the values are sealed anew": (_folder, db) => ({
    ...doors(db),
    write: (job) => db.write((tx) => job(tx).then(() => Promise.reject(new Error("cut")))),
  }),
  "after the values are sealed anew": (_folder, db) => ({
    ...doors(db),
    write: (job) => db.write(job).then(() => Promise.reject(new Error("cut"))),
  }),
  "while the old key is forgotten": (folder, db) => ({
    ...doors(db),
    async write(job) {
      const result = await db.write(job);
      obstruct(folder);
      return result;
    },
  }),
};

function doors(db: Database): Database {
  return { read: (query) => db.read(query), write: (job) => db.write(job) };
}

/** Where the key file would be written first, there is a folder that is not empty. */
function obstruct(folder: string): void {
  Deno.mkdirSync(`${folder}/identity.key.new/obstacle`, { recursive: true });
}

for (const [where, cut] of Object.entries(cuts)) {
  Deno.test(`a rotation that is cut short ${where} loses nothing`, async () => {
    await withFolder(async (folder) => {
      {
        await using site = await openSealedSite(folder);
        for (const id of ids) await site.add(id);
        await assert.rejects(site.rotate(cut(folder, site.db)));
        assert.deepEqual(await openedIn(site), ids);
        await site.add("t-90");
        assert.deepEqual(await openedIn(site), [...ids, "t-90"]);
      }
      await Deno.remove(`${folder}/identity.key.new`, { recursive: true }).catch(() => {});
      await using site = await openSealedSite(folder);
      assert.deepEqual(await openedIn(site), [...ids, "t-90"]);
      await site.add("t-91");
      const { version, resealed } = await site.rotate();
      assert.equal(resealed, 32);
      assert.deepEqual(site.key.versions, [version]);
      assert.deepEqual(await openedIn(site), [...ids, "t-90", "t-91"]);
    });
  });
}

Deno.test("rotations and writes at the same time leave one version, and everything opens", async () => {
  await withFolder(async (folder) => {
    await using site = await openSealedSite(folder);
    const adding = ids.map((id) => site.add(id));
    await Promise.all([site.rotate(), site.rotate(), ...adding, site.rotate()]);
    assert.deepEqual(site.key.versions, [4]);
    assert.deepEqual(await openedIn(site), ids);
    await using again = await openSealedSite(folder);
    assert.deepEqual(await openedIn(again), ids);
  });
});

Deno.test("a rotation keeps the old key when a value does not open, or comes in too late", async () => {
  await withFolder(async (folder) => {
    await using site = await openSealedSite(folder);
    for (const id of ids) await site.add(id);
    const early = site.sealer.seal(
      { table: "things", column: "secret", row: "thing/late" },
      new Uint8Array(4),
    );
    const late = site.rotate({
      ...doors(site.db),
      async write(job) {
        const result = await site.db.write(job);
        await site.db.write((tx) =>
          tx.run(sql`INSERT INTO things VALUES ('thing', 'late', ${early})`)
        );
        return result;
      },
    });
    await assert.rejects(late, { code: "rotation_incomplete", hint: "rotate again" });
    assert.deepEqual(site.key.versions, [1, 2]);
    assert.deepEqual(await site.rotate(), { version: 3, resealed: 31 });
    await site.db.write((tx) => tx.run(sql`UPDATE things SET secret = x'00' WHERE id = 't-10'`));
    await assert.rejects(site.rotate(), { code: "unsealable" });
    assert.deepEqual(site.key.versions, [3, 4]);
    await site.db.write((tx) => tx.run(sql`DELETE FROM things WHERE id = 't-10'`));
    assert.deepEqual(await openedIn(site), [...ids.slice(1)]);
  });
});

Deno.test("the psks of peers are sealed anew with the rest, and codes go on working", async () => {
  await withFolder(async (folder) => {
    const suite = nativeSuite();
    const { sealingKey: key, noise } = openIdentity(suite, folder);
    await using db = await openDatabase({ path: `${folder}/edgeward.db` });
    await db.migrate("core", [...auditMigrations, ...peerMigrations]);
    const clock = () => 1_000;
    const [site, audit] = [parseId("site-1"), auditOf("core", clock)];
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const bus = new EventBus({ clock, log }).scoped("core");
    // as core/services/peers will declare it
    const sealer = sealerOf(suite, key, [
      { table: "peers", column: "psk", row: "kind || '/' || id" },
    ]);
    const noiseKey = noise.publicKey;
    const peers = openPeers({ suite, site, noiseKey, db, sealer, audit, bus, clock, log });
    const url = "http://site.example";
    const enrolments = [];
    for (const id of ["m-1", "m-2", "m-3"]) {
      enrolments.push({ id, ...await peers.enrol("meter", id, { url, ttl: 1_000 }) });
    }
    const rotation = await rotateSealingKey({ suite, key, sealer, db, audit, actor: "site" });
    assert.deepEqual(rotation, { version: 2, resealed: 3 });
    for (const { id, code } of enrolments) {
      const peer = await peers.find("meter", parseId(id));
      assert.deepEqual(peer!.psk, pskFromCode(suite, code, { site, device: id }));
    }
    await peers.enrol("meter", "m-4", { url, ttl: 1_000 });
    await peers.revoke("meter", "m-1");
    assert.equal((await peers.list()).length, 4);
  });
});

Deno.test("a rotation killed at any moment loses nothing that was stored", async () => {
  await withFolder(async (folder) => {
    const fixture = fileURLToPath(new URL("./_rotation_fixture.ts", import.meta.url));
    const stored: string[] = [];
    for (let seed = 1; seed <= 10; seed++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--frozen", "-A", fixture, folder],
        stdin: "null",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const enough = 1 + (Math.imul(seed, 0x9e3779b1) >>> 0) % 12;
      let text = "", alive = true;
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (!alive || text.split("\n").length <= enough) continue;
        child.kill("SIGKILL");
        alive = false;
      }
      assert.equal((await child.status).signal, "SIGKILL");

      stored.push(...text.split("\n").slice(0, -1));
      await using site = await openSealedSite(folder);
      const opened = new Set(await openedIn(site));
      assert.deepEqual(stored.filter((id) => !opened.has(id)), [], `seed ${seed}`);
    }
    await using site = await openSealedSite(folder);
    const { version } = await site.rotate();
    assert.deepEqual(site.key.versions, [version]);
    assert.ok((await openedIn(site)).length >= stored.length);
  });
});
