/** Who hears of what happens to peers, and when: the audit, those who watch, and the bus. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import type { Peer } from "./mod.ts";
import { applicant, keys, openTestPeers, shown, type TestPeers, url } from "./_test_peers.ts";

const words = "narrow work echo fit cliff apart";
const options = { url, ttl: 500 };

/** Everything that can happen to "m-1", in an order in which it can. */
async function live({ peers, find }: TestPeers, actor?: string): Promise<(Peer | null)[]> {
  const was: (Peer | null)[] = [];
  const then = async (act: Promise<unknown>) => {
    await act;
    was.push(await find());
  };
  await then(peers.enrol("meter", "m-1", options, actor));
  await then(peers.bind((await find())!, keys()));
  const [second, third] = [applicant({ words }), applicant()];
  await peers.apply("meter", second);
  await then(peers.replace("meter", "m-1", { words }, actor));
  await then(peers.bind((await find())!, { ...keys(), noiseKey: second.key }));
  await then(peers.replaceByCode("meter", "m-1", options, actor));
  await then(peers.revoke("meter", "m-1", actor));
  await then(peers.remove("meter", "m-1", actor));
  await peers.apply("meter", third);
  await then(peers.approve("meter", "m-1", { fingerprint: shown(third.key) }, actor));
  return was;
}

Deno.test("Peers records each change with who made it, and nothing of codes or keys", async () => {
  for (const actor of [undefined, "alice"]) {
    await using test = await openTestPeers();
    await live(test, actor);
    const by = actor ?? "site";
    const subject = "m-1";
    const entry = (type: string, actor: string, more: Record<string, string> = {}) => {
      return { type, actor, subject, detail: JSON.stringify({ kind: "meter", ...more }) };
    };
    assert.deepEqual(await test.audited(), [
      entry("peer.enrolled", by),
      entry("device.approved", "m-1", { by: "code" }),
      entry("device.replaced", by, { by: "words" }),
      entry("peer.bound", "m-1"),
      entry("device.replaced", by, { by: "code" }),
      entry("device.revoked", by),
      entry("device.removed", by),
      entry("device.approved", by, { by: "fingerprint" }),
    ]);
  }
});

Deno.test("Peers.watch() hears of each change what the peer now is", async () => {
  await using test = await openTestPeers();
  const was = await live(test);
  const about = { kind: "meter", id: "m-1" };
  assert.deepEqual(test.heard, was.map((peer) => ({ ...about, peer })));
});

Deno.test("Peers.watch() hears of a change when it is on disk, before whoever made it goes on", async () => {
  await using test = await openTestPeers();
  const { peers, db, find } = test;
  await peers.enrol("meter", "m-1", options);
  const order: string[] = [];
  const found: Promise<unknown>[] = [];
  peers.watch((kind, id, peer) => {
    order.push(`watcher: ${peer?.state}`);
    found.push(peers.find(kind, id).then((now) => assert.deepEqual(now, peer)));
    const entries = db.read((q) => q.all(sql`SELECT id FROM audit WHERE type = 'device.revoked'`));
    found.push(entries.then(({ length }) => assert.equal(length, 1)));
  });
  await peers.revoke("meter", "m-1").then(() => order.push("caller"));
  assert.deepEqual(order, ["watcher: revoked", "caller"]);
  await Promise.all(found);
  assert.equal((await find())!.state, "revoked");
});

Deno.test("Peers tells nobody of a change that could not be recorded, and makes none", async () => {
  await using test = await openTestPeers();
  const { peers, db, find, events, heard } = test;
  await peers.enrol("meter", "m-1", options);
  const before = await find();
  await peers.apply("meter", applicant({ words }));
  await db.write(async (tx) => void await tx.run(sql`ALTER TABLE audit RENAME TO lost`));
  events.length = heard.length = 0;
  const changes = [
    () => peers.enrol("meter", "m-2", options),
    () => peers.bind(before!, keys()),
    () => peers.approve("meter", "m-1", { words }),
    () => peers.replace("meter", "m-1", { words }),
    () => peers.replaceByCode("meter", "m-1", options),
    () => peers.revoke("meter", "m-1"),
  ];
  for (const change of changes) await assert.rejects(change, { name: "DatabaseError" });
  assert.deepEqual([await find(), await find("m-2")], [before, null]);
  assert.deepEqual([events, heard], [[], []]);
  assert.equal(peers.waiting().length, 1);
});

Deno.test("Peers tells the bus of each decision, and warns of those that shut somebody out", async () => {
  await using test = await openTestPeers();
  await live(test);
  const told = test.events.map(({ type, severity, subject, detail, role }) => {
    assert.deepEqual([subject, detail, role], ["m-1", { kind: "meter" }, "core"]);
    return `${severity} ${type}`;
  });
  assert.deepEqual(told, [
    "info device.approved",
    "warning device.conflict",
    "warning device.replaced",
    "warning device.replaced",
    "warning device.revoked",
    "info device.removed",
    "info device.pending",
    "info device.approved",
  ]);
});

Deno.test("Peers.apply() tells who waits for what, and the bus of each newcomer once", async () => {
  await using test = await openTestPeers();
  const { peers, events, time } = test;
  await peers.enrol("meter", "m-1", options);
  const [pending, conflict] = [applicant(), applicant({ device: "m-2" })];
  assert.equal(await peers.apply("meter", pending), "pending");
  await peers.apply("meter", { ...conflict, device: pending.device });
  await peers.approve("meter", "m-1", { fingerprint: shown(pending.key) });
  for (let i = 0; i < 3; i++) {
    assert.equal(await peers.apply("meter", { ...conflict, device: pending.device }), "conflict");
    time.now += 30_000;
  }
  assert.equal(await peers.apply("fog", pending), "pending");
  const unproven = applicant({ device: "m-3", proof: "none" });
  assert.equal(await peers.apply("meter", unproven), "pending");
  assert.deepEqual(events.map(({ type, detail }) => [type, detail.kind]), [
    ["device.pending", "meter"],
    ["device.pending", "meter"],
    ["device.approved", "meter"],
    ["device.conflict", "meter"],
    ["device.pending", "fog"],
  ]);
});

Deno.test("Peers.apply() announces ten newcomers in any minute, and lists them all", async () => {
  await using test = await openTestPeers();
  const { peers, events, time } = test;
  let n = 0;
  const flood = async (count: number) => {
    events.length = 0;
    for (let i = 0; i < count; i++) await peers.apply("meter", applicant({ device: `m-${n++}` }));
    return events.length;
  };
  const began = time.now;
  assert.equal(await flood(4), 4);
  time.now = began + 30_000;
  assert.equal(await flood(25), 6);
  time.now = began + 59_999;
  assert.equal(await flood(25), 0);
  time.now = began + 60_000;
  assert.equal(await flood(25), 4);
  time.now = began + 90_000;
  assert.equal(await flood(25), 6);
  assert.equal(peers.waiting().length, n);
});
