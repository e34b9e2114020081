/** The answer of `GET /completeness`: it names every hole and every contradiction, or says none. */
import assert from "node:assert/strict";
import type { MiddlewareHandler } from "hono";
import type { Id } from "../../core/base/id.ts";
import { chain, fog, headOf, link, meter, minute, register } from "./_links.ts";
import { withLibsqlStore } from "./_temporary_store.ts";
import { completenessRoutes } from "./completeness.ts";
import type { SummaryStore } from "./store.ts";

const open: MiddlewareHandler = (_, next) => next();
const closed: MiddlewareHandler = (c) => Promise.resolve(c.text("no", 401));
const other = "fog-2" as Id;

// deno-lint-ignore no-explicit-any -- an answer as a client sees it
type Answer = any;

function withRoutes(
  use: (get: (query?: string) => Promise<Answer>, store: SummaryStore) => Promise<void>,
): Promise<void> {
  return withLibsqlStore(async (store) => {
    const routes = completenessRoutes(store, open);
    await use(async (query = "") => {
      const response = await routes.request(`/completeness${query}`);
      assert.equal(response.status, 200, query);
      return await response.json();
    }, store);
  });
}

const nothing = {
  ...{ summaries: [], readings: [], counted_twice: [], undecided: [], conflicts: [] },
  ...{ fogs: [], next: null, complete: true },
};

Deno.test("GET /completeness of nothing and of a whole chain says that nothing is missing", async () => {
  await withRoutes(async (get, store) => {
    assert.deepEqual(await get(), nothing);
    const links = chain({ at: 1, seqs: [[1, 3]] }, { at: 2, seqs: [[4, 9]] });
    await store.append(fog, links, Date.parse("2026-01-02T03:04:05Z"));
    const last_received = "2026-01-02T03:04:05.000Z";
    const fogs = [{ fog_id: fog, epoch: 1, seq: 2, last_received }];
    assert.deepEqual(await get(), { ...nothing, fogs });
  });
});

Deno.test("GET /completeness names summaries that did not come, with what the fog said", async () => {
  await withRoutes(async (get, store) => {
    const links = chain(...[1, 2, 3, 4, 5, 6, 7].map((at) => ({ at, seqs: [[at, at]] as const })));
    await store.append(fog, [links[0]!, links[3]!, links[6]!], 1);
    await store.lose(fog, headOf(links[2]!), { reason: "pruned", at: 1 });
    const { complete, summaries, readings } = await get();
    assert.equal(complete, false);
    assert.deepEqual(summaries, [
      { fog_id: fog, epoch: 1, from: 2, to: 3, reason: "lost: pruned" },
      { fog_id: fog, epoch: 1, from: 5, to: 6, reason: "not received" },
    ]);
    assert.deepEqual(readings, [
      { meter, register, from: 2, to: 3 },
      { meter, register, from: 5, to: 6 },
    ]);
    await store.append(fog, links, 1);
    assert.equal((await get()).complete, true);
  });
});

Deno.test("GET /completeness names readings that no fog has summed up, over all fogs", async () => {
  await withRoutes(async (get, store) => {
    await store.append(fog, [link({ seqs: [[2, 5], [9, 9]] })], 1);
    await store.append(other, [link({ fog_id: other, seqs: [[6, 7], [12, 14]] })], 1);
    const holes = [[1, 1], [8, 8], [10, 11]].map(([from, to]) => ({ meter, register, from, to }));
    for (const query of ["", `?meter=${meter}`, "?fog=fog-2"]) {
      const { complete, readings, counted_twice } = await get(query);
      assert.deepEqual([complete, readings, counted_twice], [false, holes, []], query);
    }
    const elsewhere = await get("?meter=m-9");
    assert.deepEqual([elsewhere.complete, elsewhere.readings], [true, []]);
  });
});

Deno.test("GET /completeness names readings that are counted twice, and by whom", async () => {
  await withRoutes(async (get, store) => {
    const links = chain({ at: 1, seqs: [[1, 9]] }, { at: 2, seqs: [[8, 12]] });
    await store.append(fog, links, 1);
    await store.append(other, [link({ fog_id: other, seqs: [[4, 8]] })], 1);
    const { complete, readings, counted_twice } = await get();
    assert.deepEqual([complete, readings], [false, []]);
    const twice = (from: number, to: number, fogs: Id[]) => ({ meter, register, from, to, fogs });
    assert.deepEqual(counted_twice, [twice(4, 8, [fog, other]), twice(9, 9, [fog])]);
    // a revision of the window takes them away again
    const revised = chain({ at: 1, seqs: [[1, 9]] }, { at: 2, seqs: [[8, 12]] }, {
      ...{ at: 2, revision: 1, seqs: [[10, 12]] },
    });
    await store.append(fog, revised.slice(2), 1);
    assert.deepEqual((await get()).counted_twice, [twice(4, 8, [fog, other])]);
  });
});

Deno.test("GET /completeness names windows to be decided and contradictions", async () => {
  await withRoutes(async (get, store) => {
    const links = chain({ at: 1, seqs: [[1, 2]] }, { at: 1, epoch: 3, seqs: [[1, 3]] });
    await store.append(fog, [...links, link({ at: 5, seqs: [[9, 9]] })], 1);
    const { complete, undecided, conflicts, readings } = await get("?fog=fog-1");
    const window = { start: minute, end: 2 * minute };
    assert.deepEqual(undecided, [{ fog_id: fog, window, epochs: [1, 3] }]);
    assert.deepEqual(conflicts, [{ fog_id: fog, epoch: 1, seq: 1 }]);
    assert.deepEqual([complete, readings], [false, [{ meter, register, from: 3, to: 3 }]]);
    const decision = { fog, from: 0, to: 9 * minute, epoch: 3, actor: "site", limit: 9 };
    assert.equal(await store.decide(decision), 1);
    const after = await get();
    assert.deepEqual([after.undecided, after.readings], [[], []]);
    assert.deepEqual((await get("?fog=fog-2")).complete, true);
  });
});

Deno.test("GET /completeness leads through all pages, and every page speaks of everything", async () => {
  await withRoutes(async (get, store) => {
    const links = chain(
      ...Array.from({ length: 30 }, (_, at) => ({ at, seqs: [[3 * at, 3 * at + 1]] as const })),
    );
    await store.append(fog, links.filter((_, i) => i % 3 !== 1), 1);
    await store.append(other, chain({ fog_id: other }, { fog_id: other, at: 9, epoch: 2 }), 1);
    const whole = await get("?limit=1000");
    assert.ok(whole.summaries.length > 8 && whole.readings.length > 8);
    for (const limit of [1, 2, 7]) {
      const paged: Answer = { ...nothing, complete: false };
      let query = `?limit=${limit}`;
      for (let next = ""; next !== null; query = `?limit=${limit}&after=${next}`) {
        const page = await get(query);
        assert.equal(page.complete, false);
        for (const [key, list] of Object.entries(page)) {
          if (Array.isArray(list)) paged[key] = [...paged[key], ...list];
        }
        next = page.next;
      }
      assert.deepEqual(paged, whole, `pages of ${limit}`);
    }
  });
});

Deno.test("GET /completeness goes through many meters in pages of bounded work", async () => {
  await withRoutes(async (get, store) => {
    const meters = Array.from({ length: 1_200 }, (_, i) => `m-${i}` as Id);
    const all = (seqs: [number, number][]) =>
      new Map(meters.map((id) => [id, new Map([[register, { energy_Wh: 1, seqs }]])]));
    const one = link({ num_meters: 1_200, n: 1_200, registers: all([[1, 1]]) });
    await store.append(fog, [one], 1);
    assert.deepEqual((await get()).complete, true);
    const hole = link({
      at: 1,
      n: 1,
      registers: new Map([[
        "m-999" as Id,
        new Map([[register, { energy_Wh: 1, seqs: [[3, 3]] }]]),
      ]]),
    }, one);
    await store.append(fog, [hole], 1);
    let [pages, found, query] = [0, [] as unknown[], ""];
    for (let next: string | null = ""; next !== null; query = `?after=${next}`) {
      const page = await get(query);
      assert.equal(page.complete, false);
      found = [...found, ...page.readings];
      next = page.next;
      pages++;
    }
    assert.deepEqual(found, [{ meter: "m-999", register, from: 2, to: 2 }]);
    assert.ok(pages > 2, `${pages}`);
  });
});

Deno.test("GET /completeness refuses a query that it cannot read, and who may not ask", async () => {
  await withLibsqlStore(async (store) => {
    const routes = completenessRoutes(store, open);
    const bad = [
      ...["limit=0", "limit=1001", "limit=x", "fog=", "fog=a%20b", "meter=", "meter=a/b"],
      ...["after=", "after=x", "after=readings.a", "after=readings.a.b.-1", "after=fogs.a.b.c.d"],
      ...["after=summaries.a.b.1", "after=conflicts.a.1", "after=readings.a.b.99999999999999999"],
    ];
    for (const query of bad) {
      const response = await routes.request(`/completeness?${query}`);
      assert.equal(response.status, 400, query);
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      assert.equal((await response.json()).code, "bad_query", query);
    }
    const refused = await completenessRoutes(store, closed).request("/completeness");
    assert.deepEqual([refused.status, await refused.text()], [401, "no"]);
  });
});
