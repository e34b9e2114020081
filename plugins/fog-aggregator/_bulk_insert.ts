/**
 * Readings into the tables, many at a time: one statement for all rows, and a closer look only when
 * some of their keys were there before.
 */
import { sql } from "drizzle-orm";
import { concat } from "../../core/base/bytes.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import { Flag, type Receipt } from "../../core/wire/reading.ts";
import { type Evidence, quarantine } from "./_quarantine.ts";
import type { History } from "./history.ts";
import type { SignedBatch } from "./ingest.ts";
import type { PrunedReadings } from "./pruned.ts";

/** One reading as it goes through `json_each`: columns in the order of the table. */
export type Row = [
  register: number,
  seq: number,
  t: number,
  energy: number,
  power: number,
  voltage: number,
  flags: number,
  window: number | null,
  batch: number,
];

/** Batches, and the rows of each. */
interface Group {
  readonly batches: readonly SignedBatch[];
  readonly rows: readonly Row[][];
}

interface Options {
  /** Number of the first batch; the others count up from it. */
  readonly firstBatch: number;
  /** Per register, a number that no windowed reading is above; kept up to date here. */
  readonly newest: Map<number, number>;
  readonly pruned: PrunedReadings;
  readonly history: History;
  /** Since when the windows of these readings are dirty. */
  readonly now: number;
}

/** Inserts what is new of each batch, and the batches themselves. */
export async function insertRows(tx: Queries, group: Group, options: Options): Promise<Receipt[]> {
  const all = group.rows.flat();
  const pruned = await prunedOf(tx, all, options.pruned);
  if (pruned.size === 0) {
    const receipts = await insertAsNew(tx, { ...group, all }, options);
    if (receipts !== null) return receipts;
  }
  const fresh = pruned.size === 0 ? all : all.filter((row) => !pruned.has(keyOf(row)));
  const json = JSON.stringify(fresh);
  await insertReadings(tx, json);
  const { receipts, inserted } = await compare(tx, group, { json, pruned });
  await insertBatches(tx, group, { ...options, receipts });
  await markWindows(tx, inserted, options);
  return receipts;
}

/**
 * Nearly always everything is new: then all statements can be sent at once, without waiting for the
 * answer to one before the next. Gives null, and leaves nothing, when some of it was there before.
 */
async function insertAsNew(
  tx: Queries,
  { all, ...group }: Group & { readonly all: readonly Row[] },
  options: Options,
): Promise<Receipt[] | null> {
  const receipts = group.rows.map(allAccepted);
  // a query begins when someone waits for it: this one must be the first
  const begun = tx.run(sql`SAVEPOINT as_new`).then(() => {});
  const [inserted] = await Promise.all([
    insertReadings(tx, JSON.stringify(all)),
    insertBatches(tx, group, { ...options, receipts }),
    markWindows(tx, all, options),
    begun,
  ]);
  if (inserted === all.length) return receipts;
  await tx.run(sql`ROLLBACK TO as_new`);
  return null;
}

/** @returns how many were new */
async function insertReadings(tx: Queries, json: string): Promise<number> {
  const { rowsAffected } = await tx.run(sql`INSERT INTO fog_aggregator_readings
    SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
      value->>8 FROM json_each(${json}) WHERE true
    ON CONFLICT DO NOTHING`);
  return rowsAffected;
}

function allAccepted({ length }: readonly Row[]): Receipt {
  return { accepted: length, duplicates: 0, refused: [] };
}

function keyOf([register, seq]: Row): string {
  return `${register}/${seq}`;
}

const none: ReadonlySet<string> = new Set();

async function prunedOf(
  tx: Queries,
  rows: readonly Row[],
  pruned: PrunedReadings,
): Promise<ReadonlySet<string>> {
  let asked: [number, number][] | undefined;
  for (const row of rows) {
    if (pruned.mayHold(row[0], row[1])) (asked ??= []).push([row[0], row[1]]);
  }
  return asked === undefined ? none : await pruned.held(tx, asked);
}

/** Some keys were there before: tells repetitions from contradictions, which go to quarantine. */
async function compare(
  tx: Queries,
  { batches, rows }: Group,
  { json, pruned }: { json: string; pruned: ReadonlySet<string> },
): Promise<{ receipts: Receipt[]; inserted: Row[] }> {
  const stored = new Map<string, Stored>();
  const found = await tx.all<Stored>(sql`
    SELECT r.* FROM json_each(${json}) j JOIN fog_aggregator_readings r
      ON r.register_id = j.value->>0 AND r.seq = j.value->>1`);
  for (const row of found) stored.set(`${row.register_id}/${row.seq}`, row);
  const receipts: Receipt[] = [];
  const inserted: Row[] = [];
  const evidence: Evidence[] = [];
  for (const [i, batch] of rows.entries()) {
    const { statement, receivedAt } = batches[i]!;
    const accepted = new Map<number, Row>();
    const refused: { seq: number; reason: "conflict" }[] = [];
    for (const row of batch) {
      const [register, seq] = row;
      const key = keyOf(row);
      // of what was deleted only the number is left: it is taken for a repetition
      if (pruned.has(key)) continue;
      const found = stored.get(key)!;
      if (!sameContent(found, row)) {
        refused.push({ seq, reason: "conflict" });
        evidence.push({ register, seq, reason: "conflict", statement, receivedAt });
      } else if (found.batch_id === row[8] && !accepted.has(seq)) {
        accepted.set(seq, row);
      }
    }
    inserted.push(...accepted.values());
    const duplicates = batch.length - accepted.size - refused.length;
    receipts.push({ accepted: accepted.size, duplicates, refused });
  }
  await quarantine(tx, evidence);
  return { receipts, inserted };
}

/** A row of the table. */
interface Stored {
  readonly register_id: number;
  readonly seq: number;
  readonly t: number;
  readonly energy_wh: number;
  readonly power_w: number;
  readonly voltage_mv: number;
  readonly flags: number;
  readonly batch_id: number;
}

/** Time is the fog's own where the meter had none: then it says nothing about the content. */
function sameContent(stored: Stored, [, , t, energy, power, voltage, flags]: Row): boolean {
  const clockUnset = (flags & Flag.clockUnset) !== 0;
  return (clockUnset || stored.t === t) && stored.energy_wh === energy &&
    stored.power_w === power && stored.voltage_mv === voltage && stored.flags === flags;
}

/** The statements, as one blob cut up in SQL: JSON carries no bytes. */
async function insertBatches(
  tx: Queries,
  { batches, rows }: Group,
  { firstBatch, history, receipts }: Pick<Options, "firstBatch" | "history"> & {
    receipts: readonly Receipt[];
  },
): Promise<void> {
  let at = 1;
  const places: number[][] = [];
  const statements: Uint8Array[] = [];
  batches.forEach(({ statement, receivedAt }, i) => {
    const { accepted } = receipts[i]!;
    if (accepted === 0) return;
    places.push([firstBatch + i, rows[i]![0]![0], receivedAt, at, statement.length, accepted]);
    statements.push(statement);
    at += statement.length;
  });
  if (places.length === 0) return;
  const inserting = tx.run(sql`INSERT INTO fog_aggregator_batches
      (id, register_id, received_at, statement, remaining)
    SELECT value->>0, value->>1, value->>2, substr(${concat(...statements)}, value->>3, value->>4),
      value->>5
    FROM json_each(${JSON.stringify(places)})`);
  await Promise.all([inserting, history.batchesStored(tx, statements)]);
}

/**
 * Makes the windows of new readings dirty, and of the readings that follow late ones: the energy of a
 * reading counts from the one with the next lower number, which a late one may have become.
 */
async function markWindows(
  tx: Queries,
  rows: readonly Row[],
  { newest, now }: Options,
): Promise<void> {
  const windows = new Set<number>();
  const late: [register: number, seq: number][] = [];
  for (const row of rows) {
    const register = row[0], seq = row[1], window = row[7]; // a pattern would make nine objects
    if (window === null) continue;
    windows.add(window);
    if (seq < (newest.get(register) ?? -1)) late.push([register, seq]);
    else newest.set(register, seq);
  }
  if (windows.size > 0) {
    await tx.run(sql`INSERT INTO fog_aggregator_windows (start, dirty, dirtied_at)
      SELECT value, 1, ${now} FROM json_each(${JSON.stringify([...windows])}) WHERE true
      ON CONFLICT (start) DO UPDATE SET dirty = 1, dirtied_at = excluded.dirtied_at
        WHERE dirty = 0`);
  }
  if (late.length === 0) return;
  // one step in the key per late reading; a window that is deleted is never opened again
  await tx.run(sql`UPDATE fog_aggregator_windows SET dirty = 1, dirtied_at = ${now}
    WHERE dirty = 0 AND start IN (
      SELECT (
        SELECT window_start FROM fog_aggregator_readings
        WHERE register_id = j.value->>0 AND seq > j.value->>1 AND window_start IS NOT NULL
        ORDER BY seq LIMIT 1
      ) FROM json_each(${JSON.stringify(late)}) j
    )`);
}
