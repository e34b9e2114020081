/** Who is kept out for a time, what of it is on disk, and that a peer is afterwards what it was. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { parseId } from "../../base/id.ts";
import { auditMigrations } from "../audit.ts";
import { openDatabase } from "../db/mod.ts";
import { mostBans } from "./_bans.ts";
import { peerBanMigrations, peerMigrations, peerTableMigrations } from "./mod.ts";
import { applicant, holdReads, keys, minutes, openTestPeers, shown } from "./_test_peers.ts";
import { suite, type TestPeers, url } from "./_test_peers.ts";

const words = "narrow work echo fit cliff apart";
const options = { url, ttl: 500 };
const is = (code: string) => ({ name: "PeerError", code });

/** A peer whose keys are bound. */
async function bound({ peers, find }: TestPeers, id = "m-1") {
  const mine = keys();
  await peers.enrol("meter", id, options);
  await peers.bind((await find(id))!, mine);
  return mine;
}

Deno.test("Peers.find() gives a banned peer as revoked, and afterwards as it was", async () => {
  await using test = await openTestPeers();
  const { peers, find, time } = test;
  await bound(test);
  const before = await find();
  for (const end of ["its time", "a person"]) {
    const ban = await peers.ban("meter", "m-1", { lasts: minutes, reason: "  too loud " });
    assert.deepEqual(ban, {
      ...{ kind: "meter", id: "m-1", key: null, reason: "too loud", actor: "site" },
      ...{ since: time.now, until: time.now + minutes },
    });
    assert.deepEqual(await peers.bans(), [ban]);
    const banned = (await find())!;
    assert.deepEqual([banned.state, banned.noiseKey], ["revoked", before!.noiseKey]);
    assert.ok(banned.psk.every((byte) => byte === 0) && banned.codeExpires === 0);
    assert.deepEqual((await peers.list()).map(({ state }) => state), ["approved"]);
    if (end === "its time") time.now += minutes;
    else await peers.unban("meter", "m-1");
    assert.deepEqual([await find(), await peers.bans()], [before, []]);
  }
  assert.equal(await find("m-2"), null);
});

Deno.test("a ban without an end lasts until it is lifted, and a name that nobody has can be banned", async () => {
  await using test = await openTestPeers();
  const { peers, find, time } = test;
  assert.equal((await peers.ban("meter", "m-1")).until, null);
  time.now += 3_652 * 24 * 60 * minutes;
  assert.equal((await find())!.state, "revoked");
  assert.equal(await peers.find("fog", parseId("m-1")), null, "the other kind is not meant");
  await peers.unban("meter", "m-1");
  assert.equal(await find(), null);
  await assert.rejects(peers.unban("meter", "m-1"), is("ban_unknown"));
  await peers.ban("meter", "m-1", { lasts: 5 });
  time.now += 5;
  await assert.rejects(peers.unban("meter", "m-1"), is("ban_unknown"));
});

Deno.test("nobody is let in under a name, or with a key, that is banned", async () => {
  for (const key of [undefined, true] as const) {
    await using test = await openTestPeers();
    const { peers, find } = test;
    const stranger = applicant({ words });
    await peers.apply("meter", stranger);
    await peers.ban("meter", "m-1", key && { key });
    assert.deepEqual(peers.waiting(), []);
    await assert.rejects(peers.apply("meter", stranger), is("peer_banned"));
    await assert.rejects(peers.approve("meter", "m-1", { words }), is("applicant_unknown"));
    const elsewhere = { ...stranger, device: parseId("m-2") };
    const other = applicant({ words });
    if (key === undefined) {
      assert.equal(await peers.apply("meter", elsewhere), "pending");
      await assert.rejects(peers.apply("meter", other), is("peer_banned"));
      await assert.rejects(peers.enrol("meter", "m-1", options), is("peer_banned"));
      assert.equal((await find())!.state, "revoked");
      continue;
    }
    await assert.rejects(peers.apply("meter", elsewhere), is("peer_banned"));
    await assert.rejects(peers.apply("fog", { ...stranger, proof: "code" }), is("peer_banned"));
    // whoever holds the key cannot use a code either; another key can
    await peers.enrol("meter", "m-1", options);
    const pair = { noiseKey: stranger.key, signKey: keys().signKey };
    await assert.rejects(peers.bind((await find())!, pair), is("peer_banned"));
    assert.equal((await find())!.state, "enrolled");
    await peers.bind((await find())!, keys());
    assert.equal(await peers.apply("meter", other), "conflict");
  }
});

Deno.test("a ban that comes between recognising somebody and letting them in wins", async () => {
  for (const act of ["approve", "replace"] as const) {
    await using test = await openTestPeers();
    const { peers, find } = test;
    if (act === "replace") await bound(test);
    const before = (await find())?.noiseKey ?? null;
    const { key } = applicant();
    await peers.apply("meter", applicant({ key, words }));
    const by = { fingerprint: shown(key) };
    const banned = peers.ban("meter", "m-1", { key: by });
    await assert.rejects(peers[act]("meter", "m-1", { words }), is("peer_banned"));
    await banned;
    assert.deepEqual((await find())?.noiseKey ?? null, before);
  }
});

Deno.test("an application that its ban overtakes leaves nobody waiting", async () => {
  for (const key of [undefined, true] as const) {
    await using test = await openTestPeers();
    const { peers, db, find } = test;
    const { noiseKey } = await bound(test, "m-2");
    assert.ok(await find("m-2"));
    const banned = Promise.withResolvers<void>();
    holdReads(db, banned.promise);
    const device = key ? "m-1" : "m-2";
    const applied = peers.apply("fog", applicant({ device, key: noiseKey }));
    if (key) await peers.ban("meter", "m-2", { key });
    else await peers.ban("fog", "m-2");
    banned.resolve();
    await assert.rejects(applied, is("peer_banned"));
    assert.deepEqual(peers.waiting(), []);
  }
});

Deno.test("Peers.ban() by key takes the only key of a name, or the one that is shown so", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  await assert.rejects(peers.ban("meter", "m-1", { key: true }), is("key_unknown"));
  await peers.apply("meter", applicant({ proof: "none" }));
  await assert.rejects(peers.ban("meter", "m-1", { key: true }), is("applicant_unproven"));
  await peers.enrol("meter", "m-1", options);
  await assert.rejects(peers.ban("meter", "m-1", { key: true }), is("applicant_unproven"));
  const mine = await bound(test, "m-2");
  const [one, two] = [applicant({ device: "m-2" }), applicant({ device: "m-2" })];
  for (const rival of [one, two]) await peers.apply("meter", rival);
  await assert.rejects(peers.ban("meter", "m-2", { key: true }), is("key_ambiguous"));
  const other = { key: { fingerprint: shown(keys().noiseKey) } };
  await assert.rejects(peers.ban("meter", "m-2", other), is("key_unknown"));
  assert.deepEqual(await peers.bans(), []);

  const typed = shown(one.key).toUpperCase().replaceAll("-", " ");
  const ban = await peers.ban("meter", "m-2", { key: { fingerprint: typed } });
  assert.deepEqual(ban.key, one.key);
  assert.deepEqual(peers.waiting().map(({ key }) => key), [two.key, peers.waiting()[1]!.key]);
  assert.equal((await find("m-2"))!.state, "approved");
  await peers.ban("meter", "m-2", { key: { fingerprint: shown(mine.noiseKey) } });
  assert.equal((await find("m-2"))!.state, "revoked");
  await peers.unban("meter", "m-2");
  assert.deepEqual([(await find("m-2"))!.state, await peers.bans()], ["approved", []]);
});

Deno.test("a key is banned under every name that has it", async () => {
  await using test = await openTestPeers();
  const { peers, find, heard } = test;
  const { noiseKey } = await bound(test);
  await peers.apply("meter", applicant({ device: "m-2", key: noiseKey, words }));
  await peers.approve("meter", "m-2", { words });
  await peers.apply("fog", applicant({ device: "f-1", key: noiseKey }));
  heard.length = 0;
  await peers.ban("meter", "m-1", { key: true });
  for (const id of ["m-1", "m-2"]) assert.equal((await find(id))!.state, "revoked");
  const told = heard.map(({ kind, id, peer }) => `${kind}/${id} ${peer?.state}`).sort();
  assert.deepEqual(told, ["fog/f-1 undefined", "meter/m-1 revoked", "meter/m-2 revoked"]);
  heard.length = 0;
  await peers.unban("meter", "m-1");
  assert.deepEqual([...new Set(heard.map(({ id, peer }) => `${id} ${peer?.state}`))].sort(), [
    ...["m-1 approved", "m-2 approved"],
  ]);
  await assert.rejects(peers.unban("meter", "m-2"), is("ban_unknown"));
});

Deno.test("other hardware under the name is not kept out with the key of the old one", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  const { noiseKey } = await bound(test);
  await peers.ban("meter", "m-1", { key: true });
  const fresh = applicant({ words });
  await peers.apply("meter", fresh);
  await peers.replace("meter", "m-1", { words });
  assert.deepEqual([(await find())!.state, (await find())!.noiseKey], ["approved", fresh.key]);
  const old = applicant({ key: noiseKey });
  await assert.rejects(peers.apply("meter", old), is("peer_banned"));
});

Deno.test("a peer that is banned can be revoked and removed, and stays banned", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  await bound(test);
  await peers.ban("meter", "m-1");
  await peers.revoke("meter", "m-1");
  await peers.remove("meter", "m-1");
  assert.deepEqual([await peers.list(), (await find())!.state], [[], "revoked"]);
  await assert.rejects(peers.apply("meter", applicant()), is("peer_banned"));
  await peers.unban("meter", "m-1");
  assert.equal(await peers.apply("meter", applicant()), "pending");
});

Deno.test("Peers.ban() never makes a ban shorter, and records what it has done", async () => {
  await using test = await openTestPeers();
  const { peers, events, audited, time } = test;
  const long = await peers.ban("meter", "m-1", { lasts: 10 * minutes, reason: "why" }, "alice");
  assert.deepEqual(await peers.ban("meter", "m-1", { lasts: minutes }), long);
  const longer = await peers.ban("meter", "m-1", {}, "bob");
  assert.deepEqual([longer.until, longer.actor], [null, "bob"]);
  assert.deepEqual(await peers.ban("meter", "m-1", { lasts: minutes }), longer);
  await peers.unban("meter", "m-1", "alice");
  assert.equal((await peers.ban("meter", "m-1", { lasts: 1 })).until, time.now + 1);

  const until = 1_000 + 10 * minutes;
  const entries = (await audited()).map(({ type, actor, subject, detail }) =>
    [type, actor, subject, JSON.parse(detail)] as const
  );
  const by = { kind: "meter", by: "name" };
  assert.deepEqual(entries, [
    ["device.banned", "alice", "m-1", { ...by, until, reason: "why" }],
    ["device.banned", "bob", "m-1", { ...by, until: null, reason: null }],
    ["device.unbanned", "alice", "m-1", { kind: "meter" }],
    ["device.banned", "site", "m-1", { ...by, until: time.now + 1, reason: null }],
  ]);
  const told = events.map((
    { type, severity, subject, detail },
  ) => [type, severity, subject, detail]);
  assert.deepEqual(
    told,
    entries.filter(([type]) => type === "device.banned")
      .map(([type, , subject, detail]) => [type, "warning", subject, detail]),
  );
});

Deno.test("a ban that cannot be recorded does not happen, nor one that makes no sense", async () => {
  await using test = await openTestPeers();
  const { peers, db, find, heard, events } = test;
  await bound(test);
  const before = await find();
  await peers.apply("meter", applicant());
  for (const reason of ["x".repeat(201), "two\nlines", "\u202egnp.exe", "\u0000", "\ud800"]) {
    await assert.rejects(peers.ban("meter", "m-1", { reason }), is("bad_text"));
  }
  for (const lasts of [0, -1, 0.5, NaN, Infinity, 3_653 * 86_400_000]) {
    await assert.rejects(peers.ban("meter", "m-1", { lasts }), is("bad_duration"));
  }
  await assert.rejects(peers.ban("meter", "m 1"), { code: "id_invalid" });
  await db.write(async (tx) => void await tx.run(sql`ALTER TABLE audit RENAME TO lost`));
  heard.length = events.length = 0;
  await assert.rejects(peers.ban("meter", "m-1"), { name: "DatabaseError" });
  assert.deepEqual([await find(), await peers.bans(), heard, events], [before, [], [], []]);
  assert.equal(peers.waiting().length, 1);
});

Deno.test("Peers.ban() keeps 10,000 bans, and sweeps out those that are over", async () => {
  await using test = await openTestPeers();
  const { peers, db, time } = test;
  const count = async () =>
    (await db.read((q) => q.all<{ n: number }>(sql`SELECT count(*) AS n FROM peer_bans`)))[0]!.n;
  const numbers = JSON.stringify(Array.from({ length: mostBans }, (_, i) => i));
  await db.write(async (tx) =>
    void await tx.run(sql`INSERT INTO peer_bans (kind, id, actor, since, until)
      SELECT 'meter', 'x-' || value, 'site', 0, iif(value = 0, 2000, 3000)
      FROM json_each(${numbers})`)
  );
  await assert.rejects(peers.ban("meter", "m-1"), is("bans_full"));
  // one that is there already may become longer
  await peers.ban("meter", "x-2", { lasts: 5_000 });
  assert.equal(await count(), mostBans);
  time.now = 2_000;
  await peers.ban("meter", "m-1");
  assert.equal(await count(), mostBans);
  time.now = 3_000;
  await peers.ban("meter", "m-2");
  assert.equal(await count(), 3);
});

Deno.test("bans and names outlast the process, and the join window does not", async () => {
  await using test = await openTestPeers({ join: "closed" });
  const { peers, restarted } = test;
  await bound(test, "m-1");
  const { noiseKey } = await bound(test, "m-2");
  await peers.rename("meter", "m-1", "Pump 7");
  await peers.ban("meter", "m-1");
  await peers.ban("meter", "m-2", { key: true });
  await peers.openJoin(60 * minutes);
  const next = restarted();
  assert.equal(next.join().open, false);
  assert.deepEqual((await next.list()).map(({ name }) => name), ["Pump 7", null]);
  for (const id of ["m-1", "m-2"]) {
    assert.equal((await next.find("meter", parseId(id)))!.state, "revoked");
  }
  const again = applicant({ device: "m-3", key: noiseKey });
  await assert.rejects(next.apply("meter", again), is("peer_banned"));
  assert.equal((await next.allowing())(parseId("m-1")), false);
});

Deno.test("a database that is older than bans and names gets their tables, behind all others", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/site.db`;
  const others = [{ sql: "CREATE TABLE something (x INTEGER)" }];
  try {
    {
      await using db = await openDatabase({ path });
      await db.migrate("core", [...auditMigrations, ...peerTableMigrations, ...others]);
      await db.write(async (tx) =>
        void await tx.run(sql`INSERT INTO peers VALUES
          ('meter', 'm-1', 'revoked', NULL, NULL, ${suite.randomBytes(60)}, 0, 1, NULL)`)
      );
    }
    await using db = await openDatabase({ path });
    const all = [...auditMigrations, ...peerTableMigrations, ...others, ...peerBanMigrations];
    await db.migrate("core", all);
    const [row] = await db.read((q) => q.all(sql`SELECT id, name FROM peers`));
    assert.deepEqual(row, { id: "m-1", name: null });
    assert.deepEqual(await db.read((q) => q.all(sql`SELECT * FROM peer_bans`)), []);
    assert.equal(peerMigrations.length, peerTableMigrations.length + peerBanMigrations.length);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
