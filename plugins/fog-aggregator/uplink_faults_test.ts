/**
 * Any schedule of failures: lost calls and answers, a cloud and a fog that come back from backups,
 * summaries that are deleted or refused. In the end the cloud holds every link or knows its hole.
 */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import fc from "fast-check";
import { compare, nameOf } from "./backlog.ts";
import type { Fate } from "./_fake_cloud.ts";
import { minute, openTestUplink, type TestUplink } from "./_test_uplink.ts";

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ append: fc.integer({ min: 1, max: 90 }) }) },
    { weight: 3, arbitrary: fc.record({ correct: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 4, arbitrary: fc.record({ pass: fc.integer({ min: 100, max: 4_000_000 }) }) },
    ...["deliver", "backup cloud", "restore cloud", "wipe cloud", "restart fog", "prune"]
      .map((what) => ({ weight: 1, arbitrary: fc.constant(what) })),
  ),
  { minLength: 3, maxLength: 14 },
);
const rollbacks = fc.array(fc.constantFrom("backup fog", "restore fog"), { maxLength: 4 });
const fates = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<Fate>("answered") },
    fc.constantFrom<Fate>("unheard", "unanswered", "busy"),
  ),
  { maxLength: 60 },
);

type Step = string | { append: number } | { correct: number } | { pass: number };

Deno.test("whatever fails, the cloud holds every link in the end or knows its hole", async () => {
  const schedule = { steps, fates, poison: fc.nat(200) };
  await fc.assert(
    fc.asyncProperty(fc.record(schedule), async ({ steps, fates, poison }) => {
      await using test = await openTestUplink();
      await play(test, { steps, fates, poison });
      assert.deepEqual(test.cloud.conflicts, []);
      assert.deepEqual(test.events.filter(({ type }) => type === "fog.rolled_back"), []);
      await judge(test);
    }),
    { numRuns: 12 },
  );
});

Deno.test("whatever fails and is restored, every window is at the cloud in the end", async () => {
  const schedule = { steps, fates, rollbacks, places: fc.array(fc.nat(14), { minLength: 4 }) };
  await fc.assert(
    fc.asyncProperty(fc.record(schedule), async ({ steps, fates, rollbacks, places }) => {
      await using test = await openTestUplink();
      const all: Step[] = [...steps];
      rollbacks.forEach((rollback, i) => all.splice(places[i]! % (all.length + 1), 0, rollback));
      await play(test, { steps: all, fates, poison: 0 });
      await judge(test);
    }),
    { numRuns: 12 },
  );
});

async function play(
  test: TestUplink,
  { steps, fates, poison }: { steps: readonly Step[]; fates: readonly Fate[]; poison: number },
): Promise<void> {
  let calls = 0, lives = 0;
  test.fate = () => {
    test.clock.now += 30;
    return fates[calls++] ?? "answered";
  };
  test.cloud.refuses = ({ seq }) => poison > 0 && seq % poison === 0 ? "malformed" : null;
  let cloud = test.cloud.backup();
  let fog = await test.backup();
  test.start();
  for (const step of steps) {
    if (step === "deliver") await test.deliver();
    else if (step === "backup cloud") cloud = test.cloud.backup();
    else if (step === "restore cloud") cloud();
    else if (step === "wipe cloud") test.cloud.wipe();
    else if (step === "prune") await prune(test);
    else if (step === "backup fog") fog = await test.backup();
    else if (step === "restart fog" || step === "restore fog") {
      await test.stop();
      if (step === "restore fog") await fog();
      // another life of the fog does not sum up the same
      if (step === "restore fog") lives++;
      test.start();
    } else if (typeof step === "string") throw new Error(step);
    else if ("append" in step) await test.append(step.append, { bytes: 100 * lives });
    else if ("pass" in step) await test.clock.pass(step.pass);
    else {
      await test.dirty(step.correct);
      await test.closeDirty();
    }
    if (typeof step === "object" && !("pass" in step)) test.uplink.wake();
  }
  for (let i = 0; i < 6; i++) {
    await test.clock.pass(61 * minute);
    await test.closeDirty();
    await test.deliver();
  }
}

/** Deletes what is acknowledged but the newest, and of what the cloud does not have nothing. */
async function prune({ db }: TestUplink): Promise<void> {
  await db.write(async (tx) => {
    await tx.run(sql`DELETE FROM fog_aggregator_summaries WHERE acknowledged = 1
      AND (epoch, seq) < (SELECT epoch, seq FROM fog_aggregator_summaries
        WHERE acknowledged = 1 ORDER BY epoch DESC, seq DESC LIMIT 1)`);
  });
}

async function judge(test: TestUplink): Promise<void> {
  const { cloud, db, outbox } = test;
  const { pending } = await outbox.counts();
  assert.equal(pending, 0, `${pending} summaries wait, ${test.troubles.at(-1)}`);
  const held = new Map(cloud.held().map(({ summary, hash }) => [nameOf(summary), hash]));
  const rows = await db.read((q) =>
    q.all<{ epoch: number; seq: number; hash: ArrayBuffer; start: number; why: string | null }>(sql`
      SELECT epoch, seq, hash, window_start AS start, set_aside AS why
      FROM fog_aggregator_summaries ORDER BY epoch, seq`)
  );
  for (const { hash, why, ...place } of rows) {
    if (why !== null) continue;
    assert.deepEqual(held.get(nameOf(place)), new Uint8Array(hash), nameOf(place));
  }
  const superseded = rows.filter(({ why }) => why === "superseded");
  for (const { start, ...place } of superseded) {
    const again = rows.some((row) => row.start === start && compare(row, place) > 0);
    assert.ok(again, `the window of ${nameOf(place)} was not summed up again`);
  }
  const holes = cloud.lost.map(({ from, upto }) => ({ from: placeOf(from), upto: placeOf(upto) }));
  const { head } = cloud;
  for (let seq = 1; seq <= head.seq; seq++) {
    const place = { epoch: head.epoch, seq };
    const isNamed = holes.some(({ from, upto }) =>
      compare(from, place) < 0 && compare(place, upto) <= 0
    );
    assert.ok(held.has(nameOf(place)) || isNamed, `${nameOf(place)} is missing without a word`);
  }
}

function placeOf(name: string): { epoch: number; seq: number } {
  const [epoch, seq] = name.split(".").map(Number);
  return { epoch: epoch!, seq: seq! };
}
