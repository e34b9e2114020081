/**
 * Deleting what is no longer needed, in steps that are small enough to leave the writer free. First the
 * horizon moves over whole windows, which are never opened again; then each register loses its readings
 * before the horizon, from the lowest number on and without leaving any out. So what is deleted is
 * always a beginning of the register, and one anchor is enough to count on from there. Their numbers
 * stay known. A crash between two steps leaves readings that the next sweep finds.
 */
import { sql } from "drizzle-orm";
import type { Range } from "../../core/base/ranges.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Pruned } from "./pruned.ts";
import { Windows } from "./window.ts";

/** What the horizon has passed over. */
export interface Passed {
  readonly horizon: number;
  readonly windows: number;
  /** Of what the cloud does not have; 0 unless dropped. */
  readonly readings: number;
  readonly summaries: number;
  readonly from: number;
}

export interface PassOptions {
  /** Windows that end after this stay. */
  readonly until: number;
  /** Where the horizon may go when no window is before it. */
  readonly idle: number;
  /** Windows in one step. */
  readonly limit: number;
  /** Whether summaries must be at the cloud. */
  readonly hasCloud: boolean;
  /** Whether a summary that the cloud has refused may go with its window. */
  readonly refused: boolean;
  /** Takes what is not settled and not at the cloud, too. */
  readonly drop?: boolean;
}

interface WindowRow {
  readonly start: number;
  readonly dirty: number;
  readonly pending: number;
  readonly refused: number;
}

export async function readHorizon(q: Queries): Promise<number> {
  const [row] = await q.all<{ value: number }>(
    sql`SELECT value FROM fog_aggregator_state WHERE name = 'horizon'`,
  );
  return row?.value ?? 0;
}

async function windowsOf(q: Queries): Promise<Windows> {
  const rows = await q.all<{ since: number; milliseconds: number }>(
    sql`SELECT since, milliseconds FROM fog_aggregator_spans ORDER BY since`,
  );
  return new Windows(rows.map(({ since, milliseconds }) => ({ since, length: milliseconds })));
}

/** Moves the horizon over the oldest windows and deletes them and their summaries, or gives null. */
export async function passWindows(tx: Queries, options: PassOptions): Promise<Passed | null> {
  const { until, idle, limit, hasCloud, drop = false } = options;
  const before = await readHorizon(tx);
  const windows = await windowsOf(tx);
  const rows = await tx.all<WindowRow>(sql`
    SELECT start, dirty,
      EXISTS (SELECT 1 FROM fog_aggregator_summaries
        WHERE window_start = start AND acknowledged = 0 AND set_aside IS NULL) AS pending,
      EXISTS (SELECT 1 FROM fog_aggregator_summaries
        WHERE window_start = start AND acknowledged = 0 AND set_aside <> 'superseded') AS refused
    FROM fog_aggregator_windows ORDER BY start LIMIT ${limit + 1}`);
  const stays = rows.findIndex(({ start, dirty, pending, refused }, i) => {
    if (i === limit || windows.endOf(start) > until) return true;
    return !drop && (dirty || hasCloud && (pending || refused && !options.refused));
  });
  const passed = stays === -1 ? rows : rows.slice(0, stays);
  const next = stays === -1 ? Infinity : rows[stays]!.start;
  const last = passed.at(-1);
  const end = last === undefined ? before : windows.endOf(last.start);
  const horizon = Math.max(before, end, Math.min(next, windows.startOf(idle)));
  if (horizon <= before && passed.length === 0) return null;
  const from = passed[0]?.start ?? horizon;
  const lost = drop ? await countLost(tx, { from, horizon }) : { readings: 0, summaries: 0 };
  await tx.run(sql`INSERT INTO fog_aggregator_state (name, value) VALUES ('horizon', ${horizon})
    ON CONFLICT (name) DO UPDATE SET value = excluded.value`);
  if (last !== undefined) {
    await tx.run(sql`DELETE FROM fog_aggregator_windows WHERE start <= ${last.start}`);
    await deleteSummaries(tx, last.start);
  }
  return { horizon, windows: passed.length, from, ...lost };
}

async function countLost(
  tx: Queries,
  { from, horizon }: { from: number; horizon: number },
): Promise<{ readings: number; summaries: number }> {
  const [row] = await tx.all<{ readings: number; summaries: number }>(sql`
    SELECT (
      SELECT count(*) FROM fog_aggregator_readings
      WHERE window_start >= ${from} AND window_start < ${horizon}
    ) AS readings, (
      SELECT count(*) FROM fog_aggregator_summaries WHERE window_start >= ${from}
        AND window_start < ${horizon} AND acknowledged = 0 AND set_aside IS NULL
    ) AS summaries`);
  return row!;
}

/** All but the newest link and the newest that the cloud has: there the chain goes on. */
async function deleteSummaries(tx: Queries, upto: number): Promise<void> {
  interface Place {
    readonly epoch: number;
    readonly seq: number;
  }
  const [pending] = await tx.all<Place>(sql`SELECT epoch, seq FROM fog_aggregator_summaries
    WHERE acknowledged = 0 AND set_aside IS NULL ORDER BY epoch, seq LIMIT 1`);
  // what is pending is not walked through: it may be the backlog of weeks
  const { epoch, seq } = pending ?? { epoch: Number.MAX_SAFE_INTEGER, seq: 0 };
  const kept = await tx.all<Place>(sql`
    SELECT * FROM (SELECT epoch, seq FROM fog_aggregator_summaries
      ORDER BY epoch DESC, seq DESC LIMIT 1)
    UNION SELECT * FROM (SELECT epoch, seq FROM fog_aggregator_summaries
      WHERE (epoch, seq) < (${epoch}, ${seq}) AND acknowledged = 1
      ORDER BY epoch DESC, seq DESC LIMIT 1)`);
  const json = JSON.stringify(kept.map((link) => [link.epoch, link.seq]));
  await tx.run(sql`DELETE FROM fog_aggregator_summaries WHERE window_start <= ${upto}
    AND (epoch, seq) NOT IN (SELECT value->>0, value->>1 FROM json_each(${json}))`);
}

/** Registers whose first reading is before the horizon. */
export async function dueRegisters(q: Queries, horizon: number): Promise<number[]> {
  const rows = await q.all<{ id: number }>(sql`
    SELECT id FROM fog_aggregator_registers g WHERE (
      SELECT coalesce(window_start, t) FROM fog_aggregator_readings
      WHERE register_id = g.id ORDER BY seq LIMIT 1
    ) < ${horizon}`);
  return rows.map(({ id }) => id);
}

interface ReadingRow {
  readonly register: number;
  readonly seq: number;
  readonly energy_wh: number;
  readonly window_start: number | null;
  readonly batch_id: number;
  readonly gone: number;
}

/** Deletes the first readings of these registers, some of each; gives whether there may be more. */
export async function sweepRegisters(
  tx: Queries,
  registers: readonly number[],
  { pruned, rows: atMost }: { pruned: Pruned; rows: number },
): Promise<boolean> {
  const horizon = await readHorizon(tx);
  const each = Math.max(1, Math.floor(atMost / registers.length));
  // a window may begin before the horizon and be open still, where their length has changed
  const rows = await tx.all<ReadingRow>(sql`
    SELECT r.register_id AS register, r.seq, r.energy_wh, r.window_start, r.batch_id,
      coalesce(r.window_start, r.t) < ${horizon} AND NOT EXISTS (
        SELECT 1 FROM fog_aggregator_windows w WHERE w.start = r.window_start
      ) AS gone
    FROM json_each(${JSON.stringify(registers)}) j JOIN fog_aggregator_readings r
      ON r.register_id = j.value AND r.seq <= coalesce((
        SELECT seq FROM fog_aggregator_readings WHERE register_id = j.value
        ORDER BY seq LIMIT 1 OFFSET ${each - 1}
      ), ${Number.MAX_SAFE_INTEGER})
    ORDER BY r.register_id, r.seq`);
  const gone = beginnings(rows);
  if (gone.length === 0) return false;
  await pruned.add(tx, rangesByRegister(gone));
  await moveAnchors(tx, gone);
  await tx.run(sql`DELETE FROM fog_aggregator_readings WHERE (register_id, seq) IN (
    SELECT value->>0, value->>1
    FROM json_each(${JSON.stringify(gone.map(({ register, seq }) => [register, seq]))}))`);
  await releaseBatches(tx, gone);
  const counts = new Map<number, number>();
  for (const { register } of gone) counts.set(register, (counts.get(register) ?? 0) + 1);
  return [...counts.values()].some((count) => count === each);
}

/** Of each register the rows up to the first that stays. */
function beginnings(rows: readonly ReadingRow[]): ReadingRow[] {
  const stopped = new Set<number>();
  return rows.filter(({ register, gone }) => {
    if (!gone) stopped.add(register);
    return !stopped.has(register);
  });
}

function rangesByRegister(rows: readonly ReadingRow[]): Map<number, Range[]> {
  const ranges = new Map<number, [number, number][]>();
  for (const { register, seq } of rows) {
    const list = ranges.get(register);
    const last = list?.at(-1);
    if (list === undefined) ranges.set(register, [[seq, seq]]);
    else if (last![1] + 1 === seq) last![1] = seq;
    else list.push([seq, seq]);
  }
  return ranges;
}

/** An anchor is the highest reading deleted that was in a window; it only moves forward. */
async function moveAnchors(tx: Queries, rows: readonly ReadingRow[]): Promise<void> {
  const anchors = new Map<number, [register: number, seq: number, energy: number]>();
  for (const { register, seq, energy_wh, window_start } of rows) {
    if (window_start !== null) anchors.set(register, [register, seq, energy_wh]);
  }
  await tx.run(sql`INSERT INTO fog_aggregator_anchors (register_id, seq, energy_wh)
    SELECT value->>0, value->>1, value->>2
    FROM json_each(${JSON.stringify([...anchors.values()])}) WHERE true
    ON CONFLICT (register_id) DO UPDATE SET seq = excluded.seq, energy_wh = excluded.energy_wh
      WHERE excluded.seq > seq`);
}

/** A statement goes with the last of its readings. */
async function releaseBatches(tx: Queries, rows: readonly ReadingRow[]): Promise<void> {
  const counts = new Map<number, number>();
  for (const { batch_id } of rows) counts.set(batch_id, (counts.get(batch_id) ?? 0) + 1);
  const json = JSON.stringify([...counts]);
  await tx.run(sql`DELETE FROM fog_aggregator_batches WHERE id IN (
    SELECT b.id FROM json_each(${json}) j JOIN fog_aggregator_batches b ON b.id = j.value->>0
    WHERE b.remaining <= j.value->>1)`);
  await tx.run(sql`UPDATE fog_aggregator_batches SET remaining = remaining - j.n
    FROM (SELECT value->>0 AS id, value->>1 AS n FROM json_each(${json})) j
    WHERE j.id = fog_aggregator_batches.id`);
}

/** Quarantined statements that are older, or more, or larger together, than is kept. */
export async function spareQuarantine(
  q: Queries,
  { before, statements, bytes }: { before: number; statements: number; bytes: number },
): Promise<number[]> {
  // each is there twice: in the table, and in the index that tells repetitions
  const rows = await q.all<{ id: number }>(sql`
    SELECT id FROM (
      SELECT id, received_at, row_number() OVER newest AS n,
        2 * sum(length(statement)) OVER newest AS bytes
      FROM fog_aggregator_quarantine WINDOW newest AS (ORDER BY id DESC)
    ) WHERE received_at < ${Math.max(before, 0)} OR n > ${statements} OR bytes > ${bytes}`);
  return rows.map(({ id }) => id);
}

export async function deleteQuarantined(tx: Queries, ids: readonly number[]): Promise<void> {
  await tx.run(sql`DELETE FROM fog_aggregator_quarantine
    WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`);
}

/** The pages that the site's database uses, in bytes. */
export async function usedBytes(q: Queries): Promise<number> {
  const [row] = await q.all<{ used: number }>(sql`
    SELECT (page_count - freelist_count) * page_size AS used
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size`);
  return row!.used;
}
