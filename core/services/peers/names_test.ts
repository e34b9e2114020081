/** What people call a peer, and that all that hangs on its id stays when its hardware is replaced. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import fc from "fast-check";
import { isPrintable } from "./_printable.ts";
import { applicant, keys, openTestPeers, url } from "./_test_peers.ts";

const words = "narrow work echo fit cliff apart";
const options = { url, ttl: 500 };
const is = (code: string) => ({ name: "PeerError", code });

Deno.test("Peers.rename() keeps what people call a peer, without blanks around it", async () => {
  await using test = await openTestPeers();
  const { peers, audited, find } = test;
  await peers.enrol("meter", "m-1", options);
  const before = await find();
  const name = async () => (await peers.list())[0]!.name;
  assert.equal(await name(), null);
  const given = [
    "  Pump 7 ",
    "Pumpe № 7 – Süd",
    "泵七",
    "x".repeat(64),
    "💧".repeat(64),
    "  ",
    null,
  ];
  for (const text of given) {
    await peers.rename("meter", "m-1", text, "alice");
    assert.equal(await name(), text?.trim() || null);
  }
  assert.deepEqual(await find(), before);
  const { type, actor, subject, detail } = (await audited())[1]!;
  assert.deepEqual([type, actor, subject], ["peer.named", "alice", "m-1"]);
  assert.equal(detail, `{"kind":"meter","name":"Pump 7"}`);
});

Deno.test("Peers.rename() refuses what cannot be seen, and peers that there are not", async () => {
  await using test = await openTestPeers();
  const { peers, audited } = test;
  await peers.enrol("meter", "m-1", options);
  await peers.rename("meter", "m-1", "Pump");
  const bad = [
    "x".repeat(65),
    "a\nb",
    "\x1b[31mred",
    "a\u200bb",
    "\u202eabc",
    "a\u2028b",
    "\ud800",
  ];
  for (const text of [...bad, " ".repeat(1_000_000)]) {
    await assert.rejects(peers.rename("meter", "m-1", text), is("bad_text"));
  }
  await assert.rejects(peers.rename("meter", "m-2", "Pump"), is("peer_unknown"));
  await assert.rejects(peers.rename("fog", "m-1", "Pump"), is("peer_unknown"));
  assert.equal((await peers.list())[0]!.name, "Pump");
  assert.equal((await audited()).length, 2);
});

Deno.test("isPrintable() passes no character that a terminal acts on", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
      if (!isPrintable(text, 20)) return;
      assert.ok([...text].length <= 20);
      const acts = (from: number, to: number) =>
        [...text].some((one) => one.codePointAt(0)! >= from && one.codePointAt(0)! <= to);
      const controls = [[0, 0x1f], [0x7f, 0x9f]] as const;
      const turns = [[0x61c, 0x61c], [0x200b, 0x200f], [0x2028, 0x202e], [0x2066, 0x2069]] as const;
      for (const [from, to] of [...controls, ...turns]) assert.ok(!acts(from, to), text);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("what hangs on the id stays when the hardware is replaced, by words and by code", async () => {
  await using test = await openTestPeers();
  const { peers, db, find, audited } = test;
  await peers.enrol("meter", "m-1", options);
  await peers.bind((await find())!, keys());
  await peers.rename("meter", "m-1", "Pump 7");
  // as a role keeps permissions and history
  await db.migrate("role", [{
    sql: `CREATE TABLE role_permissions (kind TEXT, id TEXT, method TEXT) STRICT`,
  }]);
  await db.write(async (tx) =>
    void await tx.run(sql`INSERT INTO role_permissions VALUES ('meter', 'm-1', 'relay.*')`)
  );
  const kept = () =>
    db.read((q) =>
      q.all(sql`SELECT peers.id, name, method FROM peers JOIN role_permissions USING (kind, id)`)
    );
  const expected = [{ id: "m-1", name: "Pump 7", method: "relay.*" }];
  const history = (await audited()).length;

  const fresh = applicant({ words });
  await peers.apply("meter", fresh);
  await peers.replace("meter", "m-1", { words });
  assert.deepEqual(await kept(), expected);
  assert.deepEqual((await find())!.noiseKey, fresh.key);
  const third = keys();
  await peers.replaceByCode("meter", "m-1", options);
  assert.deepEqual(await kept(), expected);
  await peers.bind((await find())!, third);
  assert.deepEqual(await kept(), expected);
  assert.deepEqual((await find())!.noiseKey, third.noiseKey);
  const entries = await audited();
  assert.ok(entries.length > history && entries.every(({ subject }) => subject === "m-1"));

  await peers.remove("meter", "m-1");
  await peers.enrol("meter", "m-1", options);
  assert.equal((await peers.list())[0]!.name, null, "another peer has the name now");
});
