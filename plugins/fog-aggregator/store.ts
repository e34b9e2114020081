/**
 * The fog's database. All that one call changes is in one transaction: readings with the windows that
 * they make dirty, a summary with the window that it settles. What is remembered in memory are hints:
 * none of them is wrong when a transaction comes to nothing.
 */
import { sql } from "drizzle-orm";
import type { Database, Queries } from "../../core/services/db/mod.ts";
import type { ReadingRefusal, Receipt } from "../../core/wire/reading.ts";
import type { WindowFigures } from "../../core/wire/summary.ts";
import { insertRows, type Row } from "./_bulk_insert.ts";
import { figuresOf } from "./_figures.ts";
import { quarantine } from "./_quarantine.ts";
import { type RegisterName, Registers } from "./_registers.ts";
import type { History } from "./history.ts";
import type { SignedBatch } from "./ingest.ts";
import { appendSummary, lastLink, type Link, type StoredSummary } from "./outbox.ts";
import type { PrunedReadings } from "./pruned.ts";
import { type Span, Windows, withLength } from "./window.ts";

export interface StoreOptions {
  /** Length of the windows from now on. */
  readonly window: number;
  /** Readings measured before this are stored, and summed up in no window. */
  readonly horizon: () => number;
  readonly pruned: PrunedReadings;
  /** Where it is written down that batches and summaries are stored. */
  readonly history: History;
}

/** A reading that the role refused although its meter signed it. */
export interface RefusedReading extends RegisterName {
  readonly seq: number;
  readonly reason: ReadingRefusal;
  readonly statement: Uint8Array;
  readonly receivedAt: number;
}

/** A window that is about to be settled. */
export interface Closing {
  readonly window: { readonly start: number; readonly end: number };
  readonly revision: number;
  readonly figures: WindowFigures;
  /** The link of the chain that the summary follows. */
  readonly last: Link;
}

export interface Closed extends Omit<Closing, "last"> {
  /** Readings in it whose register went back without saying why: they count as no energy. */
  readonly decreases: number;
  /** Some of the registers that went back, as "meter/register". */
  readonly decreasing: readonly string[];
  /** Some of the registers for which the summary has no room, or not for all that is there. */
  readonly leftOut: readonly string[];
}

export interface Store {
  /**
   * Stores a group of batches. @param take is called when the transaction begins, for what to store
   */
  insert(take: () => readonly SignedBatch[]): Promise<Receipt[]>;
  /** Stores a group of batches in the caller's transaction. */
  insertWithin(tx: Queries, batches: readonly SignedBatch[]): Promise<Receipt[]>;
  /** Keeps the evidence of refused readings, in the caller's transaction. */
  quarantine(tx: Queries, refused: readonly RefusedReading[]): Promise<void>;
  /** Whether the register is known, or its meter may have one more. */
  admits(name: RegisterName): boolean;
  /**
   * Starts of dirty windows to settle, the latest ones in any case: over for the grace, and dirty for
   * as long, so that corrections go together.
   */
  due(options: { now: number; grace: number; limit: number }): Promise<number[]>;
  /**
   * Settles a dirty window: `sign` makes the next link of the chain from its figures.
   * @returns null when there was nothing to settle
   */
  close(
    start: number,
    sign: (closing: Closing) => Omit<StoredSummary, "epoch">,
  ): Promise<Closed | null>;
  /** Leaves a dirty window alone until then. */
  postpone(start: number, until: number): Promise<void>;
}

/** Registers of one meter at the most: a meter gets a new one when it is replaced or has lost count. */
const registersPerMeter = 256;
/** A window cannot be dirty since so far in the future, unless the clock was set back. */
export const longestPostponement = 60_000;

export async function openStore(
  { db, clock }: { readonly db: Database; readonly clock: { now(): number } },
  { window, horizon, pruned, history }: StoreOptions,
): Promise<Store> {
  const registers = await Registers.open(db);
  const windows = await openWindows(db, window);
  const newest = await newestSeqs(db);
  const [last] = await db.read((q) =>
    q.all<{ id: number | null }>(sql`SELECT max(id) AS id FROM fog_aggregator_batches`)
  );
  let nextBatch = (last?.id ?? 0) + 1;

  async function insertWithin(
    tx: Queries,
    batches: readonly SignedBatch[],
    numbers: readonly number[],
  ): Promise<Receipt[]> {
    const firstBatch = nextBatch;
    nextBatch += batches.length; // a number that an undone transaction leaves out is no loss
    const windowedFrom = horizon();
    const rows = batches.map((batch, i) =>
      batch.readings.map((r): Row => [
        numbers[i]!,
        r.seq,
        r.t,
        r.energy_Wh,
        r.power_W,
        r.voltage_mV,
        r.flags,
        r.t < windowedFrom ? null : windows.startOf(r.t),
        firstBatch + i,
      ])
    );
    return await insertRows(tx, { batches, rows }, {
      firstBatch,
      ...{ newest, pruned, history },
      now: clock.now(),
    });
  }

  return {
    async insert(take) {
      let batches: readonly SignedBatch[] = [];
      let numbers: number[] = [];
      const receipts = await db.write(async (tx) => {
        batches = take();
        numbers = await registers.numbersOf(tx, batches);
        return await insertWithin(tx, batches, numbers);
      });
      registers.learn(batches, numbers);
      return receipts;
    },

    insertWithin: async (tx, batches) =>
      await insertWithin(tx, batches, await registers.numbersOf(tx, batches)),

    async quarantine(tx, refused) {
      const numbers = await registers.numbersOf(tx, refused);
      await quarantine(tx, refused.map((reading, i) => ({ ...reading, register: numbers[i]! })));
    },

    admits: (name) => registers.admits(name, registersPerMeter),

    async due({ now, grace, limit }) {
      const edge = windows.startOf(now - grace);
      const live = windows.startOf(edge - 1);
      const rows = await db.read((q) =>
        q.all<{ start: number }>(sql`
          SELECT start FROM fog_aggregator_windows
            WHERE start >= ${live} AND start < ${edge} AND dirty = 1
              AND dirtied_at <= ${now - grace}
          UNION SELECT start FROM (
            SELECT start FROM fog_aggregator_windows
            WHERE dirty = 1 AND dirtied_at <= ${now - grace} AND start < ${edge}
            ORDER BY dirtied_at LIMIT ${limit})
          UNION SELECT start FROM (
            SELECT start FROM fog_aggregator_windows
            WHERE dirty = 1 AND dirtied_at > ${now + longestPostponement} AND start < ${edge}
            LIMIT ${limit})
          ORDER BY start DESC`)
      );
      return rows.map(({ start }) => start);
    },

    close: (start, sign) =>
      db.write(async (tx) => {
        const [row] = await tx.all<{ revision: number }>(sql`
          UPDATE fog_aggregator_windows SET dirty = 0 WHERE start = ${start} AND dirty = 1
          RETURNING revision + 1 AS revision`);
        if (row === undefined) return null;
        const found = await figuresOf(tx, start);
        if (found === null) return null;
        const { revision } = row;
        await tx.run(sql`UPDATE fog_aggregator_windows SET revision = ${revision}
          WHERE start = ${start}`);
        const last = await lastLink(tx);
        const window = { start, end: windows.endOf(start) };
        const { figures, ...rest } = found;
        const { seq, hash, statement } = sign({ window, revision, figures, last });
        const { epoch } = last;
        await appendSummary(tx, { epoch, seq, hash, statement, start, revision });
        await history.summarySigned(tx, { epoch, seq, window, revision, hash });
        return { window, revision, figures, ...rest };
      }),

    postpone: (start, until) =>
      db.write(async (tx) => {
        await tx.run(sql`UPDATE fog_aggregator_windows SET dirtied_at = ${until}
          WHERE start = ${start} AND dirty = 1`);
      }),
  };
}

/** The lengths of windows so far, and from the next free one on the length that is configured. */
async function openWindows(db: Database, length: number): Promise<Windows> {
  const spans = await db.write(async (tx) => {
    const rows = await tx.all<{ since: number; milliseconds: number }>(
      sql`SELECT since, milliseconds FROM fog_aggregator_spans ORDER BY since`,
    );
    const before: Span[] = rows.map(({ since, milliseconds }) => ({ since, length: milliseconds }));
    const [row] = await tx.all<{ start: number | null; horizon: number | null }>(sql`SELECT
      (SELECT max(start) FROM fog_aggregator_windows) AS start,
      (SELECT value FROM fog_aggregator_state WHERE name = 'horizon') AS horizon`);
    const { start, horizon } = row!;
    const end = start === null || before.length === 0 ? 0 : new Windows(before).endOf(start);
    const after = withLength(before, { length, used: Math.max(end, horizon ?? 0) });
    if (after === before) return before;
    await tx.run(sql`DELETE FROM fog_aggregator_spans`);
    await tx.run(sql`INSERT INTO fog_aggregator_spans (since, milliseconds)
      SELECT value->>0, value->>1
      FROM json_each(${JSON.stringify(after.map((span) => [span.since, span.length]))})`);
    return after;
  });
  return new Windows(spans);
}

/** Per register a number that no windowed reading is above: it saves looking for followers. */
async function newestSeqs(db: Database): Promise<Map<number, number>> {
  const rows = await db.read((q) =>
    q.all<{ register: number; seq: number | null }>(sql`
      SELECT g.id AS register, (
        SELECT max(seq) FROM fog_aggregator_readings WHERE register_id = g.id
      ) AS seq FROM fog_aggregator_registers g`)
  );
  return new Map(rows.map(({ register, seq }) => [register, seq ?? -1]));
}
