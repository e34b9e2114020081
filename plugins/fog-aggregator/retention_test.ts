/** What is deleted, when, in which order, and that nothing counts twice or is lost by it. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import type { Reading } from "../../core/wire/reading.ts";
import { openTestFog, type TestFog } from "./_test_fog.ts";
import {
  batch,
  closeAll,
  count,
  insert,
  minute,
  noon,
  reading,
  suite,
  until,
} from "./_test_store.ts";
import { outboxOf } from "./outbox.ts";
import { passWindows, usedBytes } from "./prune.ts";

const hour = 60 * minute;
const short = { keep: hour, lateness: hour, grace: 0 };

/** The cloud has everything. */
async function acknowledge({ now }: TestFog): Promise<void> {
  await now.db.write((tx) => tx.run(sql`UPDATE fog_aggregator_summaries SET acknowledged = 1`));
}

/** A reading of every so many minutes from noon on, in a statement of some size. */
function heavy(seqs: readonly number[], { every = 1, bytes = 2_000, register = "r-1" } = {}) {
  return seqs.map((seq) => ({
    ...batch([reading(seq, { t: noon + seq * every * minute })], { register }),
    statement: suite.randomBytes(bytes),
  }));
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

async function rows(fog: TestFog) {
  const { db } = fog.now;
  const tables = ["readings", "batches", "windows", "summaries"];
  const counts = await Promise.all(tables.map((table) => count(db, table)));
  return Object.fromEntries(tables.map((table, i) => [table, counts[i]]));
}

/** A hundred windows of one reading each, summed up. */
async function hundred(fog: TestFog): Promise<void> {
  await insert(fog.now.store, ...heavy(upTo(100)));
  fog.pass(100 * minute);
  await closeAll(fog.now.store);
}

Deno.test("what is summed up, at the cloud and older than keep is deleted, and is known later", async () => {
  await using fog = await openTestFog({ config: short });
  await hundred(fog);
  await acknowledge(fog);
  await fog.now.retention.pass();
  // age counts from the start of the newest window, 99 minutes after noon
  assert.deepEqual(await rows(fog), { readings: 61, batches: 61, windows: 61, summaries: 61 });
  assert.equal(fog.now.retention.horizon(), noon + 39 * minute);
  const again = await insert(fog.now.store, ...heavy(upTo(100)));
  assert.deepEqual(again, again.map(() => ({ accepted: 0, duplicates: 1, refused: [] })));
  await fog.restart();
  const later = await insert(fog.now.store, ...heavy(upTo(50)));
  assert.deepEqual(later, later.map(() => ({ accepted: 0, duplicates: 1, refused: [] })));
  assert.deepEqual(await closeAll(fog.now.store), new Map());
  const ranges = await fog.now.db.read((q) =>
    q.all(sql`SELECT first, last FROM fog_aggregator_pruned`)
  );
  assert.deepEqual(ranges.map((row) => Object.values(row as object)), [[0, 38]]);
});

Deno.test("what is not at the cloud stays, unless there is none", async () => {
  for (const [hasCloud, left] of [[true, 100], [false, 61]] as const) {
    await using fog = await openTestFog({ config: short, hasCloud });
    await hundred(fog);
    await fog.now.retention.pass();
    assert.equal((await rows(fog)).readings, left);
  }
});

Deno.test("a window that waits holds back those after it", async () => {
  await using fog = await openTestFog({ config: short });
  await hundred(fog);
  await acknowledge(fog);
  const { db } = fog.now;
  const set = async (change: string, start: number) => {
    await db.write((tx) => tx.run(sql`${sql.raw(change)} = ${noon + start * minute}`));
    await fog.now.retention.pass();
    return (await rows(fog)).readings;
  };
  const summaries = "UPDATE fog_aggregator_summaries SET";
  assert.equal(await set("UPDATE fog_aggregator_windows SET dirty = 1 WHERE start", 10), 90);
  assert.equal(await set(`${summaries} acknowledged = 0 WHERE window_start`, 20), 90);
  assert.equal(await set("UPDATE fog_aggregator_windows SET dirty = 0 WHERE start", 10), 80);
  // what the cloud refuses is kept for as long as anything, and what was superseded waits for nobody
  const aside = "acknowledged = 0, set_aside";
  assert.equal(await set(`${summaries} set_aside = 'refused: x' WHERE window_start`, 20), 61);
  assert.equal(await set(`${summaries} ${aside} = 'superseded' WHERE window_start`, 50), 61);
});

Deno.test("a clock that runs away deletes nothing, and neither does one in doubt", async () => {
  await using fog = await openTestFog({ config: short });
  await hundred(fog);
  await acknowledge(fog);
  fog.now.clock.hear("m-1", fog.time.wall + hour);
  await fog.now.retention.pass();
  assert.equal((await rows(fog)).readings, 100);
  fog.now.clock.learn(fog.time.wall, 0);
  fog.pass(10_000 * hour);
  await fog.now.retention.pass();
  assert.equal((await rows(fog)).readings, 61);
});

Deno.test("a register loses a beginning only: what has a lower number than what stays, stays", async () => {
  await using fog = await openTestFog({ config: short });
  const times = [90, 1, 2, 80, 99];
  const readings = times.map((t, seq) => reading(seq, { t: noon + t * minute }));
  await insert(fog.now.store, batch(readings), batch(readings, { register: "r-2" }));
  await insert(fog.now.store, batch([reading(5, { t: noon })], { register: "r-3" }));
  fog.pass(160 * minute);
  await closeAll(fog.now.store);
  await acknowledge(fog);
  await fog.now.retention.pass();
  assert.equal((await rows(fog)).readings, 10);
  await insert(fog.now.store, batch([reading(6, { t: noon + 155 * minute })], { register: "r-3" }));
  await closeAll(fog.now.store);
  await acknowledge(fog);
  await fog.now.retention.pass();
  assert.deepEqual(await rows(fog), { readings: 3, batches: 3, windows: 2, summaries: 2 });
});

Deno.test("the horizon may be ahead of the deleting, as after a crash", async () => {
  await using fog = await openTestFog({ config: short });
  await hundred(fog);
  await acknowledge(fog);
  const until = noon + 50 * minute;
  const options = { until, idle: until, limit: 1_000, hasCloud: true, refused: true };
  await fog.now.db.write((tx) => passWindows(tx, options));
  await fog.restart();
  assert.equal(fog.now.retention.horizon(), until);
  assert.deepEqual(await rows(fog), { readings: 100, batches: 100, windows: 50, summaries: 50 });
  const [receipt] = await insert(fog.now.store, batch([reading(500, { t: noon })]));
  assert.equal(receipt!.accepted, 1);
  assert.deepEqual(await closeAll(fog.now.store), new Map(), "no window before it opens again");
  await fog.now.retention.pass();
  assert.equal((await rows(fog)).readings, 51);
});

Deno.test("the newest link stays, and the newest that the cloud has", async () => {
  await using fog = await openTestFog({
    config: { ...short, lateness: 3 * hour },
    hasCloud: false,
  });
  await hundred(fog);
  const { db } = fog.now;
  await db.write((tx) =>
    tx.run(sql`UPDATE fog_aggregator_summaries SET acknowledged = 1 WHERE seq <= 7`)
  );
  await outboxOf(db).refuse({ epoch: 1, seq: 8 }, "malformed");
  await insert(fog.now.store, batch([reading(1_000, { t: noon + minute })]));
  await closeAll(fog.now.store);
  await fog.now.retention.pass();
  const links = await db.read((q) =>
    q.all<{ seq: number }>(
      sql`SELECT seq FROM fog_aggregator_summaries WHERE seq < 40 OR seq > 100`,
    )
  );
  assert.deepEqual(links.map(({ seq }) => seq).sort((a, b) => a - b), [7, 101]);
});

Deno.test("over budget, what is at the cloud goes first; then the fog takes nothing until there is room", async () => {
  await using fog = await openTestFog({ config: { ...short, keep: 9_000 * hour } });
  await hundred(fog);
  const used = await fog.now.db.read(usedBytes);
  await fog.restart({ disk_budget: used - 1 });
  await fog.now.retention.pass();
  assert.match(fog.now.retention.blocked!, /outgrown disk_budget/);
  assert.equal((await rows(fog)).readings, 100);
  const one = batch([reading(200, { t: fog.time.wall })]);
  await assert.rejects(fog.now.ingest.store(one), { code: "storage_full" });
  await acknowledge(fog);
  await fog.now.retention.pass();
  const { readings } = await rows(fog);
  assert.ok(readings! > 20 && readings! < 100, `${readings} readings are left`);
  assert.equal(fog.now.retention.blocked, null);
  assert.equal((await fog.now.ingest.store(one)).accepted, 1);
  assert.deepEqual(fog.now.events.map(({ type, severity }) => `${type} ${severity}`), [
    "fog.storage_full alarm",
    "fog.storage_free info",
  ]);
});

Deno.test("over budget, what the cloud refuses stays, and what was superseded does not", async () => {
  await using fog = await openTestFog({ config: { ...short, keep: 9_000 * hour } });
  await hundred(fog);
  await acknowledge(fog);
  const { db } = fog.now;
  for (const [at, reason] of [[5, "superseded"], [10, "refused: malformed"]] as const) {
    await db.write((tx) =>
      tx.run(sql`UPDATE fog_aggregator_summaries SET acknowledged = 0, set_aside = ${reason}
        WHERE window_start = ${noon + at * minute}`)
    );
  }
  await fog.restart({ disk_budget: 1_000 });
  await fog.now.retention.pass();
  assert.equal((await rows(fog)).readings, 90);
  assert.notEqual(fog.now.retention.blocked, null);
});

Deno.test("with drop-oldest the oldest windows go whole, and it is said and written down", async () => {
  await using fog = await openTestFog({ config: { ...short, keep: 9_000 * hour } });
  await hundred(fog);
  const used = await fog.now.db.read(usedBytes);
  await fog.restart({ disk_budget: used - 1, when_full: "drop-oldest" });
  await fog.now.retention.pass();
  assert.equal(fog.now.retention.blocked, null);
  const { readings, windows, summaries } = await rows(fog);
  assert.ok(readings! > 50 && readings! < 100, `${readings} readings are left`);
  assert.deepEqual([windows, summaries], [readings, readings]);
  const lost = 100 - readings!;
  const detail = {
    ...{ from: noon, to: noon + lost * minute },
    ...{ windows: lost, readings: lost, summaries: lost },
  };
  assert.deepEqual(fog.now.events.map(({ type, severity, detail }) => [type, severity, detail]), [
    ["fog.data_dropped", "alarm", detail],
  ]);
  const audit = await fog.now.db.read((q) =>
    q.all<{ type: string; detail: string }>(sql`SELECT type, detail FROM audit
      WHERE type NOT IN ('readings.stored', 'summary.signed')`)
  );
  assert.deepEqual(new Set(audit.map(({ type }) => type)), new Set(["fog.data_dropped"]));
  const noted = audit.reduce((sum, { detail }) => sum + JSON.parse(detail).readings, 0);
  assert.equal(noted, lost);
  const { retention, troubles } = fog.now;
  retention.start();
  await until("it reports", () => troubles.length > 0);
  await retention.stop();
  assert.match(troubles[0]!, /oldest readings are dropped/);
  const again = await insert(fog.now.store, ...heavy(upTo(lost)));
  assert.ok(again.every(({ duplicates }) => duplicates === 1));
});

Deno.test("windows that are not over are never dropped", async () => {
  await using fog = await openTestFog({
    config: { ...short, disk_budget: 1, when_full: "drop-oldest" },
  });
  fog.pass(10 * minute);
  await insert(fog.now.store, ...heavy(upTo(12)));
  await fog.now.retention.pass();
  assert.deepEqual(await rows(fog), { readings: 3, batches: 3, windows: 3, summaries: 0 });
  assert.notEqual(fog.now.retention.blocked, null);
});

Deno.test("the quarantine is bounded in age and number", async () => {
  await using fog = await openTestFog({ config: short });
  await hundred(fog);
  const { db, retention } = fog.now;
  await db.write((tx) =>
    tx.run(sql`WITH RECURSIVE n(value) AS (
        SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 12000
      )
      INSERT INTO fog_aggregator_quarantine (received_at, register_id, seq, statement)
      SELECT ${noon + 39 * minute - 4_000} + value, 1, value, x'00' FROM n`)
  );
  await retention.pass();
  assert.equal(await count(db, "quarantine"), 8_001);
  await db.write((tx) =>
    tx.run(sql`UPDATE fog_aggregator_quarantine SET received_at = ${noon} WHERE seq > 11990`)
  );
  await retention.pass();
  assert.equal(await count(db, "quarantine"), 7_991);
});

Deno.test("the quarantine is bounded in what it takes of the budget", async () => {
  await using fog = await openTestFog({ config: { ...short, disk_budget: 2 ** 20 } });
  await hundred(fog);
  const { db, retention } = fog.now;
  // 52,428 bytes are a twentieth, and each takes its size twice
  for (let seq = 1; seq <= 30; seq++) {
    await db.write((tx) =>
      tx.run(sql`INSERT INTO fog_aggregator_quarantine (received_at, register_id, seq, statement)
        VALUES (${fog.time.wall}, 1, ${seq}, zeroblob(2000))`)
    );
  }
  await retention.pass();
  const [row] = await db.read((q) =>
    q.all<{ n: number; first: number }>(
      sql`SELECT count(*) AS n, min(seq) AS first FROM fog_aggregator_quarantine`,
    )
  );
  assert.deepEqual([row!.n, row!.first], [13, 18]);
});

Deno.test("over budget, windows stay open as far as what still waits may reach back", async () => {
  await using fog = await openTestFog({ config: { ...short, keep: 9_000 * hour } });
  await hundred(fog);
  await acknowledge(fog);
  await fog.restart({ disk_budget: 1_000 });
  fog.now.wait(true);
  await fog.now.retention.pass();
  assert.equal(fog.now.retention.horizon(), fog.time.wall - hour);
  assert.equal((await rows(fog)).readings, 60);
  fog.now.wait(false);
  await fog.now.retention.pass();
  assert.ok((await rows(fog)).readings! < 3);
});

Deno.test("while the time is in doubt a full storage takes nothing, and drops nothing", async () => {
  await using fog = await openTestFog({
    config: { ...short, disk_budget: 1_000, when_full: "drop-oldest" },
  });
  await hundred(fog);
  await acknowledge(fog);
  fog.now.clock.hear("m-1", fog.time.wall + hour);
  await fog.now.retention.pass();
  assert.equal((await rows(fog)).readings, 100);
  assert.notEqual(fog.now.retention.blocked, null);
});

Deno.test("a storage that was full goes on deleting until there is clearly room", async () => {
  await using fog = await openTestFog({ config: { ...short, keep: 9_000 * hour } });
  await hundred(fog);
  const used = await fog.now.db.read(usedBytes);
  await fog.restart({ disk_budget: used - 1 });
  await fog.now.retention.pass();
  // within the budget again, by a bit: that alone is no reason to take readings
  fog.config.disk_budget = used + 4_096;
  await fog.now.retention.pass();
  assert.notEqual(fog.now.retention.blocked, null);
  await acknowledge(fog);
  await fog.now.retention.pass();
  assert.equal(fog.now.retention.blocked, null);
  assert.ok(await fog.now.db.read(usedBytes) <= 0.95 * fog.config.disk_budget);
});

/** What a window of the hundred counts, after a reading that it gets now. */
async function energyAfter(fog: TestFog, added: Reading, window: number): Promise<number> {
  await insert(fog.now.store, batch([added]));
  const closed = await closeAll(fog.now.store);
  return closed.get(noon + window * minute)!.figures.energy_Wh;
}

Deno.test("energy counts on from what was deleted last, if it counted", async () => {
  await using fog = await openTestFog({ config: short });
  // two numbers apart; the register of one that is in no window says nothing about the others
  const even = upTo(100).map((i) => reading(2 * i, { t: noon + i * minute }));
  await insert(fog.now.store, batch(even));
  fog.pass(100 * minute);
  await insert(fog.now.store, batch([reading(77, { t: noon - 10 * hour, energy_Wh: 1_000 })]));
  await closeAll(fog.now.store);
  await acknowledge(fog);
  await fog.now.retention.pass();
  assert.equal(fog.now.retention.horizon(), noon + 39 * minute);
  assert.equal(await count(fog.now.db, "readings"), 61);
  const late = reading(79, { t: noon + 40 * minute + 1 });
  assert.equal(await energyAfter(fog, late, 40), 200);
  assert.equal(await energyAfter(fog, reading(81, { t: noon + 41 * minute }), 41), 200);
  // window 39 counts from number 76, which is gone
  await fog.now.db.write((tx) =>
    tx.run(sql`UPDATE fog_aggregator_windows SET dirty = 1 WHERE start = ${noon + 39 * minute}`)
  );
  const again = await closeAll(fog.now.store);
  assert.equal(again.get(noon + 39 * minute)!.figures.energy_Wh, 200);
});

Deno.test("an anchor that is further on, as from the cloud, stays", async () => {
  await using fog = await openTestFog({ config: short });
  await hundred(fog);
  await acknowledge(fog);
  const { db, retention } = fog.now;
  await db.write((tx) => tx.run(sql`INSERT INTO fog_aggregator_anchors VALUES (1, 70, 12345)`));
  await retention.pass();
  const [anchor] = await db.read((q) =>
    q.all<{ seq: number; energy_wh: number }>(
      sql`SELECT seq, energy_wh FROM fog_aggregator_anchors`,
    )
  );
  assert.deepEqual([anchor!.seq, anchor!.energy_wh], [70, 12345]);
});
