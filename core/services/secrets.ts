/**
 * Small secrets that a role keeps at rest: one table of the site, sealed by its sealer, so that a
 * rotation of the key reaches all of them, whatever roles are on. Each role has its own names.
 *
 * What is deleted or overwritten may stay in free pages of the database until they are used again: as
 * it was sealed, worth nothing without the site's key.
 */
import { sql } from "drizzle-orm";
import type { Migration, Queries } from "./db/mod.ts";
import type { SealedColumn, Sealer } from "./sealing.ts";

/** The secrets of one role. */
export interface Secrets {
  /**
   * Keeps a secret under this name, in the place of what is there. The caller wipes its bytes.
   * @param name 1 to 200 characters @param value at most 4 KiB
   */
  put(tx: Queries, name: string, value: Uint8Array): Promise<void>;
  /** Null when there is none. The caller wipes it. @throws SealingError "unsealable" */
  get(q: Queries, name: string): Promise<Uint8Array | null>;
  /** Forgets it, if there is one. */
  delete(tx: Queries, name: string): Promise<void>;
}

export const secretMigrations: readonly Migration[] = [{
  sql: `CREATE TABLE secrets (
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (role, name)
  ) STRICT, WITHOUT ROWID`,
}];

/** What is sealed here, for the rotation of the key. No role has a slash in its name. */
export const sealedSecret: SealedColumn = {
  table: "secrets",
  column: "value",
  row: "role || '/' || name",
};

const maxName = 200;
const maxValue = 4_096;

/** The door of one role. */
export function secretsOf(role: string, { sealer }: { sealer: Sealer }): Secrets {
  if (role === "" || role.includes("/")) throw new Error(`Cannot keep secrets of "${role}"`);

  function placeOf(name: string) {
    if (name === "" || name.length > maxName) {
      throw new Error("Cannot name a secret: it takes 1 to 200 characters");
    }
    return { table: sealedSecret.table, column: sealedSecret.column, row: `${role}/${name}` };
  }

  return {
    async put(tx, name, value) {
      if (value.length > maxValue) throw new Error(`Cannot keep a secret of ${value.length} bytes`);
      const sealed = sealer.seal(placeOf(name), value);
      await tx.run(sql`INSERT INTO secrets (role, name, value) VALUES (${role}, ${name}, ${sealed})
        ON CONFLICT (role, name) DO UPDATE SET value = excluded.value`);
    },
    async get(q, name) {
      const place = placeOf(name);
      const [row] = await q.all<{ value: ArrayBuffer }>(
        sql`SELECT value FROM secrets WHERE role = ${role} AND name = ${name}`,
      );
      // at once: a rotation forgets the older key in the next turn of the event loop
      return row === undefined ? null : sealer.open(place, new Uint8Array(row.value));
    },
    async delete(tx, name) {
      await tx.run(sql`DELETE FROM secrets WHERE role = ${role} AND name = ${name}`);
    },
  };
}
