/**
 * Rotation of the sealing key: a new version is made, everything sealed is sealed anew with it in one
 * transaction, and the versions before are forgotten. Each step is on disk before the next one begins,
 * so at any moment, and after a crash at any moment, all that is sealed can be opened; whatever a
 * crash has left is put in order by the next rotation.
 *
 * Forgotten means gone from identity.key and from memory. What a disk keeps of overwritten files, and
 * backups, are beyond its reach; the old sealed values that SQLite leaves in free pages are worth
 * nothing without the key.
 */
import { setImmediate } from "node:timers";
import { sql } from "drizzle-orm";
import { toHex } from "../base/bytes.ts";
import { Secret } from "../base/secret.ts";
import type { Suite } from "../trust/crypto.ts";
import type { Audit } from "./audit.ts";
import type { Database, Queries } from "./db/mod.ts";
import { type SealedColumn, type Sealer, SealingError } from "./sealing.ts";
import type { SealingKey } from "./sealing_key.ts";

export interface Rotation {
  /** The only version that is left. */
  readonly version: number;
  /** Values that were sealed anew. */
  readonly resealed: number;
}

/** Rows in one statement: each of them goes through the whole table. */
const chunk = 1_000;

/**
 * Rotates the key that the sealer seals with. The sealer stays in use, also meanwhile.
 * @throws DatabaseError, IdentityError, SealingError: then all versions are kept
 */
export async function rotateSealingKey(options: {
  suite: Suite;
  key: SealingKey;
  sealer: Sealer;
  db: Database;
  audit: Audit;
  actor: string;
}): Promise<Rotation> {
  const { suite, key, sealer, db, audit, actor } = options;
  const { columns } = sealer;
  if (columns === null) throw new Error("Cannot rotate: no sealed column was declared");
  key.add(new Secret(suite.randomBytes(32)));
  const { newest, resealed } = await db.write(async (tx) => {
    const { newest } = key;
    let resealed = 0;
    for (const column of columns) resealed += await reseal(tx, sealer, column);
    await audit.append(tx, {
      ...{ type: "sealing_key.rotated", actor, subject: "identity.key" },
      detail: { version: newest.version, resealed },
    });
    return { newest, resealed };
  });
  // whoever has read an old value just now has opened it after this turn of the event loop
  await new Promise((resolve) => setImmediate(resolve));
  for (const column of columns) await checkColumn(db, column, newest.version);
  key.forgetBefore(newest);
  return { version: newest.version, resealed };
}

async function reseal(tx: Queries, sealer: Sealer, where: SealedColumn): Promise<number> {
  const { table, column } = where;
  const rows = await tx.all<{ name: string; sealed: ArrayBuffer }>(sql.raw(
    `SELECT ${where.row} AS name, ${column} AS sealed FROM ${table} WHERE ${column} IS NOT NULL`,
  ));
  if (new Set(rows.map(({ name }) => name)).size < rows.length) {
    throw new Error(`Cannot seal ${table}.${column} anew: two of its rows have one name`);
  }
  for (let at = 0; at < rows.length; at += chunk) {
    const fresh = rows.slice(at, at + chunk).map(({ name, sealed }) => {
      const place = { table, column, row: name };
      const plaintext = sealer.open(place, new Uint8Array(sealed));
      const again = toHex(sealer.seal(place, plaintext));
      plaintext.fill(0);
      return [name, again];
    });
    await tx.run(sql`WITH anew (sealed_name, sealed_anew) AS MATERIALIZED (
        SELECT value ->> 0, unhex(value ->> 1) FROM json_each(${JSON.stringify(fresh)}))
      UPDATE ${sql.raw(table)} SET ${sql.raw(column)} = sealed_anew
      FROM anew WHERE ${sql.raw(where.row)} = sealed_name`);
  }
  return rows.length;
}

/** @throws SealingError "rotation_incomplete" when a value came in that an older version has sealed */
async function checkColumn(
  db: Database,
  { table, column }: SealedColumn,
  version: number,
): Promise<void> {
  const first = toHex(Uint8Array.of(version)).toUpperCase();
  const [old] = await db.read((q) =>
    q.all<{ n: number }>(sql`SELECT count(*) AS n FROM ${sql.raw(table)}
      WHERE ${sql.raw(column)} IS NOT NULL AND hex(substr(${sql.raw(column)}, 1, 1)) <> ${first}`)
  );
  if (old!.n === 0) return;
  throw new SealingError(
    "rotation_incomplete",
    `Cannot forget the old sealing key: ${old!.n} values of ${table} still need it`,
    { hint: "rotate again" },
  );
}
