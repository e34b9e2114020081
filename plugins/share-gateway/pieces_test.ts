/** Pieces: what is kept, who gets it back, and under which locks it lies. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { equalBytes, toHex } from "../../core/base/bytes.ts";
import {
  another,
  boot,
  caller,
  depositing,
  device,
  fetching,
  openTestUnlock,
  outcomeOf,
  TestGroup,
  type TestUnlock,
  volume,
} from "./_test_unlock.ts";

const often = { config: { rate: "1000/s", rate_all: "1000/s" } };
const nothing = { config: often.config, group: Object.assign(new TestGroup(), { keyshare: null }) };
const piece = depositing().piece;

const put = async (test: TestUnlock, rest = {}, who = caller) =>
  (await test.now.gate.deposit(who, depositing(rest)))?.denied ?? "kept";
const fetch = async (test: TestUnlock, rest = {}, who = caller) =>
  await test.now.gate.unlock({ caller: who, request: fetching({ boot: boot(2), ...rest }) });

Deno.test("a piece is kept for its device and volume, and comes back as it was", async () => {
  await using test = await openTestUnlock(nothing);
  assert.equal(await put(test), "kept");
  await test.restart();
  const reply = await fetch(test);
  assert.ok("answer" in reply);
  assert.deepEqual([reply.epoch, reply.proof, equalBytes(reply.answer, piece)], [0, null, true]);
  assert.equal(outcomeOf(await fetch(test, {}, another("kiosk-8"))), "volume_unknown");
  assert.equal(outcomeOf(await fetch(test, { scheme: "shamir" })), "volume_unknown");
  assert.equal(outcomeOf(await fetch(test, { seal: true })), "volume_known");
  const [deposited, released] = await test.logged();
  assert.deepEqual(deposited, {
    ...{ type: "unlock.deposited", actor: device },
    detail: {
      ...{ volume: toHex(volume), scheme: "xor", k: 2, n: 2, index: 1 },
      ...{ boot: 1, boot_id: toHex(boot(1).id) },
    },
  });
  assert.deepEqual([released!.type, released!.detail["scheme"]], ["unlock.released", "xor"]);
});

Deno.test("the same deposit again is fine, and any other of a known volume is refused", async () => {
  await using test = await openTestUnlock(nothing);
  assert.equal(await put(test), "kept");
  assert.equal(await put(test), "kept");
  const other = piece.slice();
  other[31]! ^= 1;
  for (
    const rest of [{ piece: other }, { piece: piece.slice(1) }, { index: 2 }, { k: 3, n: 3 }, {
      scheme: "shamir",
    }]
  ) {
    assert.equal(await put(test, rest), "volume_known", JSON.stringify(rest));
  }
  const kinds = (await test.logged()).map(({ type }) => type);
  assert.deepEqual(kinds, ["unlock.deposited", "unlock.denied"]);
  const reply = await fetch(test);
  assert.ok("answer" in reply && equalBytes(reply.answer, piece));
});

Deno.test("a deposit that cannot be logged is not kept", async () => {
  await using test = await openTestUnlock(nothing);
  await test.breakLog(true);
  assert.equal(await put(test), "unlogged");
  await test.breakLog(false);
  assert.equal(outcomeOf(await fetch(test)), "volume_unknown");
  const [row] = await test.now.db.read((q) =>
    q.all<{ n: number }>(sql`SELECT count(*) AS n FROM secrets`)
  );
  assert.equal(row!.n, 0);
});

Deno.test("deposits obey the clone rule, the rate and the number of volumes", async () => {
  const named = (n: number) => new Uint8Array(16).fill(n);
  await using test = await openTestUnlock({
    ...nothing,
    config: { rate: "3/m", max_volumes: 2, hours: ["sun 00:00-01:00"], approval: true },
  });
  assert.equal(await put(test, { volume: named(1) }), "kept");
  assert.equal(await put(test, { volume: named(2) }), "kept");
  assert.equal(await put(test, { volume: named(3) }), "quota");
  assert.equal(await put(test, { volume: named(1) }), "rate");
  test.pass(60_000);
  assert.equal(await put(test, { volume: named(1), boot: boot(1, 1) }), "clone");
});

Deno.test("an erased volume is gone, and its place is free", async () => {
  await using test = await openTestUnlock(nothing);
  await put(test);
  const { operations, pieces, db } = test.now;
  await operations.erase(device, toHex(volume), "token:7");
  assert.equal(await db.read((q) => pieces.find(q, { device, volume })), null);
  assert.equal(outcomeOf(await fetch(test)), "volume_unknown");
  await assert.rejects(operations.erase(device, toHex(volume), "token:7"), {
    code: "volume_unknown",
  });
  assert.equal(await put(test, { piece: piece.toReversed(), boot: boot(2) }), "kept");
  const erased = (await test.logged()).find(({ type }) => type === "unlock.erased");
  assert.deepEqual([erased!.actor, erased!.detail], ["token:7", { volume: toHex(volume) }]);
});

Deno.test("pieces lie under the site's lock, and under the operator's where there is one", async () => {
  const lock = new Uint8Array(32).fill(5);
  await using test = await openTestUnlock(nothing);
  await put(test);
  const stored = async () => {
    const [row] = await test.now.db.read((q) =>
      q.all<{ value: ArrayBuffer }>(sql`SELECT value FROM secrets`)
    );
    return new Uint8Array(row!.value);
  };
  const before = await stored();
  assert.ok(!toHex(before).includes(toHex(piece.subarray(0, 8))));
  // what was kept before there was a lock is locked when the role starts with it
  await test.restart({ lock });
  const locked = await stored();
  assert.ok(locked.length > before.length);
  const reply = await fetch(test);
  assert.ok("answer" in reply && equalBytes(reply.answer, piece));
  const wrong = new Uint8Array(32).fill(6);
  await assert.rejects(test.restart({ lock: wrong }), { name: "Unavailable" });
  await assert.rejects(test.restart(), { name: "Unavailable" });
  await test.restart({ lock });
  assert.deepEqual(await stored(), locked);
});

Deno.test("a gateway with pieces does its work without a group", async () => {
  await using test = await openTestUnlock(nothing);
  await test.now.upkeep.look();
  await put(test);
  test.now.upkeep.wake();
  await test.now.upkeep.look();
  assert.deepEqual(test.now.reports, ["degraded no group: edgeward share init", "ok"]);
});
