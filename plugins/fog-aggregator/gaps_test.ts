/** Gaps: what is missing between what is there or was, whatever the size of the pages. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import fc from "fast-check";
import { gapsIn, type Range, rangesOf } from "../../core/base/ranges.ts";
import { type Gap, gapsOf } from "./gaps.ts";
import { batch, insert, openTestStore, reading, type TestStore } from "./_test_store.ts";

async function allGaps({ db }: TestStore, limit: number): Promise<Gap[]> {
  const all: Gap[] = [];
  let after: string | undefined;
  for (let page = 0; page < 10_000; page++) {
    const { gaps, next } = await gapsOf(db, { after, limit });
    assert.ok(gaps.length <= limit);
    all.push(...gaps);
    if (next === null) return all;
    after = next;
  }
  throw new Error("The pages do not end");
}

async function prune({ db }: TestStore, register: number, ranges: readonly Range[]): Promise<void> {
  for (const [first, last] of ranges) {
    await db.write(async (tx) => {
      await tx.run(sql`DELETE FROM fog_aggregator_readings
        WHERE register_id = ${register} AND seq BETWEEN ${first} AND ${last}`);
      await tx.run(sql`INSERT INTO fog_aggregator_pruned VALUES (${register}, ${first}, ${last})`);
    });
  }
}

Deno.test("gapsOf() names what is missing of each register, and nothing before its beginning", async () => {
  await using test = await openTestStore();
  const of = (...seqs: number[]) => seqs.map((seq) => reading(seq));
  await insert(
    test.store,
    batch(of(5, 6, 9, 10, 20)),
    batch(of(0, 1), { register: "r-2" }),
    batch(of(3, 5), { meter: "m-2" }),
  );
  await prune(test, 1, [[5, 7]]);
  const first = { meter: "m-1", register: "r-1" };
  const expected = [
    { ...first, from: 8, to: 8 },
    { ...first, from: 11, to: 19 },
    { meter: "m-2", register: "r-1", from: 4, to: 4 },
  ];
  for (const limit of [1, 2, 3, 100]) assert.deepEqual(await allGaps(test, limit), expected);
});

Deno.test("gapsOf() finds the same gaps on pages of any size", async () => {
  const seqs = fc.array(fc.nat(60), { minLength: 1, maxLength: 40 });
  const model = fc.record({
    registers: fc.array(seqs, { maxLength: 4 }),
    limit: fc.integer({ min: 1, max: 5 }),
    upto: fc.nat(60),
  });
  await fc.assert(
    fc.asyncProperty(model, async ({ registers, limit, upto }) => {
      await using test = await openTestStore();
      const expected: [string, number, number][] = [];
      for (const [i, seqs] of registers.entries()) {
        const held = rangesOf(seqs.map((seq) => [seq, seq]));
        const register = `r-${i}`;
        await insert(test.store, batch(seqs.map((seq) => reading(seq)), { register }));
        await prune(test, i + 1, held.filter(([, last]) => last <= upto));
        for (const [from, to] of gapsIn(held, held[0]![0])) expected.push([register, from, to]);
      }
      const found = await allGaps(test, limit);
      assert.deepEqual(found.map(({ register, from, to }) => [register, from, to]), expected);
    }),
    { numRuns: 25 },
  );
});

Deno.test("gapsOf() looks at a long register in steps, and goes on where it was", async () => {
  await using test = await openTestStore();
  await test.db.write(async (tx) => {
    await tx.run(sql`INSERT INTO fog_aggregator_registers VALUES (1, 'm-1', 'r-1')`);
    await tx.run(sql`INSERT INTO fog_aggregator_readings
      WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 299999)
      SELECT 1, i + (i >= 4096) + (i >= 200000), 0, 0, 0, 0, 0, NULL, 1 FROM n`);
  });
  const first = await gapsOf(test.db, { limit: 10 });
  assert.deepEqual(first.gaps.map(({ from, to }) => [from, to]), [[4_096, 4_096], [
    200_001,
    200_001,
  ]]);
  assert.notEqual(first.next, null);
  assert.deepEqual(await gapsOf(test.db, { after: first.next!, limit: 10 }), {
    gaps: [],
    next: null,
  });
});

Deno.test("gapsOf() begins at the beginning for what is no place", async () => {
  await using test = await openTestStore();
  await insert(test.store, batch([reading(1), reading(3)]));
  for (const after of ["", "x", "1.", "-1.2", "1.2.3", "9".repeat(40)]) {
    assert.equal((await gapsOf(test.db, { after, limit: 5 })).gaps.length, 1, after);
  }
  assert.deepEqual(await gapsOf(test.db, { after: "2.-1", limit: 5 }), { gaps: [], next: null });
});
