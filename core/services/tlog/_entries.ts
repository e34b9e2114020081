/** The entries of the log, which are the rows of `audit` from a certain one on. */
import { sql } from "drizzle-orm";
import { encodeLogEntry, type LogEntry } from "../../wire/log_entry.ts";
import { CodedError } from "../../base/errors.ts";
import type { Queries } from "../db/mod.ts";

/** Entries `[from, from + count)` of a log whose first is the row `firstId`; fewer at the end. */
export async function readEntries(
  q: Queries,
  { firstId, from, count }: { firstId: number; from: number; count: number },
): Promise<Uint8Array[]> {
  const first = firstId + from;
  const rows = await q.all<Row>(sql`SELECT id, t, role, type, actor, subject, detail, statement
    FROM audit WHERE id >= ${first} AND id < ${first + count} ORDER BY id`);
  return rows.map(({ id, statement, ...entry }, i) => {
    if (id !== first + i) {
      throw new CodedError("log_damaged", "Cannot read the log: an entry was removed", {
        hint: "restore data_dir from a backup",
      });
    }
    const hash = statement === null ? null : new Uint8Array(statement);
    return encodeLogEntry({ ...entry, statement: hash });
  });
}

/** The row that the next entry will be. */
export async function nextId(q: Queries): Promise<number> {
  const [row] = await q.all<{ last: number | null }>(sql`SELECT max(id) AS last FROM audit`);
  return (row?.last ?? 0) + 1;
}

interface Row extends Omit<LogEntry, "statement"> {
  readonly id: number;
  readonly statement: ArrayBuffer | null;
}
