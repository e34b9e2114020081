/**
 * What every `SummaryStore` promises, as tests: a new dialect calls `testSummaryStore` with a way to
 * open an empty store. Links are as fogs make them, only that nobody signed them.
 */
import assert from "node:assert/strict";
import type { Id } from "../../core/base/id.ts";
import {
  allFindings,
  chain,
  everything,
  fog,
  headOf,
  link,
  minute,
  nowhere,
  windowOf,
} from "./_links.ts";
import { maxAhead } from "./_chain.ts";
import { maxEvidence } from "./_evidence.ts";
import type { Place, SummaryStore } from "./store.ts";

/** Gives an empty store and does away with it afterwards. */
export type WithStore = (use: (store: SummaryStore) => Promise<void>) => Promise<void>;

/** Registers the tests. @param name of the dialect */
export function testSummaryStore(name: string, withStore: WithStore): void {
  const test = (what: string, run: (store: SummaryStore) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, () => withStore(run));

  test("a new store has no head, no windows, no totals", async (store) => {
    assert.deepEqual(await store.head(fog), nowhere);
    assert.deepEqual(await store.windows(everything), []);
    assert.deepEqual(await store.latest(9), []);
    const totals = { windows: 0, n: 0, sum_power_W: 0, sum_voltage_mV: 0 };
    assert.deepEqual(await store.totals(), totals);
  });

  test("append() stores what comes in order and moves the head", async (store) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 3, n: 7 });
    const first = await store.append(fog, links.slice(0, 1), 1);
    const news = { epochs: [], conflicts: [] };
    assert.deepEqual(first, { head: headOf(links[0]!), outcomes: ["stored"], ...news });
    const rest = await store.append(fog, links.slice(1), 2);
    assert.deepEqual(rest, { head: headOf(links[2]!), outcomes: ["stored", "stored"], ...news });
    assert.deepEqual(await store.head(fog), headOf(links[2]!));
    assert.deepEqual((await store.windows(everything)).at(-1), windowOf(links[2]!));
  });

  test("append() of nothing gives the head", async (store) => {
    const [first] = chain({});
    const none = { outcomes: [], epochs: [], conflicts: [] };
    assert.deepEqual(await store.append(fog, [], 1), { head: nowhere, ...none });
    await store.append(fog, [first!], 1);
    assert.deepEqual(await store.append(fog, [], 1), { head: headOf(first!), ...none });
  });

  test("append() knows a repetition, in whole and in part", async (store) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 3 });
    await store.append(fog, links.slice(0, 2), 1);
    const totals = await store.totals();
    const again = await store.append(fog, links.slice(0, 2), 2);
    assert.deepEqual(again.outcomes, ["duplicate", "duplicate"]);
    assert.deepEqual(again.head, headOf(links[1]!));
    assert.deepEqual(await store.totals(), totals);
    const more = await store.append(fog, links, 2);
    assert.deepEqual(more.outcomes, ["duplicate", "duplicate", "stored"]);
    const twice = await store.append(fog, [links[2]!, links[2]!], 2);
    assert.deepEqual(twice.outcomes, ["duplicate", "duplicate"]);
  });

  test("append() stores one of two equal calls at once", async (store) => {
    const links = chain({ at: 1 }, { at: 2 });
    const both = await Promise.all([store.append(fog, links, 1), store.append(fog, links, 1)]);
    const outcomes = both.map(({ outcomes }) => outcomes.join(" ")).sort();
    assert.deepEqual(outcomes, ["duplicate duplicate", "stored stored"]);
    assert.equal((await store.totals()).windows, 2);
  });

  test("append() keeps what is ahead, and the head goes on over it", async (store) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 3 }, { at: 4 });
    const [first, second, third, fourth] = links;
    const ahead = await store.append(fog, [third!], 1);
    assert.deepEqual([ahead.head, ahead.outcomes], [nowhere, ["stored"]]);
    assert.deepEqual(await store.windows(everything), [windowOf(third!)]);
    await store.append(fog, [first!], 2);
    assert.deepEqual(await store.head(fog), headOf(first!));
    const over = await store.append(fog, [second!], 3);
    assert.deepEqual([over.head, over.outcomes], [headOf(third!), ["stored"]]);
    const rest = await store.append(fog, [...links].reverse(), 4);
    assert.deepEqual(rest.outcomes, ["stored", "duplicate", "duplicate", "duplicate"]);
    assert.deepEqual([rest.head, (await store.totals()).windows], [headOf(fourth!), 4]);
  });

  test("append() calls what can be nowhere in a chain a conflict", async (store) => {
    const [first, second] = chain({ at: 1 }, { at: 2 });
    const wrong = [
      link({ seq: 2 }),
      link({ prev: new Uint8Array(32) }),
      link({ epoch: 2, seq: 9 }),
    ];
    for (const one of wrong) {
      const { head, outcomes } = await store.append(fog, [one], 1);
      assert.deepEqual([head, outcomes], [nowhere, ["conflict"]]);
    }
    assert.deepEqual((await store.append(fog, [first!, second!], 1)).head, headOf(second!));
  });

  test("append() calls other content at a place that is taken a conflict", async (store) => {
    const links = chain({ at: 1 }, { at: 2 });
    await store.append(fog, links, 1);
    for (const i of [0, 1]) {
      const other = link({ at: 5, n: 99 }, links[i - 1]);
      const { head, outcomes, conflicts } = await store.append(fog, [other], 1);
      assert.deepEqual([head, outcomes], [headOf(links[1]!), ["conflict"]]);
      assert.deepEqual(conflicts, [{ epoch: 1, seq: i + 1 }]);
      // what is known is no news
      assert.deepEqual((await store.append(fog, [other], 1)).conflicts, []);
    }
    assert.deepEqual(await store.windows(everything), links.map(windowOf));
  });

  test("append() keeps evidence of some contradictions, and refuses all", async (store) => {
    await store.append(fog, chain({ at: 1 }), 1);
    const places: Place[] = [];
    for (let n = 2; n < 2 * maxEvidence; n += 9) {
      const forked = Array.from({ length: 9 }, (_, i) => link({ at: 1, n: n + i }));
      const { outcomes, conflicts } = await store.append(fog, forked, 1);
      assert.deepEqual(outcomes, Array(9).fill("conflict"));
      places.push(...conflicts);
    }
    assert.equal(places.length, maxEvidence);
  });

  test("append() calls the next place over another history a conflict", async (store) => {
    const links = chain({ at: 1 }, { at: 2 });
    await store.append(fog, links, 1);
    const [, elsewhere] = chain({ at: 1, n: 2 }, { at: 2, n: 2 });
    for (const forked of [link({ at: 3 }, elsewhere), link({ at: 3, seq: 3, prev: null })]) {
      const { head, outcomes } = await store.append(fog, [forked], 1);
      assert.deepEqual([head, outcomes], [headOf(links[1]!), ["conflict"]]);
    }
    assert.deepEqual(await store.windows(everything), links.map(windowOf));
  });

  test("the head stops before a link ahead that does not follow, until that is lost", async (store) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 3 }, { at: 4 });
    const [, , forked, after] = chain({ at: 1 }, { at: 2, n: 2 }, { at: 3 }, { at: 4, n: 4 });
    await store.append(fog, [forked!], 1);
    const { head, conflicts } = await store.append(fog, links.slice(0, 2), 1);
    assert.deepEqual([head, conflicts], [headOf(links[1]!), [{ epoch: 1, seq: 3 }]]);
    const again = await store.append(fog, [forked!], 1);
    assert.deepEqual([again.outcomes, again.conflicts], [["conflict"], []]);
    await store.append(fog, [after!], 1);
    const lost = await store.lose(fog, headOf(forked!), { reason: "refused", at: 1 });
    assert.deepEqual([lost.head, lost.missing], [headOf(after!), []]);
  });

  test("append() fills a hole behind the head with what fits, and with nothing else", async (store) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 3 }, { at: 4 });
    await store.append(fog, links.slice(0, 1), 1);
    await store.append(fog, links.slice(3), 1);
    await store.lose(fog, headOf(links[2]!), { reason: "pruned", at: 1 });
    assert.deepEqual(await store.head(fog), headOf(links[3]!));
    const strange = [link({ at: 9 }, links[0]), link({ at: 9, seq: 3 }, links[1])];
    const refused = await store.append(fog, [strange[1]!], 2);
    assert.deepEqual(refused.outcomes, ["conflict"]);
    const filled = await store.append(fog, [links[2]!, links[1]!], 2);
    assert.deepEqual([filled.outcomes, filled.head], [["stored", "stored"], headOf(links[3]!)]);
    assert.deepEqual((await store.append(fog, [strange[0]!], 2)).outcomes, ["conflict"]);
    assert.equal((await store.totals()).windows, 4);
  });

  test("append() keeps no more ahead of the head than it may, and refuses none of it", async (store) => {
    const links = chain(...Array.from({ length: maxAhead + 3 }, (_, at) => ({ at })));
    for (let i = links.length; i > 1; i -= 512) {
      await store.append(fog, links.slice(Math.max(i - 512, 1), i), 1);
    }
    const { outcomes } = await store.append(fog, links.slice(1, 3), 1);
    assert.deepEqual(outcomes, ["beyond", "beyond"]);
    assert.equal((await store.totals()).windows, maxAhead);
    const { head } = await store.append(fog, links.slice(0, 3), 1);
    assert.deepEqual(head, headOf(links.at(-1)!));
  });

  test("head() finds the highest link at or before a place", async (store) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 3 }, { at: 4, epoch: 3 });
    await store.append(fog, [links[0]!, links[2]!, links[3]!], 1);
    const at = async (epoch: number, seq: number) => await store.head(fog, { epoch, seq });
    assert.deepEqual(await at(1, 0), nowhere);
    assert.deepEqual(await at(1, 2), headOf(links[0]!));
    assert.deepEqual(await at(1, 3), headOf(links[2]!));
    assert.deepEqual(await at(2, 7), headOf(links[2]!));
    assert.deepEqual(await at(9, 9), headOf(links[3]!));
    assert.deepEqual(await store.head("fog-2" as Id, { epoch: 9, seq: 9 }), nowhere);
  });

  test("an epoch begins with a link that follows the head", async (store) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 3, epoch: 2 }, { at: 4 }, { at: 5, epoch: 7 });
    const { head, epochs } = await store.append(fog, links.slice(0, 4), 1);
    assert.deepEqual([head, epochs], [headOf(links[3]!), [2]]);
    // another one that follows an earlier link is kept, and leads nowhere
    const other = link({ at: 5, epoch: 3, seq: 1 }, links[1]);
    const kept = await store.append(fog, [other], 1);
    assert.deepEqual([kept.head, kept.outcomes, kept.epochs], [head, ["stored"], []]);
    const next = await store.append(fog, links.slice(4), 1);
    assert.deepEqual([next.head, next.epochs], [headOf(links[4]!), [7]]);
  });

  test("lose() moves the head forward only, and names what is missing", async (store) => {
    const links = chain(...Array.from({ length: 9 }, (_, at) => ({ at })));
    await store.append(fog, [links[0]!, links[3]!, links[8]!], 1);
    const told = { reason: "pruned", at: 5 };
    const lost = await store.lose(fog, headOf(links[6]!), told);
    const missing = [{ epoch: 1, from: 2, to: 3 }, { epoch: 1, from: 5, to: 7 }];
    assert.deepEqual(lost, { head: headOf(links[6]!), missing, epochs: [], conflicts: [] });
    for (const i of [2, 6]) {
      const again = await store.lose(fog, headOf(links[i]!), told);
      assert.deepEqual(again, { head: headOf(links[6]!), missing: [], epochs: [], conflicts: [] });
    }
    assert.deepEqual((await store.append(fog, [links[7]!], 6)).head, headOf(links[8]!));
  });

  test("lose() does not tell of a hole a second time", async (store) => {
    const links = chain(...Array.from({ length: 6 }, (_, at) => ({ at })));
    await store.append(fog, links.slice(0, 1), 1);
    await store.lose(fog, headOf(links[1]!), { reason: "pruned", at: 1 });
    await store.append(fog, links.slice(2, 3), 1);
    const { missing } = await store.lose(fog, headOf(links[4]!), { reason: "refused", at: 2 });
    assert.deepEqual(missing, [{ epoch: 1, from: 4, to: 5 }]);
  });

  test("what was lost in two steps for one reason is one hole", async (store) => {
    const links = chain(...Array.from({ length: 5 }, (_, at) => ({ at })));
    for (const [i, reason] of [[1, "pruned"], [3, "pruned"], [4, "refused"]] as const) {
      await store.lose(fog, headOf(links[i]!), { reason, at: i });
    }
    const place = { kind: "summaries", fog_id: fog, epoch: 1 };
    const holes = [
      { ...place, from: 1, to: 4, reason: "pruned" },
      { ...place, from: 5, to: 5, reason: "refused" },
    ];
    for (const limit of [1, 100]) assert.deepEqual(await allFindings(store, { limit }), holes);
  });

  test("lose() leads into another epoch", async (store) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 3 }, { at: 4, epoch: 2 }, { at: 5 });
    await store.append(fog, [links[0]!, links[2]!], 1);
    const lost = await store.lose(fog, headOf(links[3]!), { reason: "gone", at: 1 });
    const missing = [{ epoch: 1, from: 2, to: 2 }, { epoch: 2, from: 1, to: 1 }];
    assert.deepEqual([lost.head, lost.missing, lost.epochs], [headOf(links[3]!), missing, [2]]);
    assert.deepEqual((await store.append(fog, [links[4]!], 1)).head, headOf(links[4]!));
  });

  test("lose() of a link that is there with other content is a conflict", async (store) => {
    const [, second] = chain({ at: 1 }, { at: 2 });
    await store.append(fog, [second!], 1);
    const upto = { epoch: 1, seq: 2, hash: new Uint8Array(32).fill(1) };
    const { head, conflicts } = await store.lose(fog, upto, { reason: "gone", at: 1 });
    assert.deepEqual([head, conflicts], [upto, [{ epoch: 1, seq: 2 }]]);
  });

  test("append() keeps the chains of fogs apart", async (store) => {
    const [a, b] = ["fog-1", "fog-2"].map((id) => link({ fog_id: id as Id, n: 3 }));
    assert.deepEqual((await store.append("fog-1" as Id, [a!], 1)).outcomes, ["stored"]);
    assert.deepEqual(await store.head("fog-2" as Id), nowhere);
    assert.deepEqual((await store.append("fog-2" as Id, [b!], 1)).outcomes, ["stored"]);
    assert.deepEqual(await store.windows(everything), [windowOf(a!), windowOf(b!)]);
    assert.deepEqual(await store.windows({ ...everything, fog: "fog-2" as Id }), [windowOf(b!)]);
  });

  test("a revision brings its figures into force, and the totals with them", async (store) => {
    const [old, other, revised] = chain(
      { at: 1, n: 5 },
      { at: 2, n: 1 },
      { at: 1, n: 2, revision: 1, sum_power_W: -70, num_meters: 1 },
    );
    await store.append(fog, [old!, other!, revised!], 1);
    assert.deepEqual(await store.windows(everything), [windowOf(revised!), windowOf(other!)]);
    const totals = { windows: 2, n: 3, sum_power_W: 30, sum_voltage_mV: 3 * 230_000 };
    assert.deepEqual(await store.totals(), totals);
  });

  test("an older revision that comes later is stored and does not win", async (store) => {
    const links = chain({ at: 1, n: 5, revision: 2 }, { at: 1, n: 1, revision: 1 }, {
      at: 1,
      n: 9,
    });
    const { head, outcomes } = await store.append(fog, links, 1);
    assert.deepEqual(outcomes, ["stored", "stored", "stored"]);
    assert.deepEqual(head, headOf(links[2]!));
    assert.deepEqual(await store.windows(everything), [windowOf(links[0]!)]);
    assert.equal((await store.totals()).n, 5);
  });

  test("totals() outlives sums that no number holds exactly", async (store) => {
    const sum_power_W = Number.MAX_SAFE_INTEGER;
    await store.append(fog, chain({ at: 1, sum_power_W }, { at: 2, sum_power_W }), 1);
    assert.equal((await store.totals()).sum_power_W, 2 * sum_power_W);
  });

  test("latest() gives the newest windows first", async (store) => {
    const links = chain(...[4, 1, 3, 2].map((at) => ({ at })));
    await store.append(fog, links, 1);
    const starts = (await store.latest(3)).map(({ start }) => start / minute);
    assert.deepEqual(starts, [4, 3, 2]);
  });
}
