/** Statements that wait until the fog knows the time: none is lost, none counts twice. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import fc from "fast-check";
import type { Id } from "../../core/base/id.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { encodeBatch, Flag, type Reading, readingsType } from "../../core/wire/reading.ts";
import { DatabaseError } from "../../core/services/db/mod.ts";
import { openTestFog, type TestFog } from "./_test_fog.ts";
import { count, minute, noon, reading, suite } from "./_test_store.ts";
import { Waiting } from "./waiting.ts";

const signer = suite.ed25519.signer();
const day = 24 * 60 * minute;

/** A batch as the border hands it on. */
function signed(readings: readonly Reading[], { meter = "m-1", register = "r-1" } = {}) {
  const batch = { meter: meter as Id, register: register as Id, readings };
  return { batch, statement: signStatement(suite, signer, readingsType, encodeBatch(batch)) };
}

async function wait({ now }: TestFog, readings: readonly Reading[], names = {}): Promise<void> {
  const { batch, statement } = signed(readings, names);
  await now.waiting.store(batch, statement);
}

async function replayAll({ now }: TestFog): Promise<void> {
  while (await now.waiting.replay());
}

/** A fog whose clock stands in 1970. */
const unset = () => openTestFog({ wall: 30_000 });

/** The clock is set; as much time as has passed on the monotonic clock has passed in truth. */
function set({ time }: TestFog, wall: number): void {
  time.wall = wall;
}

async function times({ now }: TestFog): Promise<Record<number, number>> {
  const rows = await now.db.read((q) =>
    q.all<{ seq: number; t: number }>(sql`SELECT seq, t FROM fog_aggregator_readings ORDER BY seq`)
  );
  return Object.fromEntries(rows.map(({ seq, t }) => [seq, t]));
}

Deno.test("what waits is stored when the doubt ends, and counts once although it came twice", async () => {
  await using fog = await unset();
  await wait(fog, [reading(1), reading(2)]);
  await wait(fog, [reading(1), reading(2)]);
  assert.equal(await fog.now.waiting.replay(), false);
  assert.deepEqual([await fog.now.waiting.count(), await count(fog.now.db, "readings")], [2, 0]);
  set(fog, noon);
  await replayAll(fog);
  assert.deepEqual([await fog.now.waiting.count(), await count(fog.now.db, "readings")], [0, 2]);
  const text = await fog.now.metrics.text();
  assert.match(text, /readings_accepted_total\{.*\} 2\n/);
  assert.match(text, /readings_duplicate_total\{.*\} 2\n/);
});

Deno.test("what waits survives a restart", async () => {
  await using fog = await unset();
  await wait(fog, [reading(1)]);
  await fog.restart();
  assert.equal(await fog.now.waiting.replay(), false);
  set(fog, noon);
  await fog.restart();
  await replayAll(fog);
  assert.deepEqual(Object.keys(await times(fog)), ["1"]);
});

Deno.test("what is found to be from the future is refused then, kept as evidence and told", async () => {
  await using fog = await unset();
  const { statement } = signed([reading(1), reading(2, { t: noon + day })]);
  await wait(fog, [reading(1), reading(2, { t: noon + day })]);
  await wait(fog, [reading(3, { t: noon + day })]);
  set(fog, noon);
  await replayAll(fog);
  assert.deepEqual(Object.keys(await times(fog)), ["1"]);
  const rows = await fog.now.db.read((q) =>
    q.all<{ seq: number; reason: string; statement: ArrayBuffer }>(
      sql`SELECT seq, reason, statement FROM fog_aggregator_quarantine ORDER BY seq`,
    )
  );
  assert.deepEqual(rows.map(({ seq, reason }) => [seq, reason]), [[2, "future"], [3, "future"]]);
  assert.deepEqual(new Uint8Array(rows[0]!.statement), statement);
  assert.deepEqual(fog.now.events.map(({ type, detail }) => [type, detail]), [
    ["reading.refused", { reasons: { future: 1 } }],
    ["reading.refused", { reasons: { future: 1 } }],
  ]);
});

Deno.test("a meter without a clock gets the time of reception, as far as it is known", async () => {
  await using fog = await unset();
  const clockless = { t: 0, flags: Flag.clockUnset };
  await wait(fog, [reading(1, clockless)]);
  await fog.restart();
  fog.pass(10 * minute);
  await wait(fog, [reading(2, clockless)]);
  fog.pass(5 * minute);
  await wait(fog, [reading(3, clockless)]);
  fog.pass(minute);
  set(fog, noon);
  await replayAll(fog);
  // nobody knows when the one before the restart was: not later than now
  assert.deepEqual(await times(fog), { 1: noon, 2: noon - 6 * minute, 3: noon - minute });
});

Deno.test("how far the clock was moved is known after a restart amid the replay", async () => {
  await using fog = await unset();
  const clockless = { t: 0, flags: Flag.clockUnset };
  for (let seq = 1; seq <= 10; seq++) {
    await wait(fog, Array.from({ length: 500 }, (_, i) => reading(1_000 * seq + i, clockless)));
  }
  fog.pass(30 * minute);
  set(fog, noon);
  assert.equal(await fog.now.waiting.replay(), true);
  assert.equal(await fog.now.waiting.count(), 1);
  await fog.restart();
  fog.pass(minute);
  await replayAll(fog);
  const stored = await times(fog);
  assert.equal(Object.keys(stored).length, 5_000);
  assert.deepEqual(new Set(Object.values(stored)), new Set([noon - 30 * minute]));
  assert.equal(await count(fog.now.db, "state"), 0);
});

Deno.test("a statement that cannot be stored holds up nobody, and is kept", async () => {
  await using fog = await unset();
  await wait(fog, [reading(1)]);
  await fog.now.db.write((tx) =>
    tx.run(sql`INSERT INTO fog_aggregator_waiting (received_at, boot, meter, statement)
      VALUES (1, 'x', 'm-1', x'0102')`)
  );
  await wait(fog, [reading(2)]);
  set(fog, noon);
  await replayAll(fog);
  assert.deepEqual(Object.keys(await times(fog)), ["1", "2"]);
  const [row] = await fog.now.db.read((q) =>
    q.all<{ reason: string }>(sql`SELECT reason FROM fog_aggregator_quarantine`)
  );
  assert.equal(row!.reason, "unreadable");
});

Deno.test("what the database refuses is set aside, and the others go on", async () => {
  await using fog = await unset();
  await wait(fog, [reading(1)]);
  await wait(fog, [reading(2)], { meter: "m-2" });
  set(fog, noon);
  const { db } = fog.now;
  await db.write((tx) =>
    tx.run(sql`CREATE TRIGGER fails BEFORE INSERT ON fog_aggregator_readings
      WHEN new.seq = 1 BEGIN SELECT raise(ABORT, 'no'); END`)
  );
  for (let i = 0; i < 5; i++) await fog.now.waiting.replay();
  // the one that cannot be stored is set aside with its statement, the other is stored
  assert.deepEqual(Object.keys(await times(fog)), ["2"]);
  assert.equal(await count(db, "quarantine"), 1);
  assert.equal(await fog.now.waiting.count(), 0);
});

Deno.test("while the storage fails, all that waits stays", async () => {
  await using fog = await unset();
  await wait(fog, [reading(1)]);
  set(fog, noon);
  const { clock, db, host, store, tell } = fog.now;
  const full = new DatabaseError("db_full", "Cannot use the database: the disk is full");
  const broken = {
    ...host,
    db: { ...db, read: db.read.bind(db), write: () => Promise.reject(full) },
  };
  const waiting = new Waiting(broken, {
    ...{ clock, store, tell, limits: fog.config, report: () => {} },
  });
  for (let i = 0; i < 3; i++) await assert.rejects(waiting.replay(), { code: "db_full" });
  await assert.rejects(
    waiting.store(signed([reading(2)]).batch, new Uint8Array(9)),
    { code: "db_full" },
  );
  assert.equal(await fog.now.waiting.count(), 1);
});

Deno.test("a meter begins a bounded number of registers while nobody knows the time", async () => {
  await using fog = await unset();
  for (let i = 0; i < 16; i++) await wait(fog, [reading(i)], { register: `r-${i}` });
  await assert.rejects(wait(fog, [reading(1)], { register: "r-x" }), {
    code: "too_many_registers",
  });
  await wait(fog, [reading(99)], { register: "r-3" });
  await wait(fog, [reading(99)], { meter: "m-2", register: "r-x" });
});

Deno.test("doubt, restarts and repetitions in any order: each reading is stored once", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("send" as const), seq: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ do: fc.constantFrom("set" as const, "reset" as const, "restart" as const) }),
    fc.record({ do: fc.constant("replay" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      await using fog = await unset();
      const sent = new Set<number>();
      for (const one of steps) {
        if (one.do === "send") {
          sent.add(one.seq);
          await wait(fog, [reading(one.seq)]);
        } else if (one.do === "set") set(fog, noon);
        else if (one.do === "reset") set(fog, 30_000);
        else if (one.do === "restart") await fog.restart();
        else await fog.now.waiting.replay();
      }
      set(fog, noon);
      await replayAll(fog);
      const stored = Object.keys(await times(fog)).map(Number);
      assert.deepEqual(stored, [...sent].sort((a, b) => a - b));
      assert.equal(await count(fog.now.db, "batches"), sent.size);
    }),
    { numRuns: 25 },
  );
});
