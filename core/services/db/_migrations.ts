/**
 * Migrations as strings inside the code: each owner has its own sequence, applied once, in order, in
 * the transaction of the caller. A database that is newer than the program is refused.
 */
import { sql } from "drizzle-orm";
import type { Queries } from "./mod.ts";
import { DatabaseError } from "./_errors.ts";

/** The n-th migration of an owner is its n-th step; steps are never edited once released. */
export interface Migration {
  /** Statements separated by semicolons at the end of a line. */
  readonly sql: string;
}

export async function migrate(
  tx: Queries,
  owner: string,
  migrations: readonly Migration[],
): Promise<void> {
  await tx.run(sql`CREATE TABLE IF NOT EXISTS migrations (
    owner TEXT PRIMARY KEY, applied INTEGER NOT NULL) STRICT, WITHOUT ROWID`);
  const [row] = await tx.all<{ applied: number }>(
    sql`SELECT applied FROM migrations WHERE owner = ${owner}`,
  );
  const applied = row?.applied ?? 0;
  if (applied > migrations.length) {
    throw new DatabaseError("db_failed", `Cannot use the tables of ${owner}: they are newer`, {
      hint: "run the edgeward version that wrote this database, or a later one",
    });
  }
  for (const migration of migrations.slice(applied)) {
    for (const statement of migration.sql.split(/;\s*\n/)) {
      if (statement.trim() !== "") await tx.run(sql.raw(statement));
    }
  }
  await tx.run(sql`INSERT INTO migrations VALUES (${owner}, ${migrations.length})
    ON CONFLICT (owner) DO UPDATE SET applied = excluded.applied`);
}
