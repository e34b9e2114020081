/**
 * Sets of numbers in a table, one row a range, under a key of two columns. A set may be large: only the
 * rows around the numbers in question are read, and only those that change are written.
 */
import { sql } from "drizzle-orm";
import type { Range } from "../../core/base/ranges.ts";
import type { Queries } from "../../core/services/db/mod.ts";

type Part = string | number;

/** One range of one set. */
export type RangeRow = readonly [Part, Part, first: number, last: number];

export interface RangeRows {
  /** The rows that share a number with the given ranges, or touch them; maybe some more beside them. */
  around(q: Queries, ranges: readonly RangeRow[]): Promise<RangeSets>;
  /** Puts what the sets are now in the place of the rows that they were read from. */
  write(tx: Queries, sets: RangeSets): Promise<void>;
}

/** Parts of sets, with what the table has of them. */
export class RangeSets {
  readonly #rows = new Map<string, RangeRow>();
  readonly #sets = new Map<string, { key: readonly [Part, Part]; ranges: readonly Range[] }>();

  constructor(rows: readonly RangeRow[]) {
    const found = new Map<string, { key: readonly [Part, Part]; ranges: Range[] }>();
    for (const row of rows) {
      const [a, b, first, last] = row;
      this.#rows.set(`${a} ${b} ${first}`, row);
      const key = `${a} ${b}`;
      const set = found.get(key);
      if (set === undefined) found.set(key, { key: [a, b], ranges: [[first, last]] });
      else set.ranges.push([first, last]);
    }
    for (const [key, set] of found) this.#sets.set(key, set);
  }

  get(a: Part, b: Part): readonly Range[] {
    return this.#sets.get(`${a} ${b}`)?.ranges ?? [];
  }

  set(a: Part, b: Part, ranges: readonly Range[]): void {
    this.#sets.set(`${a} ${b}`, { key: [a, b], ranges });
  }

  /** What the table must lose and get. */
  changes(): { gone: RangeRow[]; come: RangeRow[] } {
    const rest = new Map(this.#rows);
    const come: RangeRow[] = [];
    for (const { key, ranges } of this.#sets.values()) {
      for (const [first, last] of ranges) {
        const name = `${key[0]} ${key[1]} ${first}`;
        if (rest.get(name)?.[3] !== last) come.push([...key, first, last]);
        rest.delete(name);
      }
    }
    return { gone: [...rest.values()], come };
  }
}

/** @param key the names of the first two columns; the others are `first` and `last` */
export function rangeRows(name: string, key: readonly [string, string]): RangeRows {
  const [table, a, b] = [name, ...key].map((part) => sql.raw(part)) as [SqlName, SqlName, SqlName];
  return {
    async around(q, ranges) {
      // the row that begins at or before a range, and all up to the one that begins behind it
      const rows = await q.all<{ a: Part; b: Part; first: number; last: number }>(sql`
        SELECT DISTINCT r.${a} AS a, r.${b} AS b, r.first, r.last
        FROM (SELECT value ->> 0 AS a, value ->> 1 AS b, value ->> 2 AS first, value ->> 3 AS last
          FROM json_each(${JSON.stringify(ranges)})) asked
        CROSS JOIN ${table} r ON r.${a} = asked.a AND r.${b} = asked.b
          AND r.first <= asked.last + 1
          AND r.first >= coalesce((SELECT max(first) FROM ${table}
            WHERE ${a} = asked.a AND ${b} = asked.b AND first <= asked.first), asked.first)
        ORDER BY 1, 2, 3`);
      return new RangeSets(rows.map(({ a, b, first, last }) => [a, b, first, last]));
    },

    async write(tx, sets) {
      const { gone, come } = sets.changes();
      if (gone.length > 0) {
        await tx.run(sql`DELETE FROM ${table} WHERE (${a}, ${b}, first) IN
          (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(${JSON.stringify(gone)}))`);
      }
      if (come.length > 0) {
        await tx.run(sql`INSERT INTO ${table} (${a}, ${b}, first, last)
          SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3
          FROM json_each(${JSON.stringify(come)}) WHERE true
          ON CONFLICT (${a}, ${b}, first) DO UPDATE SET last = excluded.last`);
      }
    },
  };
}

type SqlName = ReturnType<typeof sql.raw>;
