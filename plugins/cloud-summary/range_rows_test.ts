/** Sets in a table: what is written is the set, in as few rows as can be, and others are left alone. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import fc from "fast-check";
import { type Range, rangesOf, without } from "../../core/base/ranges.ts";
import type { Database } from "../../core/services/db/mod.ts";
import { type RangeRow, rangeRows } from "./_range_rows.ts";
import { withDatabase } from "./_temporary_store.ts";

const rows = rangeRows("cloud_summary_links", ["fog_id", "epoch"]);

async function stored(db: Database): Promise<Record<string, Range[]>> {
  const found = await db.read((q) =>
    q.all<{ fog_id: string; epoch: number; first: number; last: number }>(
      sql`SELECT * FROM cloud_summary_links ORDER BY fog_id, epoch, first`,
    )
  );
  const sets: Record<string, Range[]> = {};
  for (const { fog_id, epoch, first, last } of found) {
    (sets[`${fog_id} ${epoch}`] ??= []).push([first, last]);
  }
  return sets;
}

Deno.test("rangeRows() keeps every set as its ranges, whatever is added and taken away", async () => {
  const change = fc.record({
    fog: fc.constantFrom("a", "b"),
    epoch: fc.integer({ min: 1, max: 2 }),
    ranges: fc.array(fc.tuple(fc.nat(30), fc.nat(6)), { minLength: 1, maxLength: 3 })
      .map((parts) => rangesOf(parts.map(([first, more]): Range => [first, first + more]))),
    takes: fc.boolean(),
  });
  await withDatabase(async (db) => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 15 }), async (changes) => {
        await db.write((tx) => tx.run(sql`DELETE FROM cloud_summary_links`));
        const expected: Record<string, Range[]> = {};
        for (const { fog, epoch, ranges, takes } of changes) {
          const key = `${fog} ${epoch}`;
          const apply = (set: readonly Range[]) =>
            takes ? without(set, ranges) : rangesOf([...set, ...ranges]);
          expected[key] = apply(expected[key] ?? []);
          if (expected[key].length === 0) delete expected[key];
          await db.write(async (tx) => {
            const sets = await rows.around(
              tx,
              ranges.map(([a, b]): RangeRow => [fog, epoch, a, b]),
            );
            sets.set(fog, epoch, apply(sets.get(fog, epoch)));
            await rows.write(tx, sets);
          });
        }
        assert.deepEqual(await stored(db), expected);
      }),
      { numRuns: 30 },
    );
  });
});

Deno.test("rangeRows() reads no more of a large set than what is around", async () => {
  await withDatabase(async (db) => {
    const many = Array.from({ length: 500 }, (_, i) => ["a", 1, 10 * i, 10 * i + 4]);
    await db.write((tx) =>
      tx.run(sql`INSERT INTO cloud_summary_links SELECT value ->> 0, value ->> 1, value ->> 2,
        value ->> 3 FROM json_each(${JSON.stringify(many)})`)
    );
    const around = await db.read((q) => rows.around(q, [["a", 1, 2_007, 2_009]]));
    assert.deepEqual(around.get("a", 1), [[2_000, 2_004], [2_010, 2_014]]);
  });
});
