/**
 * What every `SummaryStore` promises of any history: it agrees with the plain model at every step, and
 * in what order and how often links come makes no difference.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Id } from "../../core/base/id.ts";
import { type Range, rangesOf } from "../../core/base/ranges.ts";
import {
  allFindings,
  chain,
  type Change,
  everything,
  headOf,
  link,
  meter,
  minute,
  register,
} from "./_links.ts";
import { Model } from "./_model.ts";
import type { WithStore } from "./_store_contract.ts";
import type { SignedSummary, SummaryStore, Window } from "./store.ts";

const fogs = ["a", "B"] as Id[];
const other = "m-2" as Id;

const ranges: fc.Arbitrary<Range[]> = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 24 }), fc.nat(4)),
  { minLength: 1, maxLength: 3 },
).map((parts) => rangesOf(parts.map(([first, more]): Range => [first, first + more])));

const summary = fc.record({
  at: fc.nat(3),
  revision: fc.nat(2),
  sum_power_W: fc.integer({ min: -9_000, max: 9_000 }),
  newEpoch: fc.constantFrom(0, 0, 0, 0, 1, 2),
  seqs: ranges,
  others: fc.option(ranges),
});

/** A chain of each fog. */
const world = fc.tuple(
  fc.array(summary, { minLength: 1, maxLength: 10 }),
  fc.array(summary, { minLength: 1, maxLength: 4 }),
).map((each) =>
  each.map((summaries, i) => {
    let epoch = 1;
    return chain(...summaries.map(({ newEpoch, seqs, others, ...rest }): Change => {
      epoch += newEpoch;
      const ofMeter = (seqs: readonly Range[]) =>
        new Map([[register, { energy_Wh: 7 * seqs.at(-1)![1], seqs }]]);
      const all = new Map([[meter, ofMeter(seqs)]]);
      if (others !== null) all.set(other, ofMeter(others));
      const n = [...seqs, ...others ?? []].reduce((n, [a, b]) => n + b - a + 1, 0);
      return { ...rest, fog_id: fogs[i]!, epoch, n, registers: all, num_meters: all.size };
    }));
  })
);

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      fog: fc.constantFrom(0, 0, 1),
      links: fc.array(fc.tuple(fc.nat(9), fc.constantFrom("as it is", "as it is", "forked")), {
        maxLength: 5,
      }),
    }),
  },
  fc.record({
    kind: fc.constant("lose" as const),
    fog: fc.constantFrom(0, 1),
    link: fc.nat(9),
    reason: fc.constantFrom("pruned", "refused"),
  }),
  fc.record({
    kind: fc.constant("decide" as const),
    fog: fc.constantFrom(0, 1),
    from: fc.nat(3),
    length: fc.nat(4),
    epoch: fc.integer({ min: 1, max: 4 }),
  }),
);

/** Registers the tests. @param name of the dialect */
export function testStoreProperties(name: string, withStore: WithStore): void {
  Deno.test(`${name}: agrees with the plain model, whatever comes`, async () => {
    await fc.assert(
      fc.asyncProperty(
        world,
        fc.array(step, { maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        (chains, steps, size) =>
          withStore(async (store) => {
            const model = new Model();
            for (const step of steps) await play(step, { chains, store, model });
            await agree(store, model, size);
          }),
      ),
      { numRuns: 100 },
    );
  });

  Deno.test(`${name}: order and repetition of what comes make no difference`, async () => {
    const delivery = fc.array(fc.array(fc.nat(99), { maxLength: 4 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(world, delivery, fc.nat(99), async (chains, calls, seed) => {
        const [whole] = chains;
        const states: unknown[] = [];
        await withStore(async (store) => {
          await store.append(fogs[0]!, whole!, 1);
          states.push(await stateOf(store));
        });
        await withStore(async (store) => {
          const pick = (i: number) => whole![i % whole!.length]!;
          for (const call of calls) await store.append(fogs[0]!, call.map(pick), 1);
          // everything comes in the end
          const rest = whole!.map((_, i) => whole![(7 * i + seed) % whole!.length]!);
          const all = [...rest, ...whole!];
          for (const one of all) await store.append(fogs[0]!, [one], 1);
          states.push(await stateOf(store));
        });
        assert.deepEqual(states[1], states[0]);
      }),
      { numRuns: 40 },
    );
  });

  Deno.test(`${name}: pages of windows are the windows, each once`, async () => {
    const query = fc.record({
      size: fc.integer({ min: 1, max: 4 }),
      from: fc.nat(3),
      length: fc.nat(4),
      fog: fc.constantFrom(...fogs, undefined),
      state: fc.constantFrom("in_force" as const, "undecided" as const),
    });
    await fc.assert(
      fc.asyncProperty(
        world,
        query,
        (chains, { size, from, length, fog, state }) =>
          withStore(async (store) => {
            for (const [i, links] of chains.entries()) await store.append(fogs[i]!, links, 1);
            const range = { from: from * minute, to: (from + length) * minute };
            const all = await store.windows({ ...everything, state });
            const wanted = all.filter(({ start, fog_id }) =>
              start >= range.from && start < range.to && (fog === undefined || fog_id === fog)
            );
            const paged: Window[] = [];
            for (let last: Window | undefined, more = true; more; last = paged.at(-1)) {
              const page = await store.windows({
                ...{ ...range, state, limit: size },
                ...(fog !== undefined && { fog }),
                ...(last && { after: { start: last.start, fog: last.fog_id, epoch: last.epoch } }),
              });
              paged.push(...page);
              more = page.length === size;
            }
            assert.deepEqual(paged, wanted);
          }),
      ),
      { numRuns: 30 },
    );
  });
}

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function play(step: Step, { chains, store, model }: {
  chains: readonly SignedSummary[][];
  store: SummaryStore;
  model: Model;
}): Promise<void> {
  const fog = fogs[step.fog]!;
  const links = chains[step.fog]!;
  const pick = (i: number) => links[i % links.length]!;
  switch (step.kind) {
    case "append": {
      const call = step.links.map(([i, how]) => how === "forked" ? forked(pick(i)) : pick(i));
      const outcomes = call.map((one) => model.append(fog, one));
      const head = model.settle(fog);
      const appended = await store.append(fog, call, 1);
      assert.deepEqual([appended.outcomes, appended.head], [outcomes, head]);
      break;
    }
    case "lose": {
      const upto = headOf(pick(step.link));
      const head = model.lose(fog, upto, step.reason);
      const lost = await store.lose(fog, upto, { reason: step.reason, at: 1 });
      assert.deepEqual(lost.head, head);
      break;
    }
    case "decide": {
      const { epoch } = step;
      const range = { from: step.from * minute, to: (step.from + step.length) * minute, epoch };
      const decided = await store.decide({ fog, ...range, actor: "site", limit: 100 });
      assert.equal(decided, model.decide(fog, range));
    }
  }
}

/** Other content at the same place. */
function forked({ summary: { window, ...rest } }: SignedSummary): SignedSummary {
  return link({ ...rest, at: window.start / minute, energy_Wh: 77 });
}

async function agree(store: SummaryStore, model: Model, size: number): Promise<void> {
  const windows = model.windows("in_force");
  assert.deepEqual(await store.windows(everything), windows);
  const undecided = await store.windows({ ...everything, state: "undecided" });
  assert.deepEqual(undecided, model.windows("undecided"));
  const sum = (pick: (window: Window) => number) =>
    windows.reduce((total, window) => total + pick(window), 0);
  assert.deepEqual(await store.totals(), {
    windows: windows.length,
    n: sum(({ n }) => n),
    sum_power_W: sum(({ sum_power_W }) => sum_power_W),
    sum_voltage_mV: sum(({ sum_voltage_mV }) => sum_voltage_mV),
  });
  for (const fog of fogs) {
    assert.deepEqual(await store.registers(fog, { limit: 100 }), model.registers(fog));
  }
  const findings = model.findings();
  assert.deepEqual(await allFindings(store), findings);
  // the sections one by one: a page may cut a finding in two only where it says so
  assert.deepEqual(await allFindings(store, { limit: size }), findings);
  const ofMeter = findings.filter((f) => "meter" in f && f.meter === meter);
  assert.deepEqual(await allFindings(store, { meter }), ofMeter);
}

async function stateOf(store: SummaryStore): Promise<unknown> {
  return {
    head: await store.head(fogs[0]!),
    windows: await store.windows(everything),
    undecided: await store.windows({ ...everything, state: "undecided" }),
    totals: await store.totals(),
    registers: await store.registers(fogs[0]!, { limit: 100 }),
    findings: await allFindings(store),
  };
}
