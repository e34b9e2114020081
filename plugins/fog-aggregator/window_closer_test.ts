/** The chain of summaries as the closer makes it: signed, gapless, each link over the one before. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { CodedError } from "../../core/base/errors.ts";
import { DatabaseError } from "../../core/services/db/mod.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import { decodeSummary, type Summary, summaryType } from "../../core/wire/summary.ts";
import {
  batch,
  dirtyWindows,
  hostOf,
  insert,
  minute,
  noon,
  openTestStore,
  reading,
  suite,
  type TestStore,
  until,
} from "./_test_store.ts";
import type { Store } from "./store.ts";
import { type CloserOptions, WindowCloser } from "./window_closer.ts";

type Fake = ReturnType<typeof hostOf>;

function closerOf(
  test: TestStore,
  fake: Fake,
  { store = test.store, ...options }: Partial<CloserOptions> & { store?: Store } = {},
): WindowCloser {
  const clock = { now: () => test.now, doubt: null };
  const usual = { clock, grace: 5_000, summary() {}, trouble() {} };
  return new WindowCloser(fake.host, store, { ...usual, ...options });
}

/** Closes all that is due. */
async function closeDue(closer: WindowCloser): Promise<void> {
  while (await closer.closeDue());
}

/** What is in the outbox, as a cloud reads it. */
async function summariesOf(test: TestStore, { signer }: Fake): Promise<Summary[]> {
  const verifier = new StatementVerifier(suite, signer.publicKey, summaryType);
  const rows = await test.db.read((q) =>
    q.all<{ epoch: number; seq: number; hash: ArrayBuffer; statement: ArrayBuffer }>(sql`
      SELECT epoch, seq, hash, statement FROM fog_aggregator_summaries ORDER BY epoch, seq`)
  );
  let prev: Uint8Array | null = null;
  return rows.map(({ epoch, seq, hash, statement }) => {
    const summary = decodeSummary(verifier.open(new Uint8Array(statement)));
    assert.deepEqual([summary.epoch, summary.seq, summary.prev], [epoch, seq, prev]);
    prev = suite.sha256(new Uint8Array(statement));
    assert.deepEqual(new Uint8Array(hash), prev);
    return summary;
  });
}

Deno.test("WindowCloser makes a gapless chain of signed summaries, over a restart too", async () => {
  await using test = await openTestStore();
  const fake = hostOf(() => test.now);
  await insert(test.store, batch([0, 60, 120].map((seq) => reading(seq))));
  await closeDue(closerOf(test, fake));
  await test.restart();
  await insert(test.store, batch([reading(180)]));
  test.now += 5_000;
  await closeDue(closerOf(test, fake));

  const summaries = await summariesOf(test, fake);
  assert.deepEqual(summaries.map(({ seq }) => seq), [1, 2, 3, 4]);
  const starts = summaries.map(({ window: { start, end } }) => {
    assert.equal(end - start, minute);
    return (start - noon) / minute;
  });
  assert.deepEqual(starts.toSorted((a, b) => a - b), [-10, -9, -8, -7]);
  for (const summary of summaries) {
    assert.deepEqual([summary.fog_id, summary.revision, summary.n], ["fog-1", 0, 1]);
  }
  assert.equal(fake.events.filter(({ type }) => type === "fog.window_closed").length, 4);
});

Deno.test("WindowCloser closes a window once more for all corrections within the grace", async () => {
  await using test = await openTestStore();
  const fake = hostOf(() => test.now);
  const closer = closerOf(test, fake);
  await insert(test.store, batch([reading(1), reading(9)]));
  test.now += minute;
  await closeDue(closer);
  for (const seq of [2, 3, 4, 5]) {
    await insert(test.store, batch([reading(seq)]));
    test.now += 1_000;
    await closeDue(closer);
  }
  assert.equal((await summariesOf(test, fake)).length, 1);
  test.now += 1_000;
  await closeDue(closer);
  const [first, second, ...others] = await summariesOf(test, fake);
  assert.equal(others.length, 0);
  assert.deepEqual(second?.window, first?.window);
  assert.deepEqual([first?.revision, second?.revision], [0, 1]);
  assert.deepEqual([first?.n, second?.n], [2, 6]);
});

Deno.test("WindowCloser waits for the end of a window and its grace", async () => {
  await using test = await openTestStore();
  const fake = hostOf(() => test.now);
  const closer = closerOf(test, fake);
  await insert(test.store, batch([reading(600)]));
  test.now = noon + minute + 5_000 - 1;
  await closeDue(closer);
  assert.deepEqual(await dirtyWindows(test.store), [noon]);
  test.now++;
  await closeDue(closer);
  assert.deepEqual(await dirtyWindows(test.store), []);
});

Deno.test("WindowCloser closes nothing while the time is in doubt", async () => {
  await using test = await openTestStore();
  const clock = { now: () => test.now, doubt: "it is 1970" as string | null };
  let looks = 0;
  const trouble = (why: string | null) => {
    assert.equal(why, null);
    looks++;
  };
  const closer = closerOf(test, hostOf(() => test.now), { clock, trouble });
  await insert(test.store, batch([reading(1)]));
  test.now += minute;
  closer.start();
  try {
    await until("a look", () => looks > 0);
    assert.equal((await dirtyWindows(test.store)).length, 1);
    clock.doubt = null;
    await until("the end of the doubt", async () => (await dirtyWindows(test.store)).length === 0);
  } finally {
    await closer.stop();
  }
});

Deno.test("WindowCloser goes on with others when one window cannot be closed, and comes back to it", async () => {
  await using test = await openTestStore();
  const fake = hostOf(() => test.now);
  let broken = true;
  let attempts = 0;
  const store: Store = {
    ...test.store,
    close(start, sign) {
      if (broken && start === noon - 9 * minute) {
        attempts++;
        return Promise.reject(new CodedError("too_large", "Cannot sum up the window: too large"));
      }
      return test.store.close(start, sign);
    },
  };
  const troubles: (string | null)[] = [];
  const closer = closerOf(test, fake, { store, trouble: (why) => troubles.push(why) });
  await insert(test.store, batch([0, 60, 120, 180].map((seq) => reading(seq))));
  test.now += minute;
  closer.start();
  try {
    await until("three", async () => (await summariesOf(test, fake)).length === 3);
    await until("a complaint", () => typeof troubles.at(-1) === "string");
    assert.match(troubles.at(-1)!, /^the window of 2023-11-14T22:05:00.000Z waits: .*too large$/);
    for (let i = 0; i < 3; i++) assert.equal(await closer.closeDue(), false);
    assert.equal(attempts, 1);
    broken = false;
    test.now += minute + 5_000;
    await until("all", async () => (await summariesOf(test, fake)).length === 4);
    await until("peace", () => troubles.at(-1) === null);
  } finally {
    await closer.stop();
  }
});

Deno.test("WindowCloser blames no window when the database fails", async () => {
  await using test = await openTestStore();
  const store: Store = {
    ...test.store,
    close: () => Promise.reject(new DatabaseError("db_full", "Cannot use the database: full")),
    postpone: () => assert.fail("the window is in order"),
  };
  await insert(test.store, batch([reading(1)]));
  test.now += minute;
  const closer = closerOf(test, hostOf(() => test.now), { store });
  await assert.rejects(closer.closeDue(), { code: "db_full" });
});

Deno.test("WindowCloser tells how many registers went back", async () => {
  await using test = await openTestStore();
  const counts: number[] = [];
  const closer = closerOf(test, hostOf(() => test.now), { decreases: (n) => counts.push(n) });
  await insert(test.store, batch([reading(1), reading(2, { energy_Wh: 0 })]), batch([reading(70)]));
  test.now += minute;
  await closeDue(closer);
  assert.deepEqual(counts, [1]);
});

Deno.test("WindowCloser works a long backlog off", async () => {
  await using test = await openTestStore();
  const fake = hostOf(() => test.now);
  const old = Array.from({ length: 400 }, (_, i) => reading(i, { t: noon - (i + 20) * minute }));
  await insert(test.store, batch(old));
  test.now += minute;
  await closeDue(closerOf(test, fake));
  const summaries = await summariesOf(test, fake);
  assert.equal(summaries.length, 400);
  assert.equal(summaries.reduce((n, summary) => n + summary.n, 0), 400);
});
