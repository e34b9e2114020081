/** What devices report of their starts, and the alarm when they do not. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { equalBytes, toHex } from "../../core/base/bytes.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { bootEventType, encodeBootEvent } from "../../core/wire/boot_event.ts";
import {
  boot,
  device,
  minute,
  noon,
  openTestUnlock,
  otherVolume,
  peer,
  reportOf,
  suite,
  type TestUnlock,
  volume,
} from "./_test_unlock.ts";

const often = { config: { rate: "1000/s", rate_all: "1000/s" } };
const report = (test: TestUnlock, ...event: Parameters<typeof reportOf>) =>
  test.now.report(reportOf(...event), peer);
const outcomes = async (test: TestUnlock) => {
  const rows = await test.now.db.read((q) =>
    q.all<{ outcome: string | null; due: number | null }>(
      sql`SELECT outcome, due FROM share_gateway_releases ORDER BY id`,
    )
  );
  return rows.map(({ outcome, due }) => outcome ?? (due === null ? "none" : "awaited"));
};

Deno.test("reports are logged with the hash of their statement, and told once", async () => {
  await using test = await openTestUnlock(often);
  const events = ["BOOT_LOCKED", "AUTH_OK", "MOUNT_OK", "MOUNT_FAIL"] as const;
  for (const event of events) {
    for (let i = 0; i < 3; i++) await report(test, { event });
  }
  assert.deepEqual(test.news(), [
    `unlock.boot_locked info ${device}`,
    `unlock.mount_ok info ${device}`,
    `unlock.mount_fail warning ${device}`,
  ]);
  const rows = await test.now.db.read((q) =>
    q.all<{ type: string; statement: ArrayBuffer }>(
      sql`SELECT type, statement FROM audit ORDER BY id`,
    )
  );
  assert.deepEqual(rows.map(({ type }) => type), [
    ...["unlock.boot_locked", "unlock.auth_ok", "unlock.mount_ok", "unlock.mount_fail"],
  ]);
  for (const [i, event] of events.entries()) {
    const hash = suite.sha256(reportOf({ event }));
    assert.ok(equalBytes(new Uint8Array(rows[i]!.statement), hash), event);
  }
  await test.restart();
  await report(test, { event: "MOUNT_OK" });
  assert.deepEqual(test.news(), []);
  const [first] = await test.logged();
  assert.deepEqual(first!.detail, {
    ...{ volume: toHex(volume), boot: 1, boot_id: toHex(boot(1).id) },
  });
});

Deno.test("a report that is not the device's own, or of another kind, is refused", async () => {
  await using test = await openTestUnlock(often);
  const forged = reportOf();
  forged[forged.length - 1]! ^= 1;
  const payload = encodeBootEvent({
    ...{ event: "MOUNT_OK", device, volume, boot: boot(1), t: noon },
  });
  const cases: [string, Uint8Array][] = [
    ["forged", forged],
    ["wrong_key", reportOf({}, suite.ed25519.signer())],
    ["wrong_device", reportOf({ device: "kiosk-8" as typeof device })],
    ["malformed", new Uint8Array(10)],
  ];
  for (const [code, statement] of cases) {
    await assert.rejects(test.now.report(statement, peer), { code }, code);
  }
  const signer = suite.ed25519.signer();
  const other = signStatement(suite, signer, "application/edgeward-summary+cbor", payload);
  const own = { ...peer, signKey: signer.publicKey };
  await assert.rejects(test.now.report(other, own), { code: "wrong_type" });
  await test.now.report(signStatement(suite, signer, bootEventType, payload), own);
  assert.equal((await test.logged()).length, 1);
});

Deno.test("a report settles what was released for its start and volume", async () => {
  await using test = await openTestUnlock(often);
  await test.ask();
  await test.ask({ volume: otherVolume });
  await report(test, { boot: boot(2) });
  await report(test, { boot: boot(1, 1) });
  await report(test, { event: "AUTH_OK" });
  assert.deepEqual(await outcomes(test), ["awaited", "awaited"]);
  await report(test, {});
  assert.deepEqual(await outcomes(test), ["mount_ok", "awaited"]);
  await report(test, { event: "MOUNT_FAIL", volume: null });
  assert.deepEqual(await outcomes(test), ["mount_ok", "mount_fail"]);
  test.pass(10 * minute);
  await test.now.upkeep.look();
  assert.ok(!test.news().some((news) => news.startsWith("unlock.unconfirmed")));
});

Deno.test("a release that nobody confirms in time is an alarm, once", async () => {
  await using test = await openTestUnlock(often);
  await test.ask();
  test.news();
  test.pass(2 * minute - 1);
  await test.now.upkeep.look();
  assert.deepEqual(test.news(), []);
  test.pass(1);
  await test.now.upkeep.look();
  await test.now.upkeep.look();
  assert.deepEqual(test.news(), [`unlock.unconfirmed alarm ${device}`]);
  const last = (await test.logged()).at(-1)!;
  assert.deepEqual([last.type, last.actor], ["unlock.unconfirmed", "site"]);
  assert.deepEqual(last.detail, { volume: toHex(volume), boot: 1, released: noon });
  // late is better than never
  await report(test, {});
  assert.deepEqual(await outcomes(test), ["mount_ok"]);
});

Deno.test("the alarm comes after a restart, too", async () => {
  await using test = await openTestUnlock(often);
  await test.ask();
  await test.ask({ volume: otherVolume });
  await report(test, {});
  await test.restart();
  test.pass(3 * minute);
  await test.now.upkeep.look();
  assert.deepEqual(test.news(), [`unlock.unconfirmed alarm ${device}`]);
  assert.deepEqual(await outcomes(test), ["mount_ok", "unconfirmed"]);
});

Deno.test("an alarm that cannot be logged is raised as soon as it can", async () => {
  await using test = await openTestUnlock(often);
  await test.ask();
  test.news();
  test.pass(3 * minute);
  await test.breakLog(true);
  await assert.rejects(test.now.upkeep.look());
  assert.deepEqual([test.news(), await outcomes(test)], [[], ["awaited"]]);
  await test.breakLog(false);
  await test.now.upkeep.look();
  assert.deepEqual(test.news(), [`unlock.unconfirmed alarm ${device}`]);
});

Deno.test("asking again does not put the alarm off, and after a mount it is awaited anew", async () => {
  await using test = await openTestUnlock(often);
  await test.ask();
  test.pass(minute);
  await test.ask();
  test.pass(minute);
  test.news();
  await test.now.upkeep.look();
  assert.deepEqual(test.news(), [`unlock.unconfirmed alarm ${device}`]);
  await test.ask({ boot: boot(2) });
  await report(test, { boot: boot(2) });
  await test.ask({ boot: boot(2) });
  assert.deepEqual(await outcomes(test), ["unconfirmed", "awaited"]);
});

Deno.test("a volume that is being made is not mounted", async () => {
  await using test = await openTestUnlock(often);
  await test.ask({ seal: true });
  assert.deepEqual(await outcomes(test), ["none"]);
  // once it is opened, a report is awaited
  await test.ask();
  assert.deepEqual(await outcomes(test), ["awaited"]);
});

Deno.test("reports have a rate of their own, and few are remembered", async () => {
  await using test = await openTestUnlock({ config: { rate: "6/m" } });
  for (let i = 0; i < 6; i++) assert.equal(await test.ask(), "released");
  for (let i = 0; i < 24; i++) await report(test, { t: noon + i });
  await assert.rejects(report(test, { t: noon + 99 }), { code: "rate" });
  assert.equal(await test.ask(), "rate");
  await using busy = await openTestUnlock(often);
  for (let i = 0; i < 300; i++) await report(busy, { t: noon + i });
  assert.equal(await busy.count("reports"), 256);
  assert.equal((await busy.logged()).length, 300);
});

Deno.test("the gauges show what is awaited and suspended", async () => {
  await using test = await openTestUnlock(often);
  await test.ask({ boot: boot(2) });
  await test.ask({ boot: boot(1) });
  await test.now.upkeep.look();
  const text = await test.now.registry.text();
  assert.match(text, /^edgeward_unlock_awaited{.*} 1$/m);
  assert.match(text, /^edgeward_unlock_suspended{.*} 1$/m);
  assert.match(text, /^edgeward_unlock_pending{.*} 0$/m);
  assert.deepEqual(test.now.reports, ["ok"]);
});
