/**
 * What of a fog's past may be deleted: statements behind the head, and the figures of windows. What has
 * come and what is missing stays known, and so do the totals.
 */
import { sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import { type Range, rangesOf } from "../../core/base/ranges.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Horizon } from "./store.ts";

/** Spares the heads, what is ahead of them, and what an operator's decision may still need. */
export async function pruneStatements(
  tx: Queries,
  { statements, limit }: Horizon,
): Promise<number> {
  const rows = await tx.all(sql`
    WITH open AS MATERIALIZED (SELECT v.fog_id, v.epoch, v.seq
      FROM cloud_summary_windows u JOIN cloud_summary_windows v USING (window_start, fog_id)
      WHERE u.state = 'undecided')
    DELETE FROM cloud_summary_summaries WHERE (fog_id, epoch, seq) IN (
      SELECT s.fog_id, s.epoch, s.seq
      FROM cloud_summary_summaries s INDEXED BY cloud_summary_summaries_by_age
      JOIN cloud_summary_fogs f ON f.fog_id = s.fog_id
      WHERE s.received_at < ${statements} AND (s.epoch, s.seq) < (f.epoch, f.seq)
        AND (s.fog_id, s.epoch, s.seq) NOT IN open
      ORDER BY s.received_at LIMIT ${limit})
    RETURNING seq`);
  return rows.length;
}

/** Spares windows that are undecided. */
export async function pruneWindows(tx: Queries, { windows, limit }: Horizon): Promise<number> {
  const rows = await tx.all<{ fog_id: Id; start: number; end: number }>(sql`
    DELETE FROM cloud_summary_windows WHERE (window_start, fog_id) IN (
      SELECT window_start, fog_id FROM cloud_summary_windows v
      WHERE window_start < ${windows} AND window_end <= ${windows} AND NOT EXISTS (
        SELECT 1 FROM cloud_summary_windows u WHERE u.state = 'undecided'
          AND u.window_start = v.window_start AND u.fog_id = v.fog_id)
      ORDER BY window_start LIMIT ${limit})
    RETURNING fog_id, window_start AS start, window_end AS "end"`);
  const byFog = new Map<Id, Range[]>();
  for (const { fog_id, start, end } of rows) {
    const ranges = byFog.get(fog_id) ?? [];
    byFog.set(fog_id, ranges);
    ranges.push([start, end - 1]);
  }
  for (const [fog, ranges] of byFog) await addPruned(tx, fog, rangesOf(ranges));
  return rows.length;
}

async function addPruned(tx: Queries, fog: Id, ranges: readonly Range[]): Promise<void> {
  const [low, high] = [ranges[0]![0], ranges.at(-1)![1]];
  const near = await tx.all<{ first: number; last: number }>(sql`
    DELETE FROM cloud_summary_pruned WHERE fog_id = ${fog} AND first <= ${high + 1}
      AND first >= coalesce((SELECT max(first) FROM cloud_summary_pruned
        WHERE fog_id = ${fog} AND first <= ${low}), ${low})
    RETURNING first, last`);
  const all = rangesOf([...near.map(({ first, last }): Range => [first, last]), ...ranges]);
  await tx.run(sql`INSERT INTO cloud_summary_pruned
    SELECT ${fog}, value ->> 0, value ->> 1 FROM json_each(${JSON.stringify(all)})`);
}
