/** What was signed and not taken is kept as evidence, with the reason. */
import { sql } from "drizzle-orm";
import { concat } from "../../core/base/bytes.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { ReadingRefusal } from "../../core/wire/reading.ts";

/** A reading that was not taken, by its register's number in the database. */
export interface Evidence {
  readonly register: number;
  readonly seq: number;
  readonly reason: ReadingRefusal;
  /** The statement that holds it. */
  readonly statement: Uint8Array;
  /** Unix milliseconds of the fog. */
  readonly receivedAt: number;
}

/**
 * Rows per statement at the most. Each holds the whole statement, and with it what else is wrong
 * there: a batch of contradictions must not take five hundred times its room.
 */
const rowsPerStatement = 8;

export async function quarantine(tx: Queries, evidence: Iterable<Evidence>): Promise<void> {
  const places = new Map<Uint8Array, { at: number; rows: number }>();
  const statements: Uint8Array[] = [];
  const rows: unknown[][] = [];
  let end = 1;
  for (const { register, seq, reason, statement, receivedAt } of evidence) {
    let place = places.get(statement);
    if (place === undefined) {
      places.set(statement, place = { at: end, rows: 0 });
      statements.push(statement);
      end += statement.length;
    }
    if (place.rows++ >= rowsPerStatement) continue;
    rows.push([receivedAt, register, seq, place.at, statement.length, reason]);
  }
  if (rows.length === 0) return;
  await tx.run(sql`INSERT OR IGNORE INTO fog_aggregator_quarantine
      (received_at, register_id, seq, statement, reason)
    SELECT value->>0, value->>1, value->>2,
      substr(${concat(...statements)}, value->>3, value->>4), value->>5
    FROM json_each(${JSON.stringify(rows)})`);
}
