/** What the role offers at the desk: requests as questions, and what became of devices. */
import assert from "node:assert/strict";
import { toHex } from "../../core/base/bytes.ts";
import { type Desk, type Docket, type Sheet, SiteDesk } from "../../core/services/desk.ts";
import { offerUnlocks } from "./desk.ts";
import {
  another,
  boot,
  device,
  log,
  minute,
  noon,
  openTestUnlock,
  peer,
  reportOf,
  TestGroup,
  type TestUnlock,
  volume,
} from "./_test_unlock.ts";

const careful = { config: { approval: true, rate: "1000/s", rate_all: "1000/s" } };
const alice = { actor: "telegram:1" };

/** Of the process that runs now. */
function deskOf(test: TestUnlock, group: Pick<TestGroup, "current"> = new TestGroup()): Desk {
  const desk = new SiteDesk({ log }).scoped(() => {});
  offerUnlocks({ ...test.now.host, desk }, { group, operations: test.now.operations });
  return desk;
}

function docketOf(test: TestUnlock): Docket {
  return deskOf(test).dockets()[0]!;
}

async function show(test: TestUnlock, args = ""): Promise<Sheet> {
  return await deskOf(test).views()[0]!.show(args);
}

Deno.test("a request that waits is a question, and a yes to it opens that volume to that start", async () => {
  await using test = await openTestUnlock(careful);
  await test.ask();
  test.pass(1);
  await test.ask({}, another("kiosk-8"));
  const docket = docketOf(test);
  const [question, other] = await docket.pending();
  const { id } = question!;
  assert.deepEqual(question, {
    ...{ id, title: "kiosk-7 asks for the key to its volume" },
    ...{ asked: noon, expires: noon + 10 * minute },
    facts: [
      ["request", id],
      ["volume", toHex(volume)],
      ["start", "number 1"],
      ["scheme", "voprf"],
    ],
  });
  assert.match(other!.title, /^kiosk-8/);
  await docket.decide(id, "approve", alice);
  assert.deepEqual(await docket.outcome(id), { verdict: "approved", by: "telegram:1" });
  assert.deepEqual((await docket.pending()).map(({ id }) => id), [other!.id]);
  assert.equal(await test.ask(), "released");
  assert.equal(await test.ask({ boot: boot(2) }), "pending");
  const decided = (await test.logged()).filter(({ type }) => type === "unlock.approved");
  assert.deepEqual(decided.map(({ actor }) => actor), ["telegram:1"]);
});

Deno.test("a no is a no, the same again changes nothing, and neither does the opposite", async () => {
  await using test = await openTestUnlock(careful);
  await test.ask();
  const { id } = (await docketOf(test).pending())[0]!;
  await docketOf(test).decide(id, "deny", alice);
  await test.restart();
  await docketOf(test).decide(id, "deny", { actor: "telegram:2" });
  await assert.rejects(docketOf(test).decide(id, "approve", alice), { code: "request_decided" });
  assert.deepEqual(await docketOf(test).outcome(id), { verdict: "denied", by: "telegram:1" });
  assert.equal(await test.ask(), "refused");
});

Deno.test("a request that nobody answers is gone, and cannot be decided any more", async () => {
  await using test = await openTestUnlock(careful);
  await test.ask();
  const { id } = (await docketOf(test).pending())[0]!;
  assert.equal((await docketOf(test).outcome(id)).verdict, "gone");
  test.pass(10 * minute);
  const docket = docketOf(test);
  assert.deepEqual(await docket.pending(), []);
  for (const unknown of [id, "", "aaaaaaaa", "x' OR 1=1", "é".repeat(200)]) {
    assert.deepEqual(await docket.outcome(unknown), { verdict: "gone", by: null });
    await assert.rejects(docket.decide(unknown, "approve", alice), { code: "request_unknown" });
  }
  assert.equal(await test.ask(), "pending");
});

Deno.test("unlocks shows who asks, then the last answers, and of one device with its name", async () => {
  await using test = await openTestUnlock({
    config: { devices: { "kiosk-8": { approval: true } }, rate: "1000/s" },
  });
  await test.ask();
  await test.now.report(reportOf(), peer);
  for (let i = 2; i < 13; i++) await test.ask({ boot: boot(i) });
  await test.ask({}, another("kiosk-8"));
  test.pass(minute);
  const { title, facts = [], rows = [] } = await show(test);
  assert.equal(title, "Unlocks");
  assert.deepEqual(facts, [
    ["group", "home, epoch 3: any 1 of 2, this is number 1"],
    ["waiting", "1"],
    ["not yet mounted", "11"],
    ["suspected clones", "0"],
  ]);
  assert.equal(rows.length, 11);
  const told = Object.fromEntries(rows[0]!.facts!);
  assert.equal(rows[0]!.title, "kiosk-8 asks: pending");
  assert.deepEqual([told["asked"], told["ends"]], ["1 min ago", "in 9 min"]);
  assert.equal(rows[1]!.title, "kiosk-7: not yet mounted");
  assert.deepEqual(rows[1]!.facts!.slice(1), [["start", "number 12"], ["answered", "1 min ago"]]);
  const own = await show(test, " kiosk-8 ");
  assert.deepEqual(own.rows!.map(({ title }) => title), ["kiosk-8 asks: pending"]);
  assert.equal((await show(test, "kiosk-7")).rows!.length, 10);
  await assert.rejects(show(test, "kiosk 7"), { code: "id_invalid" });
});

Deno.test("what became of a device is said where people ask for all devices", async () => {
  await using test = await openTestUnlock({ config: { rate: "1000/s" } });
  await test.ask();
  await test.now.report(reportOf(), peer);
  test.pass(minute);
  const said = async () => (await deskOf(test).remarks()[0]!.all()).get(device);
  assert.deepEqual(await said(), [["unlocked", "1 min ago, mounted"]]);
  await test.ask({ boot: boot(1, 9) });
  const [first] = (await said())!;
  assert.deepEqual(first, ["refused", "seems to exist twice, noticed 0 s ago"]);
});

Deno.test("a gateway without a group says so", async () => {
  await using test = await openTestUnlock();
  const { show } = deskOf(test, { current: () => null }).views()[0]!;
  assert.deepEqual((await show("")).facts![0], ["group", "none"]);
});
