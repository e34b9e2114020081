/** A store over a database file of its own. */
import { openDatabase } from "../../core/services/db/mod.ts";
import type { SummaryStore } from "./store.ts";
import { libsqlStore } from "./store_libsql.ts";
import { migrations } from "./tables.ts";

export async function withLibsqlStore(use: (store: SummaryStore) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await using db = await openDatabase({ path: `${folder}/cloud.db` });
    await db.migrate("cloud-summary", migrations);
    await use(libsqlStore(db));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
