/**
 * The site's history. `append` writes an entry inside the caller's transaction, so that what happened
 * and the record of it are one: either both are on disk or neither is. If the entry cannot be written,
 * the action must not happen.
 */
import { sql } from "drizzle-orm";
import { toHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { CodedError } from "../base/errors.ts";
import { encodeLogEntry, type LogEntry, maxEntry } from "../wire/log_entry.ts";
import type { Migration, Queries } from "./db/mod.ts";

export interface AuditEntry {
  /** An event type, or an action of the same form: "peer.enrolled". */
  readonly type: string;
  /** Who did it: a peer, a person, or "site". */
  readonly actor: string;
  /** Whom or what it concerns. */
  readonly subject: string;
  /** Plain data without secrets. */
  readonly detail?: Readonly<Record<string, unknown>>;
  /** SHA-256 of the statement that proves it, 32 bytes, where there is one. */
  readonly statement?: Uint8Array;
}

export interface Audit {
  /** @throws AuditError when the log could not hold it; then the action must not happen */
  append(tx: Queries, entry: AuditEntry): Promise<void>;
}

/** What a role has of the site's history. */
export interface SiteAudit extends Audit {
  /** Many entries in their order, at less than each would cost alone. @throws AuditError */
  appendAll(tx: Queries, entries: readonly AuditEntry[]): Promise<void>;
  /**
   * A `.tlog-proof` that the entry with a statement of this hash is in the site's log, with the entry
   * in it. Null while no checkpoint has it, which is for about a second, and where there is none.
   */
  prove(statement: Uint8Array): Promise<string | null>;
}

export class AuditError extends CodedError<"entry_too_large" | "bad_entry"> {
  override readonly name = "AuditError";
}

export const auditMigrations: readonly Migration[] = [{
  sql: `CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    t INTEGER NOT NULL,
    role TEXT NOT NULL,
    type TEXT NOT NULL,
    actor TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    statement BLOB
  ) STRICT`,
}];

/** Entries among which the last one is looked for. */
const recent = 10_000;

/** Who did one of these to a subject last, if that is among the latest entries. */
export async function lastActor(
  q: Queries,
  { types, subject, kind }: { types: readonly string[]; subject: string; kind: string },
): Promise<string | null> {
  const [entry] = await q.all<{ actor: string }>(sql`SELECT actor FROM audit
    WHERE id > (SELECT max(id) FROM audit) - ${recent} AND subject = ${subject}
      AND type IN (SELECT value FROM json_each(${JSON.stringify(types)}))
      AND detail ->> 'kind' = ${kind}
    ORDER BY id DESC LIMIT 1`);
  return entry?.actor ?? null;
}

/** Entries that one statement inserts. */
const bulk = 1_000;

/** The door of one role. @param prove how entries are proved, where the site has a log */
export function auditOf(
  role: string,
  clock: Clock,
  prove: SiteAudit["prove"] = () => Promise.resolve(null),
): SiteAudit {
  return {
    prove,
    async append(tx, entry) {
      const { t, type, actor, subject, detail, statement } = rowOf(entry, role, clock);
      await tx.run(sql`INSERT INTO audit (t, role, type, actor, subject, detail, statement)
        VALUES (${t}, ${role}, ${type}, ${actor}, ${subject}, ${detail}, ${statement})`);
    },
    async appendAll(tx, entries) {
      // all of them before the first: one that cannot be written leaves nothing behind
      const rows = entries.map((entry) => {
        const { t, type, actor, subject, detail, statement } = rowOf(entry, role, clock);
        return [t, type, actor, subject, detail, statement && toHex(statement)];
      });
      for (let from = 0; from < rows.length; from += bulk) {
        const json = JSON.stringify(rows.slice(from, from + bulk));
        await tx.run(sql`INSERT INTO audit (t, role, type, actor, subject, detail, statement)
          SELECT value ->> 0, ${role}, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
            unhex(value ->> 5) FROM json_each(${json}) ORDER BY key`);
      }
    },
  };
}

/** @throws AuditError */
function rowOf(entry: AuditEntry, role: string, clock: Clock): LogEntry {
  const { type, actor, subject, detail = {}, statement = null } = entry;
  const row = { t: clock(), role, type, actor, subject, detail: JSON.stringify(detail), statement };
  if (statement !== null && statement.length !== 32) {
    throw new AuditError("bad_entry", `Cannot record ${type}: its statement is not a SHA-256 hash`);
  }
  const { length } = encodeLogEntry(row);
  if (length <= maxEntry) return row;
  throw new AuditError("entry_too_large", `Cannot record ${type}: ${length} bytes are too many`, {
    hint: `an entry of the log has at most ${maxEntry} bytes`,
  });
}
