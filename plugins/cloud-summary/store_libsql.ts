/** `SummaryStore` over the site's embedded database. */
import { type SQL, sql } from "drizzle-orm";
import type { SiteAudit } from "../../core/services/audit.ts";
import type { Database } from "../../core/services/db/mod.ts";
import { appendLinks, headOf, linkUpTo, loseLinks } from "./_chain.ts";
import { knownRegisters } from "./_coverage.ts";
import { applyDecision, applySummaries, type ReadStatement } from "./_figures.ts";
import { findingsOf } from "./_findings.ts";
import { pruneStatements, pruneWindows } from "./_prune.ts";
import { historyOf } from "./history.ts";
import type { Place, SummaryInForce, SummaryStore, Totals, Window } from "./store.ts";

/** @param options.read reads a statement that is stored; `options.audit` records what is done */
export function libsqlStore(
  db: Database,
  options: { read: ReadStatement; audit: Pick<SiteAudit, "append" | "appendAll"> },
): SummaryStore {
  const { read } = options;
  const history = historyOf(options.audit);
  return {
    head: (fog, upto) =>
      db.read((q) => upto === undefined ? headOf(q, fog) : linkUpTo(q, fog, upto)),

    append: (fog, links, receivedAt) =>
      db.write(async (tx) => {
        const { stored, contradictions, ...appended } = await appendLinks(tx, fog, {
          ...{ links, receivedAt },
        });
        const summaries = stored.map(({ summary }) => summary);
        await applySummaries(tx, fog, { summaries, read });
        await history.chainChanged(tx, fog, { stored, contradictions });
        return appended;
      }),

    lose: (fog, upto, told) =>
      db.write(async (tx) => {
        const { contradictions, ...lost } = await loseLinks(tx, fog, { upto, ...told });
        const { missing } = lost;
        await history.chainChanged(tx, fog, { missing, contradictions, reason: told.reason });
        return lost;
      }),

    registers: (fog, page) => db.read((q) => knownRegisters(q, fog, page)),

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
          WHERE state = 'in_force' ORDER BY window_start DESC, fog_id LIMIT ${limit}`)
      ),

    windows: ({ state = "in_force", fog, from, to, after, limit }) =>
      db.read((q) =>
        q.all<Window>(sql`SELECT ${columns} FROM cloud_summary_windows
          WHERE state = ${sql.raw(`'${state}'`)}
            AND window_start >= ${Math.max(after?.start ?? 0, from)} AND window_start < ${to}
            ${fog === undefined ? sql`` : sql`AND fog_id = ${fog}`}
            ${
          after === undefined
            ? sql``
            : sql`AND (window_start, fog_id, epoch) > (${after.start}, ${after.fog}, ${after.epoch})`
        }
          ORDER BY window_start, fog_id, epoch LIMIT ${limit}`)
      ),

    async inForce(fog, start) {
      const [row] = await db.read((q) =>
        q.all<InForceRow>(
          sql`SELECT w.epoch, w.seq, s.statement, s.hash, s.received_at AS receivedAt
          FROM cloud_summary_windows w LEFT JOIN cloud_summary_summaries s USING (fog_id, epoch, seq)
          WHERE w.window_start = ${start} AND w.fog_id = ${fog} AND w.state = 'in_force'`,
        )
      );
      return row === undefined ? null : { fog_id: fog, start, ...summaryOf(row) };
    },

    findings: (query) => db.read((q) => findingsOf(q, query)),

    decide: (decision) =>
      db.write(async (tx) => {
        const windows = await applyDecision(tx, decision, read);
        if (windows > 0) await history.decided(tx, { ...decision, windows });
        return windows;
      }),

    prune: (horizon) =>
      db.write(async (tx) => await pruneStatements(tx, horizon) + await pruneWindows(tx, horizon)),
  };
}

interface InForceRow extends Place {
  readonly statement: ArrayBuffer | null;
  readonly hash: ArrayBuffer;
  readonly receivedAt: number;
}

function summaryOf({ epoch, seq, statement, hash, receivedAt }: InForceRow) {
  const signed = statement === null
    ? null
    : { statement: new Uint8Array(statement), hash: new Uint8Array(hash), receivedAt };
  return { epoch, seq, signed } satisfies Partial<SummaryInForce>;
}

const columns: SQL = sql.raw(`fog_id, window_start AS start, window_end AS "end", epoch, revision,
  num_meters, n, sum_power_w AS sum_power_W, min_power_w AS min_power_W,
  max_power_w AS max_power_W, sum_voltage_mv AS sum_voltage_mV, min_voltage_mv AS min_voltage_mV,
  max_voltage_mv AS max_voltage_mV, energy_wh AS energy_Wh`);
