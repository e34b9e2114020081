/** A store over a database file of its own. */
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { type Database, openDatabase } from "../../core/services/db/mod.ts";
import { decodeSummary } from "../../core/wire/summary.ts";
import type { SummaryStore } from "./store.ts";
import { libsqlStore } from "./store_libsql.ts";
import { migrations } from "./tables.ts";

/** A database with this role's tables and the audit's. */
export async function withDatabase(use: (db: Database) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await using db = await openDatabase({ path: `${folder}/cloud.db` });
    await db.migrate("core", auditMigrations);
    await db.migrate("cloud-summary", migrations);
    await use(db);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Nobody has signed its statements: they are payloads. */
export function withLibsqlStore(
  use: (store: SummaryStore, db: Database) => Promise<void>,
): Promise<void> {
  const audit = auditOf("cloud-summary", () => 0);
  return withDatabase((db) => use(libsqlStore(db, { read: decodeSummary, audit }), db));
}
