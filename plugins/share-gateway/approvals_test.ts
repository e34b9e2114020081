/** Requests that a person decides about: what an answer is good for, and what waits. */
import assert from "node:assert/strict";
import { toHex } from "../../core/base/bytes.ts";
import { type Boot, requestName } from "../../core/wire/unlock.ts";
import { approvalOf, ask, forgetRequests, listRequests, waitingLimit } from "./approvals.ts";
import {
  another,
  boot,
  caller,
  device,
  minute,
  noon,
  opening,
  openTestUnlock,
  otherVolume,
  suite,
  type TestUnlock,
  volume,
} from "./_test_unlock.ts";

const careful = { config: { approval: true, rate: "1000/s", rate_all: "1000/s" } };
const nameOf = (start: Boot, of = volume) =>
  requestName(suite, { device, volume: of, boot: start });
const waiting = async (test: TestUnlock) =>
  (await test.now.db.read((q) => listRequests(q, test.time.now))).map(({ id, state }) =>
    `${id} ${state}`
  );

Deno.test("a request waits until a person has said yes, and then its start opens its volume", async () => {
  await using test = await openTestUnlock(careful);
  const id = nameOf(boot(1));
  const reply = await test.now.gate.unlock({ caller, request: opening() });
  assert.deepEqual(reply, { denied: "pending", retry_ms: 2_000, request: id });
  for (let i = 0; i < 5; i++) assert.equal(await test.ask(), "pending");
  assert.deepEqual(test.news(), [`unlock.pending warning ${device}`]);
  await test.restart();
  assert.equal(await test.ask(), "pending");
  const decided = await test.now.operations.decide(id, "approved", "token:7");
  assert.deepEqual(decided, {
    ...{ id, device, volume: toHex(volume), boot: 1, scheme: "voprf", seal: false },
    ...{ state: "approved", asked: noon, expires: noon + 10 * minute, decided_by: "token:7" },
  });
  await test.restart();
  assert.equal(await test.ask(), "released");
  assert.equal(await test.ask(), "released");
  assert.equal(await test.ask({ volume: otherVolume }), "pending");
  assert.equal(await test.ask({ boot: boot(2) }), "pending");
  const entries = (await test.logged()).map(({ type, actor }) => `${type} ${actor}`);
  assert.deepEqual(entries.slice(0, 3), [
    ...[`unlock.pending ${device}`, "unlock.approved token:7", `unlock.released ${device}`],
  ]);
  const [, , released] = await test.logged();
  assert.equal(released!.detail["approved_by"], "token:7");
});

Deno.test("a yes ends after its time, and so does a request that nobody answers", async () => {
  await using test = await openTestUnlock(careful);
  await test.ask();
  await test.now.operations.decide(nameOf(boot(1)), "approved", "site");
  test.pass(10 * minute - 1);
  assert.equal(await test.ask(), "released");
  test.pass(1);
  assert.equal(await test.ask(), "pending");
  test.pass(10 * minute);
  assert.deepEqual(await waiting(test), []);
  await test.now.upkeep.look();
  assert.equal(await test.count("requests"), 0);
  await assert.rejects(test.now.operations.decide(nameOf(boot(1)), "approved", "site"), {
    code: "request_unknown",
  });
});

Deno.test("a no is a no for that start, and is kept through a restart", async () => {
  await using test = await openTestUnlock(careful);
  await test.ask();
  const { operations } = test.now;
  await operations.decide(nameOf(boot(1)), "refused", "token:7");
  assert.equal(await test.ask(), "refused");
  await test.restart();
  assert.equal(await test.ask(), "refused");
  // said again it changes nothing, and it cannot be turned round
  const { operations: again } = test.now;
  await again.decide(nameOf(boot(1)), "refused", "token:8");
  await assert.rejects(again.decide(nameOf(boot(1)), "approved", "token:8"), {
    code: "request_decided",
  });
  const verdicts = (await test.logged()).filter(({ type }) => type === "unlock.refused");
  assert.deepEqual(verdicts.map(({ actor }) => actor), ["token:7"]);
  assert.equal(await test.ask({ boot: boot(2) }), "pending");
});

Deno.test("approval is asked of those devices that need it, for sealing as well", async () => {
  await using test = await openTestUnlock({
    config: { devices: { [device]: { approval: true } }, rate: "100/s" },
  });
  assert.equal(await test.ask({ seal: true }), "pending");
  assert.equal(await test.ask({}, another("kiosk-8")), "released");
});

Deno.test("of one device only its latest request waits", async () => {
  await using test = await openTestUnlock(careful);
  await test.ask();
  await test.ask({ volume: otherVolume });
  assert.deepEqual(await waiting(test), [`${nameOf(boot(1), otherVolume)} pending`]);
  await test.ask({ boot: boot(2) });
  assert.deepEqual(await waiting(test), [`${nameOf(boot(2))} pending`]);
  // a clone puts nothing there
  assert.equal(await test.ask({ boot: boot(1) }), "clone");
  assert.deepEqual(await waiting(test), [`${nameOf(boot(2))} pending`]);
});

Deno.test("as many requests wait as a person can read, and no more", async () => {
  await using test = await openTestUnlock(careful);
  for (let i = 0; i < waitingLimit; i++) {
    assert.equal(await test.ask({}, another(`k-${i}`)), "pending");
  }
  const reply = await test.now.gate.unlock({ caller: another("one-more"), request: opening() });
  assert.deepEqual(reply, { denied: "quota", retry_ms: 30_000 });
  assert.equal(await test.ask({ boot: boot(2) }, another("k-7")), "pending");
  assert.equal(await test.count("requests"), waitingLimit);
  test.pass(10 * minute);
  assert.equal(await test.ask({}, another("one-more")), "pending");
});

Deno.test("a device that waits asks again without using up its rate", async () => {
  await using test = await openTestUnlock({ config: { approval: true, rate: "2/m" } });
  assert.equal(await test.ask(), "pending");
  for (let i = 0; i < 30; i++) {
    test.pass(2_000);
    assert.equal(await test.ask(), "pending");
  }
  // but not as often as it likes
  const flood = await Promise.all(Array.from({ length: 50 }, () => test.ask()));
  assert.ok(flood.includes("rate"));
  test.pass(2_000);
  await test.now.operations.decide(nameOf(boot(1)), "approved", "site");
  assert.equal(await test.ask(), "released");
});

Deno.test("a yes is never good for a request that was made to be called the same", async () => {
  await using test = await openTestUnlock(careful);
  await test.ask();
  const id = nameOf(boot(1));
  await test.now.operations.decide(id, "approved", "site");
  const stranger = { ...another("evil"), volume: otherVolume, boot: boot(1), id };
  const { db } = test.now;
  assert.equal(await db.read((q) => approvalOf(q, stranger, test.time.now)), "crowded");
  const request = { ...stranger, scheme: "voprf", seal: false } as const;
  await assert.rejects(
    db.write((tx) => ask(tx, request, { now: test.time.now, ttl: minute })),
    { code: "db_constraint" },
  );
});

Deno.test("what a device has asked is void with its admission", async () => {
  await using test = await openTestUnlock(careful);
  await test.ask();
  await test.ask({}, another("kiosk-8"));
  await test.now.db.write((tx) => forgetRequests(tx, device));
  assert.equal((await waiting(test)).length, 1);
});

Deno.test("the list shows what waits first, and terminals obey nothing in an unknown name", async () => {
  await using test = await openTestUnlock(careful);
  await test.ask();
  await test.now.operations.decide(nameOf(boot(1)), "refused", "site");
  test.pass(1);
  await test.ask({}, another("kiosk-8"));
  const rows = await test.now.db.read((q) => listRequests(q, test.time.now));
  assert.deepEqual(rows.map(({ device, state }) => `${device} ${state}`), [
    ...["kiosk-8 pending", `${device} refused`],
  ]);
  const wrong = test.now.operations.decide("\x1b[2J", "approved", "site");
  await assert.rejects(wrong, { message: "Cannot decide about the request: it does not wait" });
});
