/**
 * Two histories of one fog: its database comes back from a backup, or is new, or a second machine uses
 * its name. The fog begins an epoch behind what the cloud has, loses nothing and contradicts nothing.
 */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { minute, openTestUplink, outboxState, type TestUplink } from "./_test_uplink.ts";

const alarms = ({ events }: TestUplink): Record<string, unknown>[] =>
  events.filter(({ type }) => type === "fog.rolled_back")
    .map(({ severity, detail }) => ({ severity, ...detail }));

Deno.test("a restored fog begins an epoch behind the cloud's head", async () => {
  await using test = await openTestUplink();
  await test.append(4);
  await test.deliver();
  await test.append(6);
  const restore = await test.backup();
  await test.deliver();
  await test.append(5);
  await test.deliver();
  assert.equal(test.cloud.names.length, 15);
  await restore();
  // before it hears of the cloud, it goes on as if nothing had happened
  const astray = await test.append(2, { bytes: 10 });
  assert.deepEqual(astray, ["1.11", "1.12"]);
  await test.deliver();
  assert.deepEqual(test.cloud.conflicts, []);
  assert.deepEqual(test.reopened, [11 * minute, 12 * minute]);
  assert.deepEqual(alarms(test), [{
    severity: "alarm",
    ...{ epoch: 2, after: { epoch: 1, seq: 15 }, common: { epoch: 1, seq: 10 }, windows: 2 },
  }]);
  const state = await outboxState(test);
  assert.deepEqual([state["1.10"], state["1.11"], state["1.12"]], [
    ...["at the cloud", "superseded", "superseded"],
  ]);
  await test.closeDirty();
  await test.append(1);
  await test.deliver();
  assert.deepEqual(test.cloud.names.slice(15), ["2.1", "2.2", "2.3"]);
  assert.deepEqual(test.cloud.lost, []);
  assert.deepEqual(test.cloud.conflicts, []);
  const rows = await test.db.read((q) =>
    q.all<{ type: string; detail: string }>(sql`SELECT type, detail FROM audit`)
  );
  assert.deepEqual(rows.map(({ type, detail }) => [type, JSON.parse(detail).epoch]), [
    ["fog.rolled_back", 2],
  ]);
});

Deno.test("a new fog of an old name begins behind what the cloud has, registers included", async () => {
  await using test = await openTestUplink();
  const restore = await test.backup();
  await test.append(3);
  await test.deliver();
  await restore();
  test.cloud.page = 1_000;
  await test.deliver();
  assert.deepEqual(alarms(test).map(({ epoch, common }) => [epoch, common]), [
    [2, { epoch: 0, seq: 0 }],
  ]);
  assert.deepEqual(await anchors(test), [["m-1", "r-1", 3, 30]]);
  assert.deepEqual(await test.append(1), ["2.1"]);
  await test.deliver();
  assert.deepEqual(test.cloud.names, ["1.1", "1.2", "1.3", "2.1"]);
});

Deno.test("an anchor that is higher already stays", async () => {
  await using test = await openTestUplink();
  const restore = await test.backup();
  await test.append(3);
  await test.deliver();
  await restore();
  await test.db.write(async (tx) => {
    await tx.run(sql`INSERT INTO fog_aggregator_registers VALUES (7, 'm-1', 'r-1')`);
    await tx.run(sql`INSERT INTO fog_aggregator_anchors VALUES (7, 5, 55)`);
  });
  await test.deliver();
  assert.deepEqual(await anchors(test), [["m-1", "r-1", 5, 55]]);
});

Deno.test("what had not arrived before the rollback is summed up again in the new epoch", async () => {
  await using test = await openTestUplink();
  await test.append(2);
  await test.deliver();
  const restore = await test.backup();
  await test.append(1);
  await test.deliver();
  await restore();
  await test.append(100, { bytes: 2 });
  await test.deliver();
  assert.equal(test.reopened.length, 100);
  await test.closeDirty();
  await test.deliver();
  assert.deepEqual(test.cloud.head.epoch, 2);
  assert.deepEqual(test.cloud.head.seq, 100);
  const windows = new Set(test.cloud.held().map(({ summary }) => summary.window.start));
  assert.equal(windows.size, 102);
});

Deno.test("the search for the last common link copes with holes and epochs", async () => {
  await using test = await openTestUplink();
  await test.append(3);
  await test.deliver();
  const first = await test.backup();
  await test.append(2);
  await test.deliver();
  await first();
  await test.deliver();
  await test.append(10);
  await test.deliver();
  assert.deepEqual(test.cloud.head.epoch, 2);
  const second = await test.backup();
  await test.append(3);
  await test.deliver();
  await second();
  test.clock.now += 60 * minute;
  await test.append(4, { bytes: 7 });
  await test.remove(["2.5", "2.11"]);
  await test.deliver();
  const { epoch, common, windows } = alarms(test).at(-1)!;
  assert.deepEqual({ epoch, common, windows }, {
    ...{ epoch: 3, common: { epoch: 2, seq: 10 }, windows: 3 },
  });
  await test.append(1);
  await test.deliver();
  assert.equal(test.cloud.names.at(-1), "3.1");
  assert.deepEqual(test.cloud.conflicts, []);
});

Deno.test("a rollback that is cut off changes nothing, and is made good", async () => {
  await using test = await openTestUplink();
  await test.append(2);
  const restore = await test.backup();
  await test.append(2);
  await test.deliver();
  await restore();
  await test.append(1, { bytes: 5 });
  let calls = 0;
  test.fate = () => ++calls === 4 ? "unanswered" : "answered";
  await test.deliver();
  assert.equal(calls, 4);
  assert.deepEqual(await outboxState(test), {
    "1.1": "pending",
    "1.2": "pending",
    "1.3": "pending",
  });
  assert.deepEqual(test.reopened, []);
  await test.clock.pass(2_000);
  assert.deepEqual(test.reopened, [3 * minute]);
  assert.equal(alarms(test).length, 1);
});

Deno.test("a cloud restored to before an epoch began gets what there is, and learns the rest", async () => {
  await using test = await openTestUplink();
  await test.append(3);
  await test.deliver();
  const cloudRestore = test.cloud.backup();
  const fogRestore = await test.backup();
  await test.append(4);
  await test.deliver();
  await fogRestore();
  await test.deliver();
  await test.append(2);
  await test.deliver();
  assert.equal(test.cloud.head.epoch, 2);
  cloudRestore();
  await test.append(1);
  await test.deliver();
  await test.clock.pass(2_000);
  assert.deepEqual(test.cloud.names, ["1.1", "1.2", "1.3", "2.1", "2.2", "2.3"]);
  assert.deepEqual(test.cloud.lost.map(({ from, upto }) => [from, upto]), [["1.3", "1.7"]]);
  assert.equal(alarms(test).length, 1);
});

Deno.test("what an earlier life sent ahead contradicts in the end, and a new epoch begins", async () => {
  await using test = await openTestUplink();
  await test.append(1);
  await test.deliver();
  const restore = await test.backup();
  await test.append(300);
  // after a long outage, only the newest arrive before the machine dies
  test.fate = () => "unheard";
  await test.deliver();
  await test.clock.pass(2 * minute);
  test.fate = () => "answered";
  while (test.cloud.calls.length === 1) await test.clock.pass(1_000);
  assert.deepEqual(test.cloud.names, ["1.1", "1.298", "1.299", "1.300", "1.301"]);
  await restore();
  await test.append(320, { bytes: 9 });
  await test.deliver();
  await test.closeDirty();
  await test.deliver();
  const [{ common, after }] = alarms(test) as [Record<string, unknown>];
  assert.deepEqual({ common, after }, {
    ...{ common: { epoch: 1, seq: 297 }, after: { epoch: 1, seq: 297 } },
  });
  assert.equal(alarms(test).length, 1);
  assert.equal(test.cloud.head.epoch, 2);
  const { pending, refused } = await test.outbox.counts();
  assert.deepEqual({ pending, refused }, { pending: 0, refused: 0 });
  const windows = new Set(test.cloud.held().map(({ summary }) => summary.window.start));
  assert.equal(windows.size, 321);
});

Deno.test("two fogs of one name do not drive each other through the epochs", async () => {
  await using test = await openTestUplink();
  await test.append(2);
  await test.deliver();
  const restore = await test.backup();
  await test.append(1);
  await test.deliver();
  await restore();
  await test.append(1, { bytes: 3 });
  await test.deliver();
  await test.closeDirty();
  await test.deliver();
  assert.equal(alarms(test).length, 1);
  // the cloud goes on elsewhere, again and again
  await using twin = await openTestUplink();
  await twin.append(9, { bytes: 1 });
  await twin.deliver();
  const foreign = twin.cloud;
  test.cloud.answer = foreign.answer.bind(foreign);
  await test.append(1);
  await test.deliver();
  await test.clock.pass(5 * minute);
  assert.equal(alarms(test).length, 1);
  assert.match(test.troubles.at(-1)!, /goes on elsewhere/);
  await test.clock.pass(10 * minute);
  assert.equal(alarms(test).length, 2);
});

async function anchors({ db }: TestUplink) {
  const rows = await db.read((q) =>
    q.all<{ meter: string; register: string; seq: number; energy_wh: number }>(sql`
      SELECT meter, register, seq, energy_wh FROM fog_aggregator_anchors
      JOIN fog_aggregator_registers ON id = register_id ORDER BY meter, register`)
  );
  return rows.map(({ meter, register, seq, energy_wh }) => [meter, register, seq, energy_wh]);
}
