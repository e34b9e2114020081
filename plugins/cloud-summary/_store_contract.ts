/**
 * What every `SummaryStore` promises, as tests: a new dialect calls `testSummaryStore` with a way to
 * open an empty store. Links are as fogs make them, only that nobody signed them.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Id } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { encodeSummary, type Summary } from "../../core/wire/summary.ts";
import type { SignedSummary, SummaryStore, Window } from "./store.ts";

const suite = nativeSuite();
const minute = 60_000;
const fog = "fog-1" as Id;

/** Gives an empty store and does away with it afterwards. */
export type WithStore = (use: (store: SummaryStore) => Promise<void>) => Promise<void>;

type Change = Partial<Omit<Summary, "window">> & { at?: number };

/** One link: the window of minute `at`, and figures that follow from `n`. */
export function link(change: Change = {}, before?: SignedSummary): SignedSummary {
  const { at = 0, n = 1, ...rest } = change;
  const power = rest.sum_power_W ?? 100 * n;
  const summary: Summary = {
    ...{ fog_id: fog, epoch: 1, seq: (before?.summary.seq ?? 0) + 1, revision: 0 },
    ...{ prev: before?.hash ?? null, window: { start: at * minute, end: (at + 1) * minute } },
    ...{ n, num_meters: 1, registers: new Map([["m-1" as Id, n]]), energy_Wh: n },
    ...{ sum_power_W: power, min_power_W: 0 - power, max_power_W: power },
    ...{ sum_voltage_mV: 230_000 * n, min_voltage_mV: 229_000, max_voltage_mV: 231_000 },
    ...rest,
  };
  const statement = encodeSummary(summary);
  return { summary, statement, hash: suite.sha256(statement) };
}

/** Links that follow each other. */
export function chain(...changes: readonly Change[]): SignedSummary[] {
  const links: SignedSummary[] = [];
  for (const change of changes) links.push(link(change, links.at(-1)));
  return links;
}

function headOf({ summary: { epoch, seq }, hash }: SignedSummary) {
  return { epoch, seq, hash };
}

const nothing = { epoch: 0, seq: 0, hash: new Uint8Array(32) };
const everything = { from: 0, to: Number.MAX_SAFE_INTEGER, limit: 1_000 };

/** Registers the tests. @param name of the dialect */
export function testSummaryStore(name: string, withStore: WithStore): void {
  const test = (what: string, run: (store: SummaryStore) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, () => withStore(run));

  test("a new store has no head, no windows, no totals", async (store) => {
    assert.deepEqual(await store.head(fog), nothing);
    assert.deepEqual(await store.windows(everything), []);
    assert.deepEqual(await store.latest(9), []);
    const totals = { windows: 0, n: 0, sum_power_W: 0, sum_voltage_mV: 0 };
    assert.deepEqual(await store.totals(), totals);
  });

  test("append() stores what comes in order and moves the head", async (store) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 3, n: 7 });
    const first = await store.append(fog, links.slice(0, 1), 1);
    assert.deepEqual(first, { head: headOf(links[0]!), outcomes: ["stored"] });
    const rest = await store.append(fog, links.slice(1), 2);
    assert.deepEqual(rest, { head: headOf(links[2]!), outcomes: ["stored", "stored"] });
    assert.deepEqual(await store.head(fog), headOf(links[2]!));
    assert.deepEqual((await store.windows(everything)).at(-1), windowOf(links[2]!));
  });

  test("append() of nothing gives the head", async (store) => {
    const [first] = chain({});
    assert.deepEqual(await store.append(fog, [], 1), { head: nothing, outcomes: [] });
    await store.append(fog, [first!], 1);
    assert.deepEqual(await store.append(fog, [], 1), { head: headOf(first!), outcomes: [] });
  });

  test("append() knows a repetition, in whole and in part", async (store) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 3 });
    await store.append(fog, links.slice(0, 2), 1);
    const totals = await store.totals();
    const again = await store.append(fog, links.slice(0, 2), 2);
    assert.deepEqual(again, { head: headOf(links[1]!), outcomes: ["duplicate", "duplicate"] });
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

  test("append() refuses what leaves a gap, and changes nothing", async (store) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 3 });
    const [first, , third] = links;
    assert.deepEqual(await store.append(fog, [third!], 1), { head: nothing, outcomes: ["gap"] });
    await store.append(fog, [first!], 1);
    const gap = await store.append(fog, [third!], 1);
    assert.deepEqual(gap, { head: headOf(first!), outcomes: ["gap"] });
    assert.equal((await store.totals()).windows, 1);
    assert.deepEqual((await store.append(fog, links, 1)).outcomes, [
      ...["duplicate", "stored", "stored"],
    ]);
  });

  test("append() refuses a beginning that is none", async (store) => {
    const wrong = [link({ seq: 2 }), link({ prev: new Uint8Array(32) }), link({ epoch: 2 })];
    for (const one of wrong) {
      assert.deepEqual(await store.append(fog, [one], 1), { head: nothing, outcomes: ["gap"] });
    }
  });

  test("append() calls other content at a place that is taken a conflict", async (store) => {
    const links = chain({ at: 1 }, { at: 2 });
    await store.append(fog, links, 1);
    for (const i of [0, 1]) {
      const other = link({ at: 5, n: 99 }, links[i - 1]);
      const { head, outcomes } = await store.append(fog, [other], 1);
      assert.deepEqual([head, outcomes], [headOf(links[1]!), ["conflict"]]);
    }
    assert.deepEqual(await store.windows(everything), links.map(windowOf));
  });

  test("append() calls the next place over another history a conflict", async (store) => {
    const links = chain({ at: 1 }, { at: 2 });
    await store.append(fog, links, 1);
    const [, elsewhere] = chain({ at: 1, n: 2 }, { at: 2, n: 2 });
    for (const forked of [link({ at: 3 }, elsewhere), link({ at: 3, seq: 3 })]) {
      const { head, outcomes } = await store.append(fog, [forked], 1);
      assert.deepEqual([head, outcomes], [headOf(links[1]!), ["conflict"]]);
    }
    assert.deepEqual(await store.windows(everything), links.map(windowOf));
  });

  test("append() keeps the chains of fogs apart", async (store) => {
    const [a, b] = ["fog-1", "fog-2"].map((id) => link({ fog_id: id as Id, n: 3 }));
    assert.deepEqual((await store.append("fog-1" as Id, [a!], 1)).outcomes, ["stored"]);
    assert.deepEqual(await store.head("fog-2" as Id), nothing);
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

  Deno.test(`${name}: totals and pages agree with the windows, whatever comes`, async () => {
    await fc.assert(
      fc.asyncProperty(history, query, async (entries, { size, from, length, only }) => {
        await withStore(async (store) => {
          const inForce = await play(store, entries);
          const windows = await store.windows(everything);
          assert.deepEqual(windows, inForce);
          const sum = (pick: (window: Window) => number) =>
            windows.reduce((total, window) => total + pick(window), 0);
          assert.deepEqual(await store.totals(), {
            windows: windows.length,
            n: sum(({ n }) => n),
            sum_power_W: sum(({ sum_power_W }) => sum_power_W),
            sum_voltage_mV: sum(({ sum_voltage_mV }) => sum_voltage_mV),
          });

          const range = { from: from * minute, to: (from + length) * minute };
          const wanted = windows.filter(({ start, fog_id }) =>
            start >= range.from && start < range.to && (only === undefined || fog_id === only)
          );
          const paged: Window[] = [];
          let last: Window | undefined;
          do {
            const page = await store.windows({
              ...{ ...range, limit: size },
              ...(only !== undefined && { fog: only }),
              ...(last !== undefined && { after: { start: last.start, fog: last.fog_id } }),
            });
            assert.ok(page.length <= size);
            paged.push(...page);
            last = page.length === size ? page.at(-1) : undefined;
          } while (last !== undefined);
          assert.deepEqual(paged, wanted);
        });
      }),
      { numRuns: 40 },
    );
  });
}

const fogs = ["a", "B", "a-1", "_"] as Id[];

const history = fc.array(
  fc.record({
    fog_id: fc.constantFrom(...fogs),
    at: fc.nat(6),
    revision: fc.nat(3),
    n: fc.integer({ min: 1, max: 1_000 }),
    sum_power_W: fc.integer({ min: -1_000_000, max: 1_000_000 }),
    mishap: fc.constantFrom("none", "none", "none", "repeated", "lost", "forked"),
  }),
  { maxLength: 30 },
);

const query = fc.record({
  size: fc.integer({ min: 1, max: 5 }),
  from: fc.nat(4),
  length: fc.nat(8),
  only: fc.option(fc.constantFrom(...fogs), { nil: undefined }),
});

/** Appends a history one by one; gives the windows that must be in force, by start and fog. */
async function play(
  store: SummaryStore,
  entries: readonly (Change & { fog_id: Id; mishap: string })[],
): Promise<Window[]> {
  const last = new Map<Id, SignedSummary>();
  const inForce = new Map<string, Window>();
  for (const { mishap, ...entry } of entries) {
    const before = last.get(entry.fog_id);
    const append = async (one: SignedSummary) =>
      (await store.append(entry.fog_id, [one], 1)).outcomes[0];
    if (mishap === "lost") {
      assert.equal(await append(link({ ...entry, seq: 99 }, before)), "gap");
    } else if (mishap === "forked" && before !== undefined) {
      const other = link({
        ...entry,
        n: 1_001,
        seq: before.summary.seq,
        prev: before.summary.prev,
      });
      assert.equal(await append(other), "conflict");
    } else {
      const next = link(entry, before);
      assert.equal(await append(next), "stored");
      if (mishap === "repeated") assert.equal(await append(next), "duplicate");
      last.set(entry.fog_id, next);
      const window = windowOf(next);
      const key = `${window.start} ${window.fog_id}`;
      if (window.revision > (inForce.get(key)?.revision ?? -1)) inForce.set(key, window);
    }
  }
  return [...inForce.values()].sort((a, b) => a.start - b.start || (a.fog_id < b.fog_id ? -1 : 1));
}

/** The window of a link as a store shows it. */
export function windowOf({ summary }: SignedSummary): Window {
  const { window, epoch: _epoch, seq: _seq, prev: _prev, registers: _registers, ...rest } = summary;
  return { ...rest, ...window };
}
