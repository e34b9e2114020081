/**
 * The fog's database. All that one call changes is in one transaction: readings with the windows that
 * they make dirty, a summary with the window that it settles. Bulk rows go in through `json_each`.
 */
import { sql } from "drizzle-orm";
import type { Host, Services } from "../../core/host/plugin.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Receipt } from "../../core/wire/reading.ts";
import type { WindowFigures } from "../../core/wire/summary.ts";
import { insertRows, type Row } from "./_bulk_insert.ts";
import { figuresOf } from "./_figures.ts";
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
  /** Per register, the latest time seen: a hint that saves looking for followers, never too low. */
  const newest = new Map<number, number>();
  const times = await db.read((q) =>
    q.all<{ register: number; t: number }>(sql`
      SELECT g.id AS register, (
        SELECT max(t) FROM fog_aggregator_readings WHERE register_id = g.id
      ) AS t FROM fog_aggregator_registers g`)
  );
  for (const { register, t } of times) newest.set(register, t);

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
        return await insertRows(tx, batches, rows, { firstBatch: nextBatch, newest });
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
