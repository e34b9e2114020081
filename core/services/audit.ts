/**
 * The site's history. `append` writes an entry inside the caller's transaction, so that what happened
 * and the record of it are one: either both are on disk or neither is. If the entry cannot be written,
 * the action must not happen.
 */
import { sql } from "drizzle-orm";
import type { Clock } from "../base/clock.ts";
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
  /** SHA-256 of the statement that proves it, where there is one. */
  readonly statement?: Uint8Array;
}

export interface Audit {
  append(tx: Queries, entry: AuditEntry): Promise<void>;
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

/** The door of one role. */
export function auditOf(role: string, clock: Clock): Audit {
  return {
    async append(tx, entry) {
      await tx.run(sql`INSERT INTO audit (t, role, type, actor, subject, detail, statement)
        VALUES (${clock()}, ${role}, ${entry.type}, ${entry.actor}, ${entry.subject},
          ${JSON.stringify(entry.detail ?? {})}, ${entry.statement ?? null})`);
    },
  };
}
