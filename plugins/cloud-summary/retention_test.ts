/** What of a fog's past is deleted, and that nothing which is known gets lost by that. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import type { Database } from "../../core/services/db/mod.ts";
import { allFindings, chain, everything, fog, headOf, link, minute } from "./_links.ts";
import { withLibsqlStore } from "./_temporary_store.ts";
import { startRetention } from "./retention.ts";
import type { SummaryStore } from "./store.ts";

const limit = 1_000;

async function statementsIn(db: Database): Promise<string[]> {
  const rows = await db.read((q) =>
    q.all<{ name: string }>(sql`
    SELECT epoch || '.' || seq AS name FROM cloud_summary_summaries ORDER BY epoch, seq`)
  );
  return rows.map(({ name }) => name);
}

Deno.test("prune() deletes old statements, but no head and nothing ahead of it", async () => {
  await withLibsqlStore(async (store, db) => {
    const links = chain(...[1, 2, 3, 4, 5, 6].map((at) => ({ at })));
    await store.append(fog, links.slice(0, 2), 1_000);
    await store.append(fog, [links[2]!, links[4]!], 2_000);
    const horizon = { statements: 2_000, windows: 0, limit };
    assert.equal(await store.prune(horizon), 2);
    assert.equal(await store.prune({ ...horizon, statements: 9_000 }), 0);
    assert.deepEqual(await statementsIn(db), ["1.3", "1.5"]);
    assert.equal((await store.totals()).windows, 4);
    // what was deleted is known, and what follows still follows
    const again = await store.append(fog, [links[0]!, links[1]!], 3_000);
    assert.deepEqual(again.outcomes, ["duplicate", "duplicate"]);
    const { head } = await store.append(fog, [links[3]!, links[5]!], 3_000);
    assert.deepEqual(head, headOf(links[5]!));
    assert.deepEqual(
      (await allFindings(store)).map(({ kind }) => kind),
      ["reading"].concat(
        Array(5).fill("reading"),
      ),
    );
  });
});

Deno.test("prune() spares what an operator's decision needs", async () => {
  await withLibsqlStore(async (store, db) => {
    const links = chain({ at: 1, n: 3 }, { at: 2 }, { at: 1, epoch: 2, n: 7 }, { at: 5 });
    await store.append(fog, links, 1);
    await store.prune({ statements: 9_000, windows: Number.MAX_SAFE_INTEGER, limit });
    assert.deepEqual(await statementsIn(db), ["1.1", "2.1", "2.2"]);
    const decision = { fog, from: 0, to: 9 * minute, epoch: 2, actor: "site", limit };
    assert.equal(await store.decide(decision), 1);
    assert.equal((await store.totals()).n, 7 + 1 + 1);
  });
});

Deno.test("prune() deletes windows, and keeps totals, coverage and what is missing", async () => {
  await withLibsqlStore(async (store) => {
    const links = chain(...[1, 2, 3, 4].map((at) => ({ at, seqs: [[2 * at, 2 * at]] as const })));
    const late = link({ at: 2, revision: 1, seqs: [[4, 5]] }, links[3]);
    await store.append(fog, links.slice(0, 3), 1);
    const [totals, findings] = [await store.totals(), await allFindings(store)];
    const horizon = { statements: 0, windows: 4 * minute, limit: 1 };
    for (const rows of [1, 1, 1, 0]) assert.equal(await store.prune(horizon), rows);
    assert.deepEqual(await store.windows(everything), []);
    assert.deepEqual(await store.totals(), totals);
    assert.deepEqual(await allFindings(store), findings);
    // a window that is gone is not opened again, one that never was there counts
    await store.append(fog, [links[3]!, late], 2);
    assert.equal((await store.totals()).windows, 4);
    assert.deepEqual((await store.windows(everything)).map(({ start }) => start / minute), [4]);
  });
});

Deno.test("a late revision of a window whose statement is gone counts no reading twice", async () => {
  await withLibsqlStore(async (store) => {
    const links = chain({ at: 1, seqs: [[1, 4]] }, { at: 2, seqs: [[6, 9]] }, {
      ...{ at: 1, revision: 1, seqs: [[1, 5]] },
    });
    await store.append(fog, links.slice(0, 2), 1);
    assert.equal(await store.prune({ statements: 9, windows: 0, limit }), 1);
    await store.append(fog, links.slice(2), 20);
    assert.deepEqual(await allFindings(store), []);
    assert.equal((await store.totals()).n, 9);
  });
});

Deno.test("startRetention() goes on while there is something to delete, rests, and stops", async () => {
  const calls: unknown[] = [];
  const answers = [200, 200, 7, 0, 0];
  const store = {
    prune(horizon: unknown) {
      calls.push(horizon);
      const rows = answers[calls.length - 1]!;
      return calls.length === 5 ? Promise.reject(new Error("no disk")) : Promise.resolve(rows);
    },
  } as unknown as SummaryStore;
  const pauses: number[] = [];
  const warnings: unknown[] = [];
  let stop: () => void | Promise<void> = () => {};
  const slept = Promise.withResolvers<void>();
  const host = {
    clock: () => 10_000,
    defer: (undo: typeof stop) => void (stop = undo),
    log: { warn: (text: string) => warnings.push(text) },
  };
  startRetention(host as unknown as Parameters<typeof startRetention>[0], {
    ...{ keep: 4_000, keep_windows: 9_000 },
  }, {
    store,
    pause(milliseconds, signal) {
      pauses.push(milliseconds);
      if (pauses.length < 5) return Promise.resolve();
      slept.resolve();
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
    },
  });
  await slept.promise;
  await stop();
  assert.deepEqual(calls[0], { statements: 6_000, windows: 1_000, limit: 200 });
  assert.equal(calls.length, 5);
  assert.deepEqual(pauses.map((ms) => ms > 1_000), [false, false, false, true, true]);
  assert.equal(warnings.length, 1);
});
