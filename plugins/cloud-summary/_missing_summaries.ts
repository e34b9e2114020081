/**
 * Numbers of fogs' chains that have not come: from 1 to the highest of an epoch that anything was
 * heard of. Those that a fog has called lost bear its reason.
 */
import { sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import { type Range, rangesOf, without } from "../../core/base/ranges.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { NextInPart, PartPage, PartQuery } from "./_findings.ts";
import { rangesFrom, reasonsFrom } from "./_ranges_from.ts";
import type { Finding } from "./store.ts";

/** Chains that one page looks at. */
const chainsAtOnce = 100;

interface Chain {
  readonly fog_id: Id;
  readonly epoch: number;
  readonly highest: number;
}

type Piece = readonly [from: number, to: number, reason: string | null];

export async function missingSummaries(
  q: Queries,
  { fog, at, limit }: PartQuery,
): Promise<PartPage> {
  const [fogAt, epochAt, from] = at ?? ["", 0, 1];
  const chains = await q.all<Chain>(sql`SELECT fog_id, epoch, highest FROM cloud_summary_chains
    WHERE (fog_id, epoch) >= (${fogAt}, ${epochAt})
      ${fog === undefined ? sql`` : sql`AND fog_id = ${fog}`}
    ORDER BY fog_id, epoch LIMIT ${chainsAtOnce}`);
  const found: Finding[] = [];
  let next: NextInPart = null;
  for (const chain of chains) {
    const isFirst = chain.fog_id === fogAt && chain.epoch === epochAt;
    const first = isFirst ? from : 1;
    const { holes, until } = await holesIn(q, { chain, first, limit: limit - found.length });
    found.push(...holes);
    next = [chain.fog_id, chain.epoch, until + 1];
    if (until < chain.highest || found.length >= limit) return { found, next };
  }
  return chains.length < chainsAtOnce ? { found, next: null } : { found, next };
}

/** Some holes, and the number up to which these are all. */
async function holesIn(
  q: Queries,
  { chain, first, limit }: { chain: Chain; first: number; limit: number },
): Promise<{ holes: Finding[]; until: number }> {
  const { fog_id, epoch, highest } = chain;
  if (first > highest) return { holes: [], until: highest };
  const key = sql`fog_id = ${fog_id} AND epoch = ${epoch}`;
  const there = await rangesFrom(q, { table: sql`cloud_summary_links`, key }, first);
  const missing = without([[first, Math.min(there.until, highest)]], there.ranges);
  const open = missing[0]?.[0] ?? highest + 1;
  const told = await reasonsFrom(q, { table: sql`cloud_summary_lost`, key }, open);
  let until = Math.min(there.until, told.until, highest);
  const holes: Finding[] = [];
  const pieces = splitBy(missing, told.rows, until);
  for (const [from, to, reason] of pieces) {
    if (holes.length === limit) {
      until = from - 1;
      break;
    }
    holes.push({ kind: "summaries", fog_id, epoch, from, to, reason });
  }
  return { holes, until };
}

/** Parts of holes, each with the reason that was told of it, however often it was told. */
function splitBy(
  missing: readonly Range[],
  told: readonly { first: number; last: number; reason: string }[],
  until: number,
): Piece[] {
  const pieces: Piece[] = [];
  for (const [first, end] of missing) {
    const last = Math.min(end, until);
    if (first > last) continue;
    const parts = told.filter((lost) => lost.first <= last && lost.last >= first);
    for (const lost of parts) {
      pieces.push([Math.max(lost.first, first), Math.min(lost.last, last), lost.reason]);
    }
    const untold = without([[first, last]], rangesOf(parts.map((p): Range => [p.first, p.last])));
    for (const [a, b] of untold) pieces.push([a, b, null]);
  }
  return joined(pieces.sort((a, b) => a[0] - b[0]));
}

/** Neighbours of one reason are one piece. */
function joined(pieces: readonly Piece[]): Piece[] {
  const all: Piece[] = [];
  for (const piece of pieces) {
    const last = all.at(-1);
    const goesOn = last !== undefined && last[1] + 1 === piece[0] && last[2] === piece[2];
    if (goesOn) all[all.length - 1] = [last[0], piece[1], last[2]];
    else all.push(piece);
  }
  return all;
}
