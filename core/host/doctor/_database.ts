/**
 * The database, read from its first page to its last, without a trace: a file that was closed in good
 * order is opened as one that cannot change, so that SQLite puts nothing beside it; one that was not
 * is opened with the log that lies there. While the site runs, the file is the site's business.
 */
import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { messageOf } from "../../base/errors.ts";
import { databasePath } from "../data_dir.ts";
import type { Finding } from "../plugin.ts";
import { amountText } from "../shown.ts";
import type { Patient } from "./_probe.ts";

/** Bytes that are read in a few seconds also from a memory card; SQLite cannot be interrupted here. */
const readable = 512e6;

export async function* database({ config, running }: Patient): AsyncIterable<Finding> {
  const file = databasePath(config.data_dir);
  if (running !== null) {
    const bytes = running === "mute" ? undefined : running.database?.bytes;
    const what = bytes === undefined ? "" : `, ${amountText(bytes)}`;
    return yield { state: "ok", what: `left to the site that runs${what}` };
  }
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  if (size === undefined) {
    return yield { state: "ok", what: "edgeward.db is made when a role first needs it" };
  }
  if (size > readable) {
    return yield {
      state: "degraded",
      what: `edgeward.db has ${amountText(size)}: too much to read through here`,
      hint: `sqlite3 -readonly ${file} "PRAGMA quick_check"`,
    };
  }
  const fault = faultIn(file);
  yield fault === null ? { state: "ok", what: `edgeward.db is whole, ${amountText(size)}` } : {
    state: "failed",
    what: `edgeward.db is damaged or cannot be opened: ${fault}`,
    hint: "restore it from a backup; keep the damaged file for whoever looks into it",
  };
}

/** What SQLite complains of first; null when it has no complaint. */
function faultIn(file: string): string | null {
  const url = pathToFileURL(file);
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false });
  if (log === undefined || log.size === 0) url.search = "immutable=1";
  try {
    using db = new DatabaseSync(url, { readOnly: true });
    const row = db.prepare("PRAGMA quick_check(1)").get();
    const verdict = String(Object.values(row ?? {})[0]);
    return verdict === "ok" ? null : verdict.split("\n")[0]!;
  } catch (error) {
    return messageOf(error);
  }
}
