/** What is known of readings that are gone: exactly those, in few rows, whatever is undone. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import fc from "fast-check";
import { rangesOf } from "../../core/base/ranges.ts";
import type { OpenDatabase } from "../../core/services/db/mod.ts";
import { openTestStore } from "./_test_store.ts";
import { Pruned } from "./pruned.ts";

const numbers = Array.from({ length: 60 }, (_, seq) => seq);

async function rows(db: OpenDatabase): Promise<number[][]> {
  const found = await db.read((q) =>
    q.all<Record<string, number>>(sql`SELECT register_id, first, last FROM fog_aggregator_pruned
      ORDER BY register_id, first`)
  );
  return found.map(({ register_id, first, last }) => [register_id!, first!, last!]);
}

/** All numbers of some registers that are held to be gone. */
async function heldBy(pruned: Pruned, db: OpenDatabase): Promise<string[]> {
  const keys = [1, 2, 3].flatMap((register) => numbers.map((seq) => [register, seq] as const));
  const held = await db.write((tx) => pruned.held(tx, keys));
  for (const key of held) {
    const [register, seq] = key.split("/").map(Number);
    assert.ok(pruned.mayHold(register!, seq!), "the hint is never too low");
  }
  return [...held].sort();
}

Deno.test("held() knows exactly what was added, after any restart and whatever was undone", async () => {
  const step = fc.record({
    register: fc.integer({ min: 1, max: 3 }),
    seqs: fc.uniqueArray(fc.constantFrom(...numbers), { minLength: 1, maxLength: 12 }),
    fate: fc.constantFrom("kept", "kept", "undone", "restart"),
  });
  await using test = await openTestStore();
  const { db } = test;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      await db.write((tx) => tx.run(sql`DELETE FROM fog_aggregator_pruned`));
      let pruned = await Pruned.open(db);
      const model = new Set<string>();
      for (const { register, seqs, fate } of steps) {
        const ranges = rangesOf(seqs.map((seq) => [seq, seq] as const));
        const adding = db.write(async (tx) => {
          await pruned.add(tx, new Map([[register, ranges]]));
          if (fate === "undone") throw new Error("undone");
        });
        if (fate === "undone") await assert.rejects(adding);
        else {
          await adding;
          for (const seq of seqs) model.add(`${register}/${seq}`);
        }
        if (fate === "restart") pruned = await Pruned.open(db);
        assert.deepEqual(await heldBy(pruned, db), [...model].sort());
      }
      const merged = [1, 2, 3].flatMap((register) => {
        const own = numbers.filter((seq) => model.has(`${register}/${seq}`));
        const ranges = rangesOf(own.map((seq) => [seq, seq] as const));
        return ranges.map(([first, last]) => [register, first, last]);
      });
      assert.deepEqual(await rows(db), merged, "no row more than it takes");
    }),
    { numRuns: 100 },
  );
});

Deno.test("a meter that leaves out numbers for ever takes a bounded number of rows", async () => {
  await using test = await openTestStore();
  const { db } = test;
  const pruned = await Pruned.open(db, { rangeLimit: 4 });
  for (let seq = 0; seq < 30; seq += 3) {
    await db.write((tx) => pruned.add(tx, new Map([[1, [[seq, seq]]], [2, [[seq, seq]]]])));
  }
  const expected = [[0, 18], [21, 21], [24, 24], [27, 27]];
  assert.deepEqual(
    await rows(db),
    [1, 2].flatMap((register) => expected.map((r) => [register, ...r])),
  );
  const held = await db.write((tx) =>
    pruned.held(tx, [[1, 18], [1, 19], [1, 21], [1, 27], [3, 1]])
  );
  assert.deepEqual([...held].sort(), ["1/18", "1/21", "1/27"]);
});
