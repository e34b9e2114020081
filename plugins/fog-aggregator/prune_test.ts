/** Whatever is deleted when, every reading counts once. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import fc from "fast-check";
import type { Reading } from "../../core/wire/reading.ts";
import { openTestFog, type TestFog } from "./_test_fog.ts";
import { batch, closeAll, insert, minute, noon, reading } from "./_test_store.ts";

/** The cloud has everything. */
async function acknowledge({ now }: TestFog): Promise<void> {
  await now.db.write((tx) => tx.run(sql`UPDATE fog_aggregator_summaries SET acknowledged = 1`));
}

type Step =
  | { readonly do: "insert"; readonly register: number; readonly seqs: readonly number[] }
  | { readonly do: "close" | "settle" | "repeat" | "restart" };

/** Numbers come about in order, with gaps that may be filled later. */
const seqs = fc.tuple(
  fc.integer({ min: 0, max: 50 }),
  fc.uniqueArray(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 8 }),
).map(([from, steps]) => steps.map((step) => from + step));

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("insert" as const),
        register: fc.integer({ min: 1, max: 2 }),
        seqs,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constantFrom<"close" | "settle" | "repeat" | "restart">(
          ...["close", "settle", "settle", "repeat", "restart"] as const,
        ),
      }),
    },
  ),
  { minLength: 5, maxLength: 24 },
);

Deno.test("whatever is pruned when: nothing counts twice, no sum changes, energy counts on", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (steps) => {
      await using fog = await openTestFog({
        config: { keep: 5 * minute, lateness: 60 * minute, grace: 0 },
      });
      fog.pass(30 * minute);
      /** As a meter measures: the register grows with the numbers, and so does the time. */
      const measured = (register: number, seq: number): Reading =>
        reading(seq, { t: noon + seq * 20_000, energy_Wh: register * 1_000 + seq * seq });
      const sent: ReturnType<typeof batch>[] = [];
      const windowed = new Map<string, Reading>();
      const known = new Set<string>();
      /** What the cloud has: of each window the last revision. */
      const figures = new Map<number, { n: number; energy_Wh: number; revision: number }>();
      const send = async (one: ReturnType<typeof batch>) => {
        const horizon = fog.now.horizon();
        let fresh = 0;
        for (const measured of one.readings) {
          const key = `${one.register}/${measured.seq}`;
          if (known.has(key)) continue;
          fresh++;
          known.add(key);
          if (measured.t >= horizon) windowed.set(key, measured);
        }
        const [receipt] = await insert(fog.now.store, one);
        const duplicates = one.readings.length - fresh;
        assert.deepEqual(receipt, { accepted: fresh, duplicates, refused: [] });
      };
      const close = async () => {
        for (const [start, { figures: found, revision }] of await closeAll(fog.now.store)) {
          assert.equal(revision, (figures.get(start)?.revision ?? -1) + 1);
          figures.set(start, { n: found.n, energy_Wh: found.energy_Wh, revision });
        }
      };
      /** What the cloud has goes. */
      const settle = async () => {
        await close();
        await acknowledge(fog);
        await fog.now.retention.pass();
      };
      for (const step of steps) {
        if (step.do === "insert") {
          const { register, seqs } = step;
          const readings = seqs.map((seq) => measured(register, seq));
          const one = batch(readings, { register: `r-${register}` });
          sent.push(one);
          await send(one);
        } else if (step.do === "repeat") { for (const one of sent) await send(one); }
        else if (step.do === "close") await close();
        else if (step.do === "settle") await settle();
        else await fog.restart();
      }
      await close();
      await fog.now.retention.pass();
      for (const one of sent) await send(one);
      await close();
      const n = [...figures.values()].reduce((sum, { n }) => sum + n, 0);
      assert.equal(n, windowed.size);
      let expected = 0;
      for (const register of ["r-1/", "r-2/", "r-3/"]) {
        const of = [...windowed].filter(([key]) => key.startsWith(register));
        const energies = of.map(([, { energy_Wh }]) => energy_Wh);
        if (of.length > 0) expected += Math.max(...energies) - Math.min(...energies);
      }
      const energy = [...figures.values()].reduce((sum, { energy_Wh }) => sum + energy_Wh, 0);
      assert.equal(energy, expected);
    }),
    { numRuns: 25 },
  );
});
