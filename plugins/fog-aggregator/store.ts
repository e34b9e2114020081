/**
 * The fog's database. All that one call changes is in one transaction: readings with the windows that
 * they make dirty, a summary with the window that it settles. Bulk rows go in through `json_each`.
 */
import { sql } from "drizzle-orm";
import type { Host, Services } from "../../core/host/plugin.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Id } from "../../core/base/id.ts";
import { concat } from "../../core/base/bytes.ts";
import { Flag, type Receipt } from "../../core/wire/reading.ts";
import type { WindowFigures } from "../../core/wire/summary.ts";
import type { Config } from "./config.ts";
import type { SignedBatch } from "./ingest.ts";
import { windowStart } from "./window.ts";

/** The last link of the chain, or where a new one begins. */
export interface Link {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Uint8Array | null;
}

export interface StoredSummary {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Uint8Array;
  readonly statement: Uint8Array;
}

export interface Store {
  /**
   * Stores a group of batches. @param take is called when the transaction begins, for what to store
   */
  insert(take: () => readonly SignedBatch[]): Promise<{
    receipts: Receipt[];
    windows: ReadonlySet<number>;
  }>;
  /** Starts of dirty windows, oldest first. */
  dirtyWindows(): Promise<number[]>;
  /** Settles a dirty window: `sign` makes the next link of the chain from its figures. */
  close(
    start: number,
    sign: (figures: WindowFigures, revision: number, last: Link) => Omit<StoredSummary, "epoch">,
  ): Promise<{ revision: number; figures: WindowFigures } | null>;
  /** Summaries that the cloud has not acknowledged, in order. */
  pending(limit: number): Promise<StoredSummary[]>;
  /** Finds a link of our chain. */
  summary(epoch: number, seq: number): Promise<StoredSummary | null>;
  /** Everything up to this link is at the cloud. */
  acknowledge(epoch: number, seq: number): Promise<void>;
  lastLink(): Promise<Link>;
}

/** One reading as it goes through `json_each`: columns in the order of the table. */
type Row = [
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

export async function openStore(
  { db, clock }: Pick<Host & Services, "db" | "clock">,
  { window, lateness }: Pick<Config, "window" | "lateness">,
): Promise<Store> {
  const registers = new Map<string, number>();
  for (
    const row of await db.read((q) =>
      q.all<{ id: number; name: string }>(
        sql`SELECT id, meter || '/' || register AS name FROM fog_aggregator_registers`,
      )
    )
  ) registers.set(row.name, row.id);
  const [last] = await db.read((q) =>
    q.all<{ id: number | null }>(
      sql`SELECT max(id) AS id FROM fog_aggregator_batches`,
    )
  );
  let nextBatch = (last?.id ?? 0) + 1;

  async function registerId(tx: Queries, { meter, register }: SignedBatch): Promise<number> {
    const name = `${meter}/${register}`;
    const known = registers.get(name);
    if (known !== undefined) return known;
    const [row] = await tx.all<{ id: number }>(sql`
      INSERT INTO fog_aggregator_registers (meter, register) VALUES (${meter}, ${register})
      ON CONFLICT (meter, register) DO UPDATE SET meter = meter RETURNING id`);
    return row!.id;
  }

  return {
    async insert(take) {
      let batches: readonly SignedBatch[] = [];
      let ids: number[] = [];
      const result = await db.write(async (tx) => {
        batches = take();
        ids = [];
        for (const batch of batches) ids.push(await registerId(tx, batch));
        const horizon = clock() - lateness;
        const rows = batches.map((batch, i) =>
          batch.readings.map((r): Row => [
            ids[i]!,
            r.seq,
            r.t,
            r.energy_Wh,
            r.power_W,
            r.voltage_mV,
            r.flags,
            r.t < horizon ? null : windowStart(r.t, window),
            nextBatch + i,
          ])
        );
        return await insertRows(tx, batches, rows, nextBatch);
      });
      batches.forEach((batch, i) => registers.set(`${batch.meter}/${batch.register}`, ids[i]!));
      nextBatch += batches.length;
      return result;
    },

    async dirtyWindows() {
      const rows = await db.read((q) =>
        q.all<{ start: number }>(
          sql`SELECT start FROM fog_aggregator_windows WHERE dirty = 1 ORDER BY start`,
        )
      );
      return rows.map(({ start }) => start);
    },

    close: (start, sign) =>
      db.write(async (tx) => {
        const [row] = await tx.all<{ revision: number }>(sql`
          UPDATE fog_aggregator_windows SET dirty = 0, revision = revision + 1
          WHERE start = ${start} AND dirty = 1 RETURNING revision`);
        if (row === undefined) return null;
        const figures = await figuresOf(tx, start);
        const link = await lastLink(tx);
        const { seq, hash, statement } = sign(figures, row.revision, link);
        await tx.run(sql`INSERT INTO fog_aggregator_summaries
          (epoch, seq, window_start, revision, hash, statement)
          VALUES (${link.epoch}, ${seq}, ${start}, ${row.revision}, ${hash}, ${statement})`);
        return { revision: row.revision, figures };
      }),

    async pending(limit) {
      const rows = await db.read((q) =>
        q.all<SummaryRow>(sql`
        SELECT epoch, seq, hash, statement FROM fog_aggregator_summaries
        WHERE acknowledged = 0 ORDER BY epoch, seq LIMIT ${limit}`)
      );
      return rows.map(summaryOf);
    },

    async summary(epoch, seq) {
      const [row] = await db.read((q) =>
        q.all<SummaryRow>(sql`
        SELECT epoch, seq, hash, statement FROM fog_aggregator_summaries
        WHERE epoch = ${epoch} AND seq = ${seq}`)
      );
      return row === undefined ? null : summaryOf(row);
    },

    acknowledge: (epoch, seq) =>
      db.write(async (tx) => {
        await tx.run(sql`UPDATE fog_aggregator_summaries SET acknowledged = 1
          WHERE acknowledged = 0 AND (epoch, seq) <= (${epoch}, ${seq})`);
      }),

    lastLink: () => db.read(lastLink),
  };
}

interface SummaryRow {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: ArrayBuffer;
  readonly statement: ArrayBuffer;
}

function summaryOf({ epoch, seq, hash, statement }: SummaryRow): StoredSummary {
  return { epoch, seq, hash: new Uint8Array(hash), statement: new Uint8Array(statement) };
}

async function lastLink(q: Queries): Promise<Link> {
  const [row] = await q.all<SummaryRow>(sql`SELECT epoch, seq, hash FROM fog_aggregator_summaries
    ORDER BY epoch DESC, seq DESC LIMIT 1`);
  if (row === undefined) return { epoch: 1, seq: 0, hash: null };
  return { epoch: row.epoch, seq: row.seq, hash: new Uint8Array(row.hash) };
}

async function insertRows(
  tx: Queries,
  batches: readonly SignedBatch[],
  rows: readonly Row[][],
  firstBatch: number,
): Promise<{ receipts: Receipt[]; windows: Set<number> }> {
  const all = rows.flat();
  const json = JSON.stringify(all);
  const { rowsAffected } = await tx.run(sql`INSERT INTO fog_aggregator_readings
    SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
      value->>8 FROM json_each(${json}) WHERE true
    ON CONFLICT DO NOTHING`);
  const receipts: Receipt[] = rowsAffected === all.length
    ? rows.map((batch) => ({ accepted: batch.length, duplicates: 0, refused: [] }))
    : await compare(tx, batches, rows, json);
  await insertBatches(tx, batches, rows, { firstBatch, receipts });
  const windows = await markWindows(tx, all, json);
  return { receipts, windows };
}

/** Some keys were there before: tells repetitions from contradictions, which go to quarantine. */
async function compare(
  tx: Queries,
  batches: readonly SignedBatch[],
  rows: readonly Row[][],
  json: string,
): Promise<Receipt[]> {
  const stored = new Map<string, Row>();
  for (
    const row of await tx.values<Row>(sql`
    SELECT r.* FROM json_each(${json}) j JOIN fog_aggregator_readings r
      ON r.register_id = j.value->>0 AND r.seq = j.value->>1`)
  ) stored.set(`${row[0]}/${row[1]}`, row);
  const receipts: Receipt[] = [];
  for (const [i, batch] of rows.entries()) {
    let accepted = 0, duplicates = 0;
    const refused: { seq: number; reason: "conflict" }[] = [];
    const counted = new Set<number>();
    for (const row of batch) {
      const before = stored.get(`${row[0]}/${row[1]}`)!;
      if (!sameContent(before, row)) {
        refused.push({ seq: row[1], reason: "conflict" });
        await tx.run(sql`INSERT OR IGNORE INTO fog_aggregator_quarantine
          (received_at, register_id, seq, statement)
          VALUES (${batches[i]!.receivedAt}, ${row[0]}, ${row[1]}, ${batches[i]!.statement})`);
      } else if (before[8] === row[8] && !counted.has(row[1])) {
        counted.add(row[1]);
        accepted++;
      } else {
        duplicates++;
      }
    }
    receipts.push({ accepted, duplicates, refused });
  }
  return receipts;
}

/** Time is the fog's own where the meter had none: then it says nothing about the content. */
function sameContent(a: Row, b: Row): boolean {
  const clockUnset = (a[6] & Flag.clockUnset) !== 0;
  return (clockUnset || a[2] === b[2]) && a[3] === b[3] && a[4] === b[4] && a[5] === b[5] &&
    a[6] === b[6];
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
 * Makes the windows of new readings dirty, and of readings behind them in time: the energy of a
 * window counts from the reading before it, which a late one may have become.
 */
async function markWindows(tx: Queries, rows: readonly Row[], json: string): Promise<Set<number>> {
  const windows = new Set<number>();
  for (const row of rows) if (row[7] !== null) windows.add(row[7]);
  const successors = await tx.values<[number]>(sql`
    SELECT DISTINCT n.window_start FROM (
      SELECT value->>0 AS register_id, max(value->>2) AS t FROM json_each(${json}) GROUP BY 1
    ) j JOIN fog_aggregator_readings n ON n.register_id = j.register_id AND n.t = (
      SELECT min(t) FROM fog_aggregator_readings WHERE register_id = j.register_id AND t > j.t
    ) WHERE n.window_start IS NOT NULL`);
  for (const [start] of successors) windows.add(start);
  await tx.run(sql`INSERT INTO fog_aggregator_windows (start, dirty)
    SELECT value, 1 FROM json_each(${JSON.stringify([...windows])}) WHERE true
    ON CONFLICT (start) DO UPDATE SET dirty = 1 WHERE dirty = 0`);
  return windows;
}

async function figuresOf(tx: Queries, start: number): Promise<WindowFigures> {
  const [sums] = await tx.all<Omit<WindowFigures, "registers" | "num_meters" | "energy_Wh">>(sql`
    SELECT count(*) AS n,
      sum(power_w) AS sum_power_W, min(power_w) AS min_power_W, max(power_w) AS max_power_W,
      sum(voltage_mv) AS sum_voltage_mV, min(voltage_mv) AS min_voltage_mV,
      max(voltage_mv) AS max_voltage_mV
    FROM fog_aggregator_readings WHERE window_start = ${start}`);
  const perRegister = await tx.all<{ meter: Id; last: number; before: number }>(sql`
    SELECT g.meter, l.energy_wh AS last, coalesce((
        SELECT b.energy_wh FROM fog_aggregator_readings b
        WHERE b.register_id = w.register_id AND b.t < w.first_t ORDER BY b.t DESC LIMIT 1
      ), f.energy_wh) AS before
    FROM (
      SELECT register_id, min(t) AS first_t, max(t) AS last_t FROM fog_aggregator_readings
      WHERE window_start = ${start} GROUP BY register_id
    ) w
    JOIN fog_aggregator_registers g ON g.id = w.register_id
    JOIN fog_aggregator_readings f ON f.register_id = w.register_id AND f.t = w.first_t
    JOIN fog_aggregator_readings l ON l.register_id = w.register_id AND l.t = w.last_t
    ORDER BY w.last_t, f.seq, l.seq`);
  const registers = new Map<Id, number>();
  let energy_Wh = 0;
  for (const { meter, last, before } of perRegister) {
    registers.set(meter, last);
    energy_Wh += Math.max(0, last - before);
  }
  return { ...sums!, num_meters: registers.size, energy_Wh, registers };
}
