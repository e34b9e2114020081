/**
 * The chains of fogs: what of them is there, and how far each holds without anything open. Links may
 * come in any order. Those ahead of the head are kept without being judged, up to a limit; the head
 * goes on over whatever follows it. A link behind the head fills a hole when it fits to its neighbours.
 */
import { type SQL, sql } from "drizzle-orm";
import { equalBytes } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import { holds, type Range, rangesOf, without } from "../../core/base/ranges.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Link } from "../../core/wire/uplink.ts";
import { type Evidence, writeEvidence } from "./_evidence.ts";
import { type RangeRow, rangeRows, type RangeSets } from "./_range_rows.ts";
import type { Appended, ChainRange, Lost, Outcome, Place, SignedSummary } from "./store.ts";

/** Links of one fog that may be kept ahead of its head. */
export const maxAhead = 4_096;

const nowhere: Link = { epoch: 0, seq: 0, hash: new Uint8Array(32) };
const linkRows = rangeRows("cloud_summary_links", ["fog_id", "epoch"]);

/** What tells whether links belong together. */
interface Joint extends Link {
  readonly prev: Uint8Array | null;
}

interface JointRow extends Place {
  readonly hash: ArrayBuffer;
  readonly prev: ArrayBuffer | null;
}

export async function headOf(q: Queries, fog: Id): Promise<Link> {
  return await oneLink(
    q,
    sql`SELECT epoch, seq, hash FROM cloud_summary_fogs WHERE fog_id = ${fog}`,
  );
}

/** The highest link there is at or before a place. */
export async function linkUpTo(q: Queries, fog: Id, { epoch, seq }: Place): Promise<Link> {
  return await oneLink(
    q,
    sql`SELECT epoch, seq, hash FROM cloud_summary_summaries
      WHERE fog_id = ${fog} AND (epoch, seq) <= (${epoch}, ${seq})
      ORDER BY epoch DESC, seq DESC LIMIT 1`,
  );
}

async function oneLink(q: Queries, query: SQL): Promise<Link> {
  const [row] = await q.all<Place & { hash: ArrayBuffer }>(query);
  return row === undefined ? nowhere : { ...row, hash: new Uint8Array(row.hash) };
}

/** Stores what can be stored, and moves the head; `stored` is what is new. */
export async function appendLinks(
  tx: Queries,
  fog: Id,
  { links, receivedAt }: { links: readonly SignedSummary[]; receivedAt: number },
): Promise<Appended & { stored: readonly SignedSummary[]; contradictions: readonly Link[] }> {
  let head = await headOf(tx, fog);
  if (links.length === 0) {
    return { ...{ head, outcomes: [], epochs: [], conflicts: [] }, stored: [], contradictions: [] };
  }
  const joints = await jointsAround(tx, fog, links);
  const sets = await linkRows.around(
    tx,
    links.map(({ summary: { epoch, seq } }): RangeRow => [fog, epoch, seq, seq]),
  );
  let ahead = await countAhead(tx, fog, head);
  const stored: SignedSummary[] = [];
  const begun: number[] = [];
  const evidence: Evidence[] = [];

  const outcomes = links.map((link): Outcome => {
    const { summary: { epoch, seq, prev }, hash, statement } = link;
    const joint = { epoch, seq, hash, prev };
    const outcome = judge(joint, { head, joints, held: sets.get(fog, epoch), ahead });
    if (outcome === "conflict") evidence.push({ epoch, seq, hash, statement });
    if (outcome !== "stored") return outcome;
    stored.push(link);
    joints.set(nameOf(joint), joint);
    sets.set(fog, epoch, rangesOf([...sets.get(fog, epoch), [seq, seq]]));
    if (follows(head, joint)) {
      if (epoch > head.epoch) begun.push(epoch);
      head = { epoch, seq, hash };
    } else if (isAfter(joint, head)) {
      ahead++;
    }
    return outcome;
  });

  if (stored.length > 0) {
    await insert(tx, fog, { links: stored, receivedAt });
    await linkRows.write(tx, sets);
    await raiseHighest(tx, fog, stored.map(({ summary }) => summary));
    const moved = ahead > 0 ? await advance(tx, fog, head) : { head, epochs: [], odd: null };
    if (moved.odd !== null) evidence.push(moved.odd);
    begun.push(...moved.epochs);
    head = moved.head;
    await writeHead(tx, fog, { head, receivedAt });
  }
  const contradictions = await writeEvidence(tx, fog, { evidence, receivedAt });
  const conflicts = contradictions.map(placeOf);
  const epochs = begun.filter((epoch) => epoch > 1);
  return { ...{ head, outcomes, epochs, conflicts }, stored, contradictions };
}

/** Moves the head to a link that will not come, and on from there, unless it is not at `after`. */
export async function loseLinks(
  tx: Queries,
  fog: Id,
  { upto, after, reason, at }: { upto: Link; after?: Link; reason: string; at: number },
): Promise<Lost & { contradictions: readonly Link[] }> {
  const before = await headOf(tx, fog);
  const isElsewhere = after !== undefined &&
    !(isAt(before, after) && equalBytes(before.hash, after.hash));
  if (isElsewhere || !isAfter(upto, before)) {
    return { head: before, missing: [], epochs: [], conflicts: [], contradictions: [] };
  }
  const missing = await missingBetween(tx, fog, { before, upto });
  await tx.run(sql`INSERT OR IGNORE INTO cloud_summary_lost
    SELECT ${fog}, value ->> 'epoch', value ->> 'from', value ->> 'to', ${reason}, ${at}
    FROM json_each(${JSON.stringify(missing)})`);
  await raiseHighest(tx, fog, [upto]);
  const evidence: Evidence[] = [];
  const there = await linkUpTo(tx, fog, upto);
  if (isAt(there, upto) && !equalBytes(there.hash, upto.hash)) {
    evidence.push({ ...upto, statement: new Uint8Array() });
  }
  const moved = await advance(tx, fog, upto);
  if (moved.odd !== null) evidence.push(moved.odd);
  await writeHead(tx, fog, { head: moved.head, receivedAt: at });
  const contradictions = await writeEvidence(tx, fog, { evidence, receivedAt: at });
  const conflicts = contradictions.map(placeOf);
  const begun = upto.epoch > Math.max(before.epoch, 1) ? [upto.epoch] : [];
  const epochs = [...begun, ...moved.epochs];
  return { ...{ head: moved.head, missing, epochs, conflicts }, contradictions };
}

function judge(
  link: Joint,
  { head, joints, held, ahead }: {
    head: Link;
    joints: ReadonlyMap<string, Joint>;
    held: readonly Range[];
    ahead: number;
  },
): Outcome {
  const { epoch, seq } = link;
  const there = joints.get(nameOf(link));
  const misfits = isImpossible(link) || (isNext(head, link) && !follows(head, link));
  if (there !== undefined) {
    return misfits || !equalBytes(there.hash, link.hash) ? "conflict" : "duplicate";
  }
  // the statement itself may be too old to be kept
  if (holds(held, seq)) return "duplicate";
  if (misfits) return "conflict";
  if (follows(head, link)) return "stored";
  if (isAfter(link, head)) return ahead < maxAhead ? "stored" : "beyond";
  const [left, right] = [seq - 1, seq + 1].map((seq) => joints.get(nameOf({ epoch, seq })));
  const fits = (left === undefined || isPrev(left, link.prev)) &&
    (right === undefined || isPrev(link, right.prev)) &&
    (!isAt(head, link) || equalBytes(head.hash, link.hash));
  return fits ? "stored" : "conflict";
}

/** Whether it fits nowhere: only a chain's first link has none before it. */
function isImpossible({ epoch, seq, prev }: Joint): boolean {
  return prev === null ? seq > 1 : epoch === 1 && seq === 1;
}

function placeOf({ epoch, seq }: Place): Place {
  return { epoch, seq };
}

function nameOf({ epoch, seq }: Place): string {
  return `${epoch}.${seq}`;
}

function isAt(place: Place, other: Place): boolean {
  return place.epoch === other.epoch && place.seq === other.seq;
}

function isAfter(place: Place, other: Place): boolean {
  return place.epoch > other.epoch || (place.epoch === other.epoch && place.seq > other.seq);
}

/** Whether it has the number behind the head, whatever it is. */
function isNext(head: Link, { epoch, seq }: Place): boolean {
  return head.epoch === 0 ? epoch === 1 && seq === 1 : epoch === head.epoch && seq === head.seq + 1;
}

function follows(head: Link, link: Joint): boolean {
  const isBeginning = link.epoch > head.epoch && link.seq === 1;
  return (isNext(head, link) || isBeginning) && isPrev(head, link.prev);
}

function isPrev(link: Link, prev: Uint8Array | null): boolean {
  return link.epoch === 0 ? prev === null : prev !== null && equalBytes(prev, link.hash);
}

function linkOf({ epoch, seq, hash }: Link): Link {
  return { epoch, seq, hash };
}

function jointOf({ epoch, seq, hash, prev }: JointRow): Joint {
  return { epoch, seq, hash: new Uint8Array(hash), prev: prev && new Uint8Array(prev) };
}

/** What is there at the places of links and beside them. */
async function jointsAround(
  tx: Queries,
  fog: Id,
  links: readonly SignedSummary[],
): Promise<Map<string, Joint>> {
  const places = links.flatMap(({ summary: { epoch, seq } }) =>
    [seq - 1, seq, seq + 1].map((seq) => [epoch, seq])
  );
  const rows = await tx.all<JointRow>(sql`SELECT s.epoch, s.seq, s.hash, s.prev
    FROM (SELECT DISTINCT value ->> 0 AS epoch, value ->> 1 AS seq
      FROM json_each(${JSON.stringify(places)})) asked
    CROSS JOIN cloud_summary_summaries s ON s.fog_id = ${fog} AND s.epoch = asked.epoch
      AND s.seq = asked.seq`);
  return new Map(rows.map((row) => [nameOf(row), jointOf(row)]));
}

async function countAhead(tx: Queries, fog: Id, { epoch, seq }: Place): Promise<number> {
  const [row] = await tx.all<{ n: number }>(sql`SELECT
    total(last - max(first, iif(epoch = ${epoch}, ${seq + 1}, first)) + 1) AS n
    FROM cloud_summary_links WHERE fog_id = ${fog}
      AND (epoch > ${epoch} OR (epoch = ${epoch} AND last > ${seq}))`);
  return row!.n;
}

async function insert(
  tx: Queries,
  fog: Id,
  { links, receivedAt }: { links: readonly SignedSummary[]; receivedAt: number },
): Promise<void> {
  if (links.length === 0) return;
  const rows = links.map(({ summary: { epoch, seq, prev }, hash, statement }) =>
    sql`(${fog}, ${epoch}, ${seq}, ${hash}, ${receivedAt}, ${statement}, ${prev})`
  );
  await tx.run(sql`INSERT INTO cloud_summary_summaries
    (fog_id, epoch, seq, hash, received_at, statement, prev) VALUES ${sql.join(rows, sql`, `)}`);
}

async function raiseHighest(tx: Queries, fog: Id, places: readonly Place[]): Promise<void> {
  const highest = new Map<number, number>();
  for (const { epoch, seq } of places) {
    highest.set(epoch, Math.max(seq, highest.get(epoch) ?? 0));
  }
  await tx.run(sql`INSERT INTO cloud_summary_chains
    SELECT ${fog}, value ->> 0, value ->> 1 FROM json_each(${JSON.stringify([...highest])})
    WHERE true
    ON CONFLICT (fog_id, epoch) DO UPDATE SET highest = max(highest, excluded.highest)`);
}

async function writeHead(
  tx: Queries,
  fog: Id,
  { head, receivedAt }: { head: Link; receivedAt: number },
): Promise<void> {
  await tx.run(sql`INSERT INTO cloud_summary_fogs
      (fog_id, epoch, seq, hash, windows, n, sum_power_w, sum_voltage_mv, received_at)
    VALUES (${fog}, ${head.epoch}, ${head.seq}, ${head.hash}, 0, 0, 0, 0, ${receivedAt})
    ON CONFLICT (fog_id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq,
      hash = excluded.hash, received_at = max(received_at, excluded.received_at)`);
}

/** Goes on over what is there already; `odd` is the link that has the next number and does not fit. */
async function advance(
  tx: Queries,
  fog: Id,
  from: Link,
): Promise<{ head: Link; epochs: number[]; odd: Evidence | null }> {
  const epochs: number[] = [];
  let head = from;
  for (;;) {
    const { head: end, odd } = await advanceWithin(tx, fog, head);
    const begun = await beginningAfter(tx, fog, end);
    if (begun === undefined) return { head: end, epochs, odd };
    epochs.push(begun.epoch);
    head = linkOf(begun);
  }
}

const stride = 256;

async function advanceWithin(
  tx: Queries,
  fog: Id,
  from: Link,
): Promise<{ head: Link; odd: Evidence | null }> {
  for (let head = from;;) {
    const rows = await tx.all<JointRow>(sql`SELECT epoch, seq, hash, prev
      FROM cloud_summary_summaries WHERE fog_id = ${fog} AND epoch = ${head.epoch}
        AND seq > ${head.seq} AND seq <= ${head.seq + stride} ORDER BY seq`);
    for (const link of rows.map(jointOf)) {
      if (!isNext(head, link)) return { head, odd: null };
      if (!follows(head, link)) return { head, odd: { ...link, statement: new Uint8Array() } };
      head = linkOf(link);
    }
    if (rows.length < stride) return { head, odd: null };
  }
}

/** The lowest epoch that begins with a link after this one. */
async function beginningAfter(tx: Queries, fog: Id, head: Link): Promise<Joint | undefined> {
  const rows = await tx.all<JointRow>(sql`SELECT s.epoch, s.seq, s.hash, s.prev
    FROM cloud_summary_links l CROSS JOIN cloud_summary_summaries s
      ON s.fog_id = l.fog_id AND s.epoch = l.epoch AND s.seq = 1
    WHERE l.fog_id = ${fog} AND l.epoch > ${head.epoch} AND l.first = 1 ORDER BY l.epoch`);
  return rows.map(jointOf).find((link) => follows(head, link));
}

/** What has not come behind one place, up to and with another. */
async function missingBetween(
  tx: Queries,
  fog: Id,
  { before, upto }: { before: Place; upto: Place },
): Promise<ChainRange[]> {
  const chains = await tx.all<{ epoch: number; highest: number }>(sql`SELECT epoch, highest
    FROM cloud_summary_chains WHERE fog_id = ${fog} AND epoch >= ${before.epoch}
      AND epoch < ${upto.epoch} ORDER BY epoch`);
  chains.push({ epoch: upto.epoch, highest: upto.seq });
  const missing: ChainRange[] = [];
  for (const { epoch, highest } of chains) {
    const first = epoch === before.epoch ? before.seq + 1 : 1;
    if (first > highest) continue;
    const sets: RangeSets = await linkRows.around(tx, [[fog, epoch, first, highest]]);
    for (const [from, to] of without([[first, highest]], sets.get(fog, epoch))) {
      missing.push({ epoch, from, to });
    }
  }
  return missing;
}
