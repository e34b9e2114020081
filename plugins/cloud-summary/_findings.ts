/**
 * Everything that is missing and everything that contradicts, part by part and page by page. A page
 * looks at a bounded number of rows, whatever it finds; where it ended, the next one begins.
 */
import { sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import { missingReadings } from "./_missing_readings.ts";
import { missingSummaries } from "./_missing_summaries.ts";
import { type Finding, findingParts, type FindingPlace, type FindingQuery } from "./store.ts";

/** Where a part goes on: null at its end. */
export type NextInPart = NonNullable<FindingPlace["at"]> | null;

/** What a look at one part has given. */
export interface PartPage {
  readonly found: Finding[];
  readonly next: NextInPart;
}

/** What a part is asked. */
export interface PartQuery {
  readonly fog: Id | undefined;
  readonly meter: Id | undefined;
  readonly at: FindingPlace["at"];
  readonly limit: number;
}

type Part = (q: Queries, query: PartQuery) => Promise<PartPage>;

const parts: Record<FindingPlace["part"], Part> = {
  fogs,
  summaries: missingSummaries,
  readings: missingReadings,
  undecided,
  conflicts,
};

export async function findingsOf(
  q: Queries,
  { fog, meter, from, limit }: FindingQuery,
): Promise<{ found: Finding[]; next: FindingPlace | null }> {
  const found: Finding[] = [];
  const asked = meter === undefined ? findingParts : ["readings"] as const;
  const rest = asked.filter((part) =>
    findingParts.indexOf(part) >= findingParts.indexOf(from.part)
  );
  for (const [i, part] of rest.entries()) {
    const at = part === from.part ? from.at : undefined;
    const page = await parts[part](q, { fog, meter, at, limit: limit - found.length });
    found.push(...page.found);
    if (page.next !== null) return { found, next: { part, at: page.next } };
    const following = rest[i + 1];
    if (following === undefined) break;
    if (found.length >= limit) return { found, next: { part: following } };
  }
  return { found, next: null };
}

async function fogs(q: Queries, { fog, at, limit }: PartQuery): Promise<PartPage> {
  const rows = await q.all<{ fog_id: Id; epoch: number; seq: number; received: number }>(sql`
    SELECT fog_id, epoch, seq, received_at AS received FROM cloud_summary_fogs
    WHERE fog_id > ${at?.[0] ?? ""} ${fog === undefined ? sql`` : sql`AND fog_id = ${fog}`}
    ORDER BY fog_id LIMIT ${limit}`);
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    found: rows.map(({ fog_id, epoch, seq, received }) => {
      return { kind: "fog", fog_id, head: { epoch, seq }, received };
    }),
    next: last === undefined ? null : [last.fog_id, 0, 0],
  };
}

async function undecided(q: Queries, { fog, at, limit }: PartQuery): Promise<PartPage> {
  const [after, , start] = at ?? ["", "", -1];
  const rows = await q.all<{ fog_id: Id; start: number; end: number; epochs: string }>(sql`
    SELECT u.fog_id, u.window_start AS start, max(u.window_end) AS "end",
      (SELECT json_group_array(epoch) FROM cloud_summary_windows v
        WHERE v.window_start = u.window_start AND v.fog_id = u.fog_id) AS epochs
    FROM cloud_summary_windows u WHERE u.state = 'undecided'
      AND (u.window_start, u.fog_id) > (${start}, ${after})
      ${fog === undefined ? sql`` : sql`AND u.fog_id = ${fog}`}
    GROUP BY u.window_start, u.fog_id ORDER BY u.window_start, u.fog_id LIMIT ${limit}`);
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    found: rows.map(({ epochs, ...rest }) => {
      const numbers = (JSON.parse(epochs) as number[]).sort((a, b) => a - b);
      return { kind: "undecided", ...rest, epochs: numbers };
    }),
    next: last === undefined ? null : [last.fog_id, 0, last.start],
  };
}

async function conflicts(q: Queries, { fog, at, limit }: PartQuery): Promise<PartPage> {
  const [after, epoch, seq] = at ?? ["", 0, 0];
  const rows = await q.all<{ fog_id: Id; epoch: number; seq: number }>(sql`
    SELECT DISTINCT fog_id, epoch, seq FROM cloud_summary_conflicts
    WHERE (fog_id, epoch, seq) > (${after}, ${epoch}, ${seq})
      ${fog === undefined ? sql`` : sql`AND fog_id = ${fog}`}
    ORDER BY fog_id, epoch, seq LIMIT ${limit}`);
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    found: rows.map((row) => ({ kind: "conflict", ...row })),
    next: last === undefined ? null : [last.fog_id, last.epoch, last.seq],
  };
}
