/**
 * Readings into the tables, many at a time: one statement for all rows, and a closer look only when
 * some of their keys were there before.
 */
import { sql } from "drizzle-orm";
import { concat } from "../../core/base/bytes.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import { Flag, type Receipt } from "../../core/wire/reading.ts";
import type { SignedBatch } from "./ingest.ts";

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

/**
 * Inserts the rows of each batch, and the batches themselves under ids that count up from
 * `firstBatch`. @param options.newest per register, a time that no
 * stored reading is after; kept up to date here
 */
export async function insertRows(
  tx: Queries,
  batches: readonly SignedBatch[],
  rows: readonly Row[][],
  { firstBatch, newest }: { firstBatch: number; newest: Map<number, number> },
): Promise<{ receipts: Receipt[]; windows: Set<number> }> {
  const all = rows.flat();
  const json = JSON.stringify(all);
  const { rowsAffected } = await tx.run(sql`INSERT INTO fog_aggregator_readings
    SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
      value->>8 FROM json_each(${json}) WHERE true
    ON CONFLICT DO NOTHING`);
  const { receipts, inserted } = rowsAffected === all.length
    ? { receipts: rows.map(allAccepted), inserted: all }
    : await compare(tx, batches, rows, json);
  await insertBatches(tx, batches, rows, { firstBatch, receipts });
  return { receipts, windows: await markWindows(tx, inserted, newest) };
}

function allAccepted({ length }: readonly Row[]): Receipt {
  return { accepted: length, duplicates: 0, refused: [] };
}

/** Some keys were there before: tells repetitions from contradictions, which go to quarantine. */
async function compare(
  tx: Queries,
  batches: readonly SignedBatch[],
  rows: readonly Row[][],
  json: string,
): Promise<{ receipts: Receipt[]; inserted: Row[] }> {
  const stored = new Map<string, Stored>();
  const found = await tx.all<Stored>(sql`
    SELECT r.* FROM json_each(${json}) j JOIN fog_aggregator_readings r
      ON r.register_id = j.value->>0 AND r.seq = j.value->>1`);
  for (const row of found) stored.set(`${row.register_id}/${row.seq}`, row);
  const receipts: Receipt[] = [];
  const inserted: Row[] = [];
  for (const [i, batch] of rows.entries()) {
    const { statement, receivedAt } = batches[i]!;
    const accepted = new Map<number, Row>();
    const refused: { seq: number; reason: "conflict" }[] = [];
    for (const row of batch) {
      const [register, seq] = row;
      const found = stored.get(`${register}/${seq}`)!;
      if (!sameContent(found, row)) {
        refused.push({ seq, reason: "conflict" });
        await tx.run(sql`INSERT OR IGNORE INTO fog_aggregator_quarantine
          (received_at, register_id, seq, statement)
          VALUES (${receivedAt}, ${register}, ${seq}, ${statement})`);
      } else if (found.batch_id === row[8] && !accepted.has(seq)) {
        accepted.set(seq, row);
      }
    }
    inserted.push(...accepted.values());
    const duplicates = batch.length - accepted.size - refused.length;
    receipts.push({ accepted: accepted.size, duplicates, refused });
  }
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
  batches: readonly SignedBatch[],
  rows: readonly Row[][],
  { firstBatch, receipts }: { firstBatch: number; receipts: readonly Receipt[] },
): Promise<void> {
  let at = 1;
  const places: number[][] = [];
  const statements: Uint8Array[] = [];
  batches.forEach(({ statement, receivedAt }, i) => {
    if (receipts[i]!.accepted === 0) return;
    places.push([firstBatch + i, rows[i]![0]![0], receivedAt, at, statement.length]);
    statements.push(statement);
    at += statement.length;
  });
  if (places.length === 0) return;
  await tx.run(sql`INSERT INTO fog_aggregator_batches
    SELECT value->>0, value->>1, value->>2, substr(${concat(...statements)}, value->>3, value->>4)
    FROM json_each(${JSON.stringify(places)})`);
}

/**
 * Makes the windows of new readings dirty, and of the readings that follow late ones: the energy of a
 * window counts from the reading before it, which a late one may have become.
 */
async function markWindows(
  tx: Queries,
  rows: readonly Row[],
  newest: Map<number, number>,
): Promise<Set<number>> {
  const windows = new Set<number>();
  const late: [register: number, t: number][] = [];
  for (const [register, , t, , , , , window] of rows) {
    if (window !== null) windows.add(window);
    if (t < (newest.get(register) ?? -Infinity)) late.push([register, t]);
    else newest.set(register, t);
  }
  if (late.length > 0) {
    // one step in the index per late reading; without the hint SQLite walks the whole register
    const followers = await tx.all<{ start: number }>(sql`
      SELECT DISTINCT n.window_start AS start FROM json_each(${JSON.stringify(late)}) j
      JOIN fog_aggregator_readings n INDEXED BY fog_aggregator_readings_by_time
        ON n.register_id = j.value->>0 AND n.t = (
          SELECT min(t) FROM fog_aggregator_readings INDEXED BY fog_aggregator_readings_by_time
          WHERE register_id = j.value->>0 AND t > j.value->>1
        ) WHERE n.window_start IS NOT NULL`);
    for (const { start } of followers) windows.add(start);
  }
  await tx.run(sql`INSERT INTO fog_aggregator_windows (start, dirty)
    SELECT value, 1 FROM json_each(${JSON.stringify([...windows])}) WHERE true
    ON CONFLICT (start) DO UPDATE SET dirty = 1 WHERE dirty = 0`);
  return windows;
}
