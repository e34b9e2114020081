/** A site with sealed values, for the tests of rotation: its key file, its database, one declared column. */
import { sql } from "drizzle-orm";
import { utf8 } from "../base/bytes.ts";
import { auditMigrations, auditOf } from "./audit.ts";
import { nativeSuite } from "./crypto_native.ts";
import { type Database, openDatabase } from "./db/mod.ts";
import { openIdentity } from "./identity.ts";
import { type SealedColumn, type Sealer, sealerOf } from "./sealing.ts";
import { rotateSealingKey, type Rotation } from "./sealing_rotation.ts";

/** As in the table of peers: a name of two columns, one of which json_each has too. */
const sealedSecret: SealedColumn = {
  table: "things",
  column: "secret",
  row: "kind || '/' || id",
};
const migrations = [{
  sql: `CREATE TABLE things (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    secret BLOB,
    PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID`,
}];

/** Opens the site in this folder, as a process does that starts. */
export async function openSealedSite(folder: string) {
  const suite = nativeSuite();
  const key = openIdentity(suite, folder).sealingKey;
  const db = await openDatabase({ path: `${folder}/edgeward.db` });
  await db.migrate("core", [...auditMigrations, ...migrations]);
  const sealer = sealerOf(suite, key, [sealedSecret]);
  const audit = auditOf("core", () => 1_000);
  return {
    db,
    key,
    sealer,
    /** What is sealed under an id is made from it. */
    add: (id: string) =>
      db.write(async (tx) => {
        const sealed = sealer.seal(placeOf(id), utf8(`secret of ${id}`));
        await tx.run(sql`INSERT INTO things VALUES ('thing', ${id}, ${sealed})`);
      }),
    rotate: (through: Database = db): Promise<Rotation> =>
      rotateSealingKey({ suite, key, sealer, db: through, audit, actor: "site" }),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
}

/** The ids whose secret opens to what was sealed. @throws SealingError when one does not open at all */
export async function openedIn(
  { db, sealer }: { db: Database; sealer: Sealer },
): Promise<string[]> {
  const rows = await db.read((q) =>
    q.all<{ id: string; secret: ArrayBuffer }>(sql`SELECT id, secret FROM things
      WHERE secret IS NOT NULL ORDER BY id`)
  );
  return rows.flatMap(({ id, secret }) => {
    const opened = new TextDecoder().decode(sealer.open(placeOf(id), new Uint8Array(secret)));
    return opened === `secret of ${id}` ? [id] : [];
  });
}

function placeOf(id: string) {
  return { table: "things", column: "secret", row: `thing/${id}` };
}
