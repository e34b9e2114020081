/**
 * Readings that no window in force holds, and those that two hold, by meter and register over all
 * fogs: numbers from 1 to the highest that any summary has told of.
 */
import { sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import type { Range } from "../../core/base/ranges.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { NextInPart, PartPage, PartQuery } from "./_findings.ts";
import { rangesFrom } from "./_ranges_from.ts";
import { type Stretch, sweep } from "./_sweep.ts";
import type { Finding } from "./store.ts";

/** Registers that one page looks at, and those of them that it must look into. */
const registersAtOnce = 500;
const lookedInto = 25;

/** One register as one fog tells of it. `rows` counts what it has in coverage, up to 2. */
interface Row {
  readonly id: number;
  readonly fog_id: Id;
  readonly meter: Id;
  readonly register: Id;
  readonly seq: number;
  readonly layers: number;
  readonly rows: number;
  readonly first: number | null;
  readonly last: number | null;
}

export async function missingReadings(
  q: Queries,
  query: PartQuery,
): Promise<PartPage> {
  const { at, limit } = query;
  const { groups, isAll } = await groupsFrom(q, query);
  const found: Finding[] = [];
  let next: NextInPart = null;
  let looks = 0;
  for (const group of groups) {
    const { meter, register } = group[0]!;
    const highest = Math.max(...group.map(({ seq }) => seq));
    const isFirst = at !== undefined && at[0] === meter && at[1] === register;
    const first = isFirst ? at[2] : 1;
    if (first <= highest && !isWhole(group)) {
      if (looks++ === lookedInto) return { found, next: [meter, register, first] };
      const room = limit - found.length;
      const { holes, until } = await lookInto(q, { group, range: [first, highest], limit: room });
      found.push(...holes);
      if (until < highest) return { found, next: [meter, register, until + 1] };
    }
    next = [meter, register, highest + 1];
    if (found.length >= limit) return { found, next };
  }
  return { found, next: isAll ? null : next };
}

/** Some registers, each with all fogs that tell of it. */
async function groupsFrom(
  q: Queries,
  { fog, meter, at }: PartQuery,
): Promise<{ groups: Row[][]; isAll: boolean }> {
  const [meterAt, registerAt] = at ?? ["", ""];
  const coverage = sql`FROM cloud_summary_coverage c WHERE c.register_id = r.id`;
  const rows = await q.all<Row>(sql`
    SELECT r.id, r.fog_id, r.meter, r.register, r.seq, r.layers,
      (SELECT count(*) FROM (SELECT 1 ${coverage} LIMIT 2)) AS rows,
      (SELECT first ${coverage} ORDER BY layer, first LIMIT 1) AS first,
      (SELECT last ${coverage} ORDER BY layer, first LIMIT 1) AS last
    FROM (SELECT DISTINCT meter, register FROM cloud_summary_registers
      WHERE (meter, register) >= (${meterAt}, ${registerAt})
        ${meter === undefined ? sql`` : sql`AND meter = ${meter}`}
        ${fog === undefined ? sql`` : sql`AND fog_id = ${fog}`}
      ORDER BY meter, register LIMIT ${registersAtOnce}) asked
    CROSS JOIN cloud_summary_registers r
      ON r.meter = asked.meter AND r.register = asked.register
    ORDER BY r.meter, r.register, r.fog_id`);
  const groups: Row[][] = [];
  for (const row of rows) {
    const last = groups.at(-1)?.[0];
    if (last?.meter === row.meter && last.register === row.register) groups.at(-1)!.push(row);
    else groups.push([row]);
  }
  return { groups, isAll: groups.length < registersAtOnce };
}

/** As nearly every register is: of one fog, and one range from the beginning to the end. */
function isWhole(group: readonly Row[]): boolean {
  const { rows, first, last, seq } = group[0]!;
  return group.length === 1 && rows === 1 && first! <= 1 && last! >= seq;
}

/** Some findings in a register, and the number up to which these are all. */
async function lookInto(
  q: Queries,
  { group, range: [first, highest], limit }: {
    group: readonly Row[];
    range: Range;
    limit: number;
  },
): Promise<{ holes: Finding[]; until: number }> {
  const sets: { owner: Id; ranges: Range[] }[] = [];
  let until = highest;
  for (const { id, fog_id, layers } of group) {
    for (let layer = 1; layer <= layers; layer++) {
      const key = sql`register_id = ${id} AND layer = ${layer}`;
      const part = await rangesFrom(q, { table: sql`cloud_summary_coverage`, key }, first);
      sets.push({ owner: fog_id, ranges: part.ranges });
      until = Math.min(until, part.until);
    }
  }
  const holes: Finding[] = [];
  for (const stretch of joined(sweep(sets, [first, until]))) {
    if (stretch.times === 1) continue;
    if (holes.length === limit) return { holes, until: stretch.from - 1 };
    const { from, to, owners } = stretch;
    const kind = stretch.times === 0 ? "reading" : "twice";
    const { meter, register } = group[0]!;
    holes.push({ kind, meter, register, from, to, fogs: [...owners].sort() });
  }
  return { holes, until };
}

/** Neighbours that differ only in how often the same fogs hold them are one finding. */
function* joined(stretches: Iterable<Stretch<Id>>): Generator<Stretch<Id>> {
  let last: Stretch<Id> | undefined;
  const isSame = (a: Stretch<Id>, b: Stretch<Id>) =>
    Math.min(a.times, 2) === Math.min(b.times, 2) &&
    a.owners.length === b.owners.length && a.owners.every((owner) => b.owners.includes(owner));
  for (const stretch of stretches) {
    if (last !== undefined && isSame(last, stretch)) last = { ...last, to: stretch.to };
    else {
      if (last !== undefined) yield last;
      last = stretch;
    }
  }
  if (last !== undefined) yield last;
}
