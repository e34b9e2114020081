/** `SummaryStore` over the site's embedded database. */
import { type SQL, sql } from "drizzle-orm";
import { equalBytes } from "../../core/base/bytes.ts";
import type { Database, Queries } from "../../core/services/db/mod.ts";
import type { Id } from "../../core/base/id.ts";
import type { Head } from "../../core/wire/uplink.ts";
import type { Outcome, SignedSummary, SummaryStore, Totals, Window } from "./store.ts";

export function libsqlStore(db: Database): SummaryStore {
  return {
    head: (fog) => db.read((q) => readHead(q, fog)),

    append: (fog, links, receivedAt) =>
      db.write(async (tx) => {
        let head = await readHead(tx, fog);
        const outcomes: Outcome[] = [];
        for (const link of links) {
          const outcome = await place(tx, fog, head, link);
          outcomes.push(outcome);
          if (outcome !== "stored") continue;
          await store(tx, fog, link, receivedAt);
          head = { epoch: link.summary.epoch, seq: link.summary.seq, hash: link.hash };
        }
        return { head, outcomes };
      }),

    async totals() {
      // total() gives a float: exact below 2^53, and above it no fog can make the answer fail
      const [row] = await db.read((q) =>
        q.all<Totals>(sql`SELECT total(windows) AS windows, total(n) AS n,
          total(sum_power_w) AS sum_power_W, total(sum_voltage_mv) AS sum_voltage_mV
          FROM cloud_summary_fogs`)
      );
      return row!;
    },

    latest: (limit) =>
      db.read((q) =>
        q.all<Window>(sql`SELECT ${columns} FROM cloud_summary_windows
          ORDER BY window_start DESC, fog_id LIMIT ${limit}`)
      ),

    windows: ({ fog, from, to, after, limit }) =>
      db.read((q) =>
        q.all<Window>(sql`SELECT ${columns} FROM cloud_summary_windows
          WHERE window_start >= ${from} AND window_start < ${to}
            AND (${fog ?? null} IS NULL OR fog_id = ${fog ?? null})
            AND (${after?.start ?? null} IS NULL
              OR (window_start, fog_id) > (${after?.start ?? null}, ${after?.fog ?? null}))
          ORDER BY window_start, fog_id LIMIT ${limit}`)
      ),
  };
}

const columns: SQL = sql.raw(`fog_id, window_start AS start, window_end AS "end", revision,
  num_meters, n, sum_power_w AS sum_power_W, min_power_w AS min_power_W,
  max_power_w AS max_power_W, sum_voltage_mv AS sum_voltage_mV, min_voltage_mv AS min_voltage_mV,
  max_voltage_mv AS max_voltage_mV, energy_wh AS energy_Wh`);

async function readHead(q: Queries, fog: Id): Promise<Head> {
  const [row] = await q.all<{ epoch: number; seq: number; hash: ArrayBuffer }>(
    sql`SELECT epoch, seq, hash FROM cloud_summary_fogs WHERE fog_id = ${fog}`,
  );
  if (row === undefined) return { epoch: 0, seq: 0, hash: new Uint8Array(32) };
  return { epoch: row.epoch, seq: row.seq, hash: new Uint8Array(row.hash) };
}

/** Where a link belongs: next in the chain, there already, or nowhere. */
async function place(
  tx: Queries,
  fog: Id,
  head: Head,
  { summary, hash }: SignedSummary,
): Promise<Outcome> {
  const first = head.epoch === 0;
  const next = first
    ? summary.epoch === 1 && summary.seq === 1 && summary.prev === null
    : summary.epoch === head.epoch && summary.seq === head.seq + 1 && summary.prev !== null &&
      equalBytes(summary.prev, head.hash);
  if (next) return "stored";
  const [row] = await tx.all<{ hash: ArrayBuffer }>(sql`SELECT hash FROM cloud_summary_summaries
    WHERE fog_id = ${fog} AND epoch = ${summary.epoch} AND seq = ${summary.seq}`);
  if (row !== undefined) {
    return equalBytes(new Uint8Array(row.hash), hash) ? "duplicate" : "conflict";
  }
  // the right place in the chain, but over another history
  const broken = !first && summary.epoch === head.epoch && summary.seq === head.seq + 1;
  return broken ? "conflict" : "gap";
}

async function store(tx: Queries, fog: Id, link: SignedSummary, receivedAt: number): Promise<void> {
  const { summary: s, hash, statement } = link;
  await tx.run(sql`INSERT INTO cloud_summary_summaries
    VALUES (${fog}, ${s.epoch}, ${s.seq}, ${hash}, ${receivedAt}, ${statement})`);
  const [before] = await tx.all<{ revision: number } & Omit<Totals, "windows">>(sql`
    SELECT revision, n, sum_power_w AS sum_power_W, sum_voltage_mv AS sum_voltage_mV
    FROM cloud_summary_windows WHERE window_start = ${s.window.start} AND fog_id = ${fog}`);
  const inForce = before === undefined || s.revision > before.revision;
  if (inForce) {
    await tx.run(sql`INSERT OR REPLACE INTO cloud_summary_windows VALUES (
      ${fog}, ${s.window.start}, ${s.window.end}, ${s.epoch}, ${s.seq}, ${s.revision},
      ${s.num_meters}, ${s.n}, ${s.sum_power_W}, ${s.min_power_W}, ${s.max_power_W},
      ${s.sum_voltage_mV}, ${s.min_voltage_mV}, ${s.max_voltage_mV}, ${s.energy_Wh})`);
  }
  const added = inForce
    ? {
      windows: before === undefined ? 1 : 0,
      n: s.n - (before?.n ?? 0),
      power: s.sum_power_W - (before?.sum_power_W ?? 0),
      voltage: s.sum_voltage_mV - (before?.sum_voltage_mV ?? 0),
    }
    : { windows: 0, n: 0, power: 0, voltage: 0 };
  await tx.run(sql`INSERT INTO cloud_summary_fogs VALUES (
      ${fog}, ${s.epoch}, ${s.seq}, ${hash}, ${added.windows}, ${added.n}, ${added.power},
      ${added.voltage})
    ON CONFLICT (fog_id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq,
      hash = excluded.hash, windows = windows + excluded.windows, n = n + excluded.n,
      sum_power_w = sum_power_w + excluded.sum_power_w,
      sum_voltage_mv = sum_voltage_mv + excluded.sum_voltage_mv`);
}
