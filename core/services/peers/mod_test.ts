/** Peers from their code to their end, over a real database file in which no code is ever to be found. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { toBase64url, toHex, utf8 } from "../../base/bytes.ts";
import type { Id } from "../../base/id.ts";
import { pskFromCode } from "../../trust/session/handshake.ts";
import type { Enrolment } from "../../wire/enrolment.ts";
import type { Peer, Peers } from "./mod.ts";
import { keys, noiseKey, openTestPeers, site, suite, type TestPeers, url } from "./_test_peers.ts";

async function withPeers(use: (test: TestPeers) => Promise<void>): Promise<void> {
  await using test = await openTestPeers();
  await use(test);
}

const enrol = (peers: Peers, id = "m-1") => peers.enrol("meter", id, { url, ttl: 500 });
const find = async (peers: Peers, id = "m-1") => await peers.find("meter", id as Id);

Deno.test("Peers.enrol() gives a code and remembers only the psk that follows from it", async () => {
  await withPeers(async ({ peers }) => {
    const { code, ...rest } = await enrol(peers);
    assert.deepEqual(rest, { site, url, noiseKey, expires: 1_500 });
    assert.equal(code.length, 16);
    assert.deepEqual(await find(peers), {
      ...{ kind: "meter", id: "m-1", state: "enrolled", codeExpires: 1_500 },
      ...{ noiseKey: null, signKey: null },
      psk: pskFromCode(suite, code, { site, device: "m-1" }),
    });
    assert.equal(await find(peers, "m-2"), null);
    assert.equal(await peers.find("fog", "m-1" as Id), null);
    await assert.rejects(enrol(peers, "no id!"), { code: "id_invalid" });
  });
});

Deno.test("Peers.enrol() before the code is used replaces it", async () => {
  await withPeers(async ({ peers }) => {
    const first = await enrol(peers);
    const second = await enrol(peers);
    assert.notDeepEqual(second.code, first.code);
    const psk = pskFromCode(suite, second.code, { site, device: "m-1" });
    assert.deepEqual((await find(peers))?.psk, psk);
  });
});

Deno.test("Peers.bind() binds once; after it there is no new code for the peer", async () => {
  await withPeers(async ({ peers }) => {
    await enrol(peers);
    const peer = (await find(peers))!;
    const [mine, other] = [keys(), keys()];
    const bound = await peers.bind(peer, mine);
    assert.deepEqual(bound, { ...peer, ...mine, state: "approved" });
    assert.deepEqual(await find(peers), bound);
    await assert.rejects(peers.bind(peer, other), { name: "PeerError", code: "peer_bound" });
    await assert.rejects(enrol(peers), { name: "PeerError", code: "peer_exists" });
    assert.deepEqual(await find(peers), bound);
  });
});

Deno.test("Peers.bind() lets one of many at once win", async () => {
  await withPeers(async ({ peers }) => {
    await enrol(peers);
    const peer = (await find(peers))!;
    const all = Array.from({ length: 9 }, keys);
    const outcomes = await Promise.allSettled(all.map((one) => peers.bind(peer, one)));
    const won = outcomes.filter(({ status }) => status === "fulfilled");
    assert.equal(won.length, 1);
    assert.deepEqual((await find(peers))?.noiseKey, all[0]!.noiseKey);
  });
});

Deno.test("Peers.revoke() ends a peer for good, bound or not", async () => {
  await withPeers(async ({ peers }) => {
    for (const id of ["bound", "unbound"]) {
      await enrol(peers, id);
      const peer = (await find(peers, id))!;
      if (id === "bound") await peers.bind(peer, keys());
      await peers.revoke("meter", id);
      assert.equal((await find(peers, id))?.state, "revoked");
      await assert.rejects(peers.bind(peer, keys()), { code: "peer_bound" });
      await assert.rejects(enrol(peers, id), { code: "peer_exists" });
      await peers.revoke("meter", id);
    }
    await assert.rejects(peers.revoke("meter", "nobody"), { code: "peer_unknown" });
    await assert.rejects(peers.revoke("fog", "bound"), { code: "peer_unknown" });
  });
});

Deno.test("Peers.watch() hears of a revocation after it is on disk, until it stops", async () => {
  await withPeers(async ({ peers }) => {
    for (const id of ["a", "b", "c"]) await enrol(peers, id);
    const heard: string[] = [];
    const states: Promise<Peer | null>[] = [];
    const stop = peers.watch((kind, id) => {
      heard.push(`${kind} ${id}`);
      states.push(peers.find(kind, id));
    });
    await assert.rejects(peers.revoke("meter", "nobody"));
    await peers.revoke("meter", "a");
    await peers.revoke("meter", "b");
    stop();
    await peers.revoke("meter", "c");
    assert.deepEqual(heard, ["meter a", "meter b"]);
    for (const peer of await Promise.all(states)) assert.equal(peer?.state, "revoked");
  });
});

Deno.test("Peers.watch() hears of a code that was replaced: who came with the old one must go", async () => {
  await withPeers(async ({ peers }) => {
    const heard: string[] = [];
    peers.watch((kind, id) => void heard.push(`${kind} ${id}`));
    await enrol(peers);
    heard.length = 0;
    await enrol(peers);
    assert.deepEqual(heard, ["meter m-1"]);
  });
});

Deno.test("Peers records what happened in the audit, and nothing when nothing did", async () => {
  await withPeers(async ({ peers, db }) => {
    await enrol(peers);
    const peer = (await find(peers))!;
    await peers.bind(peer, keys());
    await assert.rejects(peers.bind(peer, keys()));
    await assert.rejects(enrol(peers));
    await assert.rejects(peers.revoke("meter", "nobody"));
    await peers.revoke("meter", "m-1");
    const rows = await db.read((q) =>
      q.all(sql`SELECT type, subject, detail FROM audit ORDER BY id`)
    );
    const subject = "m-1";
    assert.deepEqual(rows, [
      { type: "peer.enrolled", subject, detail: `{"kind":"meter"}` },
      { type: "device.approved", subject, detail: `{"kind":"meter","by":"code"}` },
      { type: "device.revoked", subject, detail: `{"kind":"meter"}` },
    ]);
  });
});

Deno.test("a code, and the psk that follows from it, is never in a file of the database", async () => {
  await withPeers(async ({ peers, db, folder }) => {
    const secrets: Uint8Array[] = [];
    const keep = (id: string, { code }: Enrolment) => {
      const psk = pskFromCode(suite, code, { site, device: id });
      for (const secret of [code, psk]) {
        secrets.push(secret, utf8(toHex(secret)), utf8(toBase64url(secret)));
      }
    };
    for (const id of ["a", "b", "b", "c"]) keep(id, await enrol(peers, id));
    await peers.bind((await find(peers, "a"))!, keys());
    await peers.revoke("meter", "c");
    keep("a", await peers.replaceByCode("meter", "a", { url, ttl: 500 }));
    const own = { url, ttl: 500, code: suite.randomBytes(16) };
    keep("d", await peers.enrol("meter", "d", own));
    await peers.remove("meter", "d");
    const search = () => {
      const text = ["site.db", "site.db-wal", "site.db-shm"]
        .map((name) => latin(contents(`${folder}/${name}`))).join("");
      assert.ok(text.includes("peer.enrolled"), "the search finds nothing at all");
      for (const secret of secrets) assert.ok(!text.includes(latin(secret)));
    };
    search();
    await db[Symbol.asyncDispose]();
    search();
  });
});

/** What is in a file; nothing when there is none, as the log of a database that was closed. */
function contents(file: string): Uint8Array {
  try {
    return Deno.readFileSync(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Uint8Array();
    throw error;
  }
}

/** Bytes as text, one character each. */
function latin(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
