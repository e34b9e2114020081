/** A bounded look into a set that a table keeps as ranges. */
import { type SQL, sql } from "drizzle-orm";
import type { Range } from "../../core/base/ranges.ts";
import type { Queries } from "../../core/services/db/mod.ts";

/** Ranges at once. */
export const rangesAtOnce = 500;

/** Where a set is: its table, and the condition that picks its rows. */
export interface SetPlace {
  readonly table: SQL;
  readonly key: SQL;
}

/**
 * The ranges of a set from those that hold a number on; `until` is the number up to which these are
 * all, as large as can be when they are.
 */
export async function rangesFrom(
  q: Queries,
  set: SetPlace,
  from: number,
): Promise<{ ranges: Range[]; until: number }> {
  const rows = await rowsFrom<{ first: number; last: number }>(q, { ...set, more: sql`` }, from);
  return { ranges: rows.map(({ first, last }) => [first, last]), until: untilOf(rows) };
}

/** As `rangesFrom`, of a table where each range has a reason. */
export async function reasonsFrom(q: Queries, set: SetPlace, from: number) {
  const rows = await rowsFrom<{ first: number; last: number; reason: string }>(
    q,
    { ...set, more: sql`, reason` },
    from,
  );
  return { rows, until: untilOf(rows) };
}

async function rowsFrom<Row>(
  q: Queries,
  { table, key, more }: SetPlace & { more: SQL },
  from: number,
): Promise<Row[]> {
  return await q.all<Row>(sql`SELECT first, last ${more} FROM ${table} WHERE ${key}
    AND first >= coalesce((SELECT max(first) FROM ${table} WHERE ${key} AND first <= ${from}), 0)
    ORDER BY first LIMIT ${rangesAtOnce}`);
}

function untilOf(rows: readonly { last: number }[]): number {
  return rows.length < rangesAtOnce ? Number.MAX_SAFE_INTEGER : rows.at(-1)!.last;
}
