/** Releases over a real database: what leaves, what stays behind of it, and what happens when that fails. */
import assert from "node:assert/strict";
import { equalBytes, toHex } from "../../core/base/bytes.ts";
import { evaluate, volumeInput } from "../../core/trust/share/voprf.ts";
import {
  another,
  boot,
  caller,
  device,
  keyshareOf,
  minute,
  opening,
  openTestUnlock,
  otherVolume,
  suite,
  TestGroup,
  volume,
} from "./_test_unlock.ts";

const often = { config: { rate: "1000/s", rate_all: "1000/s" } };
const volumeText = toHex(volume);

Deno.test("Gate gives what the share makes of the session's device and the volume, and logs it", async () => {
  await using test = await openTestUnlock();
  const reply = await test.now.gate.unlock({ caller, request: opening({ proof: true }) });
  assert.ok("answer" in reply);
  const { share, publicShare } = keyshareOf(3);
  const input = volumeInput(device, volume);
  const { answer } = evaluate(suite, { share: share.reveal(), publicShare, input, proof: false });
  assert.ok(equalBytes(reply.answer, answer));
  assert.deepEqual([reply.epoch, reply.proof?.length], [3, 64]);
  assert.deepEqual(await test.logged(), [{
    ...{ type: "unlock.released", actor: device },
    detail: {
      ...{ volume: volumeText, scheme: "voprf", epoch: 3, seal: false, proof: true },
      ...{ boot: 1, boot_id: toHex(boot(1).id) },
    },
  }]);
  assert.deepEqual(test.news(), [`unlock.released info ${device}`]);
  assert.match(await test.now.registry.text(), /edgeward_unlock_total{.*outcome="released".*} 1/);
});

Deno.test("Gate answers a proof only when it is asked for, and another device with another answer", async () => {
  await using test = await openTestUnlock();
  const mine = await test.now.gate.unlock({ caller, request: opening() });
  const other = await test.now.gate.unlock({ caller: another("kiosk-8"), request: opening() });
  assert.ok("answer" in mine && "answer" in other);
  assert.deepEqual([mine.proof, other.proof], [null, null]);
  assert.ok(!equalBytes(mine.answer, other.answer));
});

Deno.test("Gate denies what cannot be logged, and nothing of it remains", async () => {
  await using test = await openTestUnlock();
  await test.breakLog(true);
  assert.equal(await test.ask(), "unlogged");
  assert.equal(await test.ask({ epoch: 1 }), "unlogged");
  assert.deepEqual(await test.logged(), []);
  for (const table of ["devices", "volumes", "releases"]) assert.equal(await test.count(table), 0);
  assert.deepEqual(test.news(), []);
  await test.breakLog(false);
  assert.equal(await test.ask({ epoch: 1 }), "epoch");
  assert.equal(await test.ask(), "released");
  // the denial that could not be written is counted by the one that could
  const [denied] = await test.logged();
  assert.deepEqual(denied!.detail, { reason: "epoch", count: 2 });
});

Deno.test("Gate denies everything while the database is closed", async () => {
  await using test = await openTestUnlock();
  const { gate, db } = test.now;
  await db[Symbol.asyncDispose]();
  assert.deepEqual(await gate.unlock({ caller, request: opening() }), { denied: "unlogged" });
  await test.restart();
});

Deno.test("Gate lets a volume be made once, and its maker ask again while that is recent", async () => {
  await using test = await openTestUnlock(often);
  assert.equal(await test.ask({ seal: true }), "released");
  assert.equal(await test.ask({ seal: true }), "released");
  assert.equal(await test.ask({ seal: true, boot: boot(2) }), "volume_known");
  assert.equal(await test.ask({ boot: boot(2) }), "released");
  await test.restart();
  assert.equal(await test.ask({ seal: true, boot: boot(2) }), "volume_known");
  const seals = (await test.logged()).filter(({ type }) => type === "unlock.released")
    .map(({ detail }) => detail["seal"]);
  assert.deepEqual(seals, [true, true, false]);
  await using late = await openTestUnlock(often);
  assert.equal(await late.ask({ seal: true }), "released");
  late.pass(11 * minute);
  assert.equal(await late.ask({ seal: true }), "volume_known");
});

Deno.test("Gate opens a volume that it has never seen, and that is then known", async () => {
  await using test = await openTestUnlock(often);
  assert.equal(await test.ask(), "released");
  assert.equal(await test.ask({ seal: true }), "volume_known");
  assert.equal(await test.count("volumes"), 1);
});

Deno.test("Gate knows no more volumes of a device than it may have", async () => {
  await using test = await openTestUnlock({ config: { ...often.config, max_volumes: 2 } });
  const named = (n: number) => new Uint8Array(16).fill(n);
  assert.equal(await test.ask({ volume: named(1), seal: true }), "released");
  assert.equal(await test.ask({ volume: named(2) }), "released");
  assert.equal(await test.ask({ volume: named(3) }), "quota");
  assert.equal(await test.ask({ volume: named(3), seal: true }), "quota");
  assert.equal(await test.ask({ volume: named(1) }), "released");
  // of another device they do not count
  assert.equal(await test.ask({ volume: named(3) }, another("kiosk-8")), "released");
});

Deno.test("Gate sends the rosters since the device's along with a no to its epoch", async () => {
  await using test = await openTestUnlock(often);
  const ask = (epoch: number) => test.now.gate.unlock({ caller, request: opening({ epoch }) });
  assert.deepEqual(await ask(1), {
    denied: "epoch",
    rosters: [Uint8Array.of(2), Uint8Array.of(3)],
  });
  assert.deepEqual(await ask(4), { denied: "epoch", rosters: [] });
});

Deno.test("Gate has nothing to give before there is a group, nor of another group", async () => {
  const group = new TestGroup();
  group.keyshare = null;
  await using test = await openTestUnlock({ ...often, group });
  assert.equal(await test.ask(), "no_share");
  group.keyshare = keyshareOf(3);
  assert.equal(await test.ask({ group: new Uint8Array(32).fill(1) }), "group");
  assert.equal(await test.ask(), "released");
});

Deno.test("Gate answers for the epoch that it has decided by, or not at all", async () => {
  const group = new TestGroup();
  await using test = await openTestUnlock({ ...often, group });
  const { db, gate } = test.now;
  // a refresh comes between the look and the transaction
  const { write } = db;
  db.write = (job) => {
    group.keyshare = keyshareOf(4);
    db.write = write;
    return write.call(db, job) as never;
  };
  const reply = await gate.unlock({ caller, request: opening() });
  assert.ok("denied" in reply && reply.denied === "epoch");
  assert.equal(await test.count("releases"), 0);
});

Deno.test("Gate refuses a clone and its original until an operator has cleared the device", async () => {
  await using test = await openTestUnlock(often);
  assert.equal(await test.ask({ boot: boot(5) }), "released");
  assert.equal(await test.ask({ boot: boot(5) }), "released");
  test.news();
  assert.equal(await test.ask({ boot: boot(5, 1) }), "clone");
  assert.deepEqual(
    test.news(),
    [
      `unlock.denied warning ${device}`,
      `unlock.clone_suspected alarm ${device}`,
    ].toReversed(),
  );
  for (const start of [boot(5), boot(6), boot(5, 1), boot(1)]) {
    assert.equal(await test.ask({ boot: start }), "clone");
  }
  await test.restart();
  assert.equal(await test.ask({ boot: boot(7) }), "clone");
  assert.equal(await test.ask({}, another("kiosk-8")), "released");
  await test.now.operations.clear(device, "token:1");
  assert.equal(await test.ask({ boot: boot(2) }), "released");
  assert.equal(await test.ask({ boot: boot(1) }), "clone");
  const kinds = (await test.logged()).map(({ type, actor }) => `${type} ${actor}`);
  assert.equal(kinds.filter((kind) => kind.startsWith("unlock.clone_suspected")).length, 2);
  assert.ok(kinds.includes("unlock.cleared token:1"));
});

Deno.test("Gate finds a clone out of two that ask at the same moment", async () => {
  await using test = await openTestUnlock(often);
  assert.equal(await test.ask({ boot: boot(1) }), "released");
  const outcomes = await Promise.all([
    ...[test.ask({ boot: boot(2) }), test.ask({ boot: boot(2, 1) })],
  ]);
  assert.deepEqual(outcomes.toSorted(), ["clone", "released"]);
});

Deno.test("Gate remembers a start that it denies, so that a clone does not hide behind a no", async () => {
  const config = { ...often.config, hours: ["sun 00:00-01:00"] };
  await using test = await openTestUnlock({ config });
  assert.equal(await test.ask({ boot: boot(5) }), "hours");
  assert.equal(await test.ask({ boot: boot(5, 1) }), "clone");
});

Deno.test("Gate raises the alarm about a clone and goes on where that is wanted", async () => {
  await using test = await openTestUnlock({ config: { ...often.config, on_clone: "alarm" } });
  for (const start of [boot(5), boot(5, 1), boot(5, 1), boot(4)]) {
    assert.equal(await test.ask({ boot: start }), "released");
  }
  const alarms = test.news().filter((news) => news.startsWith("unlock.clone_suspected alarm"));
  assert.equal(alarms.length, 2);
});

Deno.test("Gate begins anew with the hardware that a name was given to", async () => {
  await using test = await openTestUnlock(often);
  assert.equal(await test.ask({ boot: boot(9) }), "released");
  assert.equal(await test.ask({ boot: boot(3) }), "clone");
  const replaced = { device, key: new Uint8Array(32).fill(8) };
  assert.equal(await test.ask({ boot: boot(1) }, replaced), "released");
  assert.equal(await test.ask({ boot: boot(2) }, replaced), "released");
  assert.equal(await test.ask({ boot: boot(1) }, replaced), "clone");
});

Deno.test("Gate keeps each device to its rate, and all of them to theirs", async () => {
  await using test = await openTestUnlock({
    config: { rate: "2/m", rate_all: "5/m", devices: { "kiosk-9": { rate: "3/m" } } },
  });
  const ask = async (name: string) => await test.ask({}, another(name));
  assert.deepEqual([await ask("a"), await ask("a"), await ask("a")], [
    ...["released", "released", "rate"],
  ]);
  const reply = await test.now.gate.unlock({ caller: another("a"), request: opening() });
  assert.deepEqual(reply, { denied: "rate", retry_ms: 30_000 });
  const nines = [await ask("kiosk-9"), await ask("kiosk-9"), await ask("kiosk-9")];
  assert.deepEqual(nines, ["released", "released", "released"]);
  assert.equal(await ask("b"), "rate");
  test.pass(minute);
  assert.equal(await ask("a"), "released");
});

Deno.test("Gate asks hours of the device where it has its own", async () => {
  await using test = await openTestUnlock({
    config: { hours: ["wed 00:00-12:00"], devices: { "kiosk-8": { hours: ["wed 12:00-13:00"] } } },
  });
  assert.equal(await test.ask(), "hours");
  assert.equal(await test.ask({}, another("kiosk-8")), "released");
  await test.restart({ config: { hours: ["wed 13:00-14:00"], timezone: "Europe/Berlin" } });
  assert.equal(await test.ask(), "released");
});

Deno.test("a thousand denials are two lines of the log and two events, with their number", async () => {
  await using test = await openTestUnlock({ config: { rate: "1/h" } });
  assert.equal(await test.ask(), "released");
  test.news();
  for (let i = 0; i < 1_000; i++) assert.equal(await test.ask({ boot: boot(2 + i) }), "rate");
  await test.now.upkeep.look();
  assert.deepEqual(test.news(), [`unlock.denied warning ${device}`]);
  test.pass(minute);
  await test.now.upkeep.look();
  const denials = (await test.logged()).filter(({ type }) => type === "unlock.denied");
  assert.deepEqual(denials.map(({ detail }) => detail), [
    ...[{ reason: "rate", count: 1 }, { reason: "rate", count: 999 }],
  ]);
  assert.match(await test.now.registry.text(), /edgeward_unlock_total{.*outcome="rate".*} 1000/);
  // nothing else of the flood is on disk
  assert.deepEqual([await test.count("devices"), await test.count("volumes")], [1, 1]);
});

Deno.test("denials that wait for their minute are logged when the role stops", async () => {
  await using test = await openTestUnlock(often);
  for (let i = 0; i < 3; i++) await test.ask({ epoch: 1, volume: otherVolume });
  test.now.upkeep.start();
  await test.now.upkeep.stop();
  const counts = (await test.logged()).map(({ detail }) => detail["count"]);
  assert.deepEqual(counts, [1, 2]);
});
