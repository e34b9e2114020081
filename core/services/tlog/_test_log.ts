/** A log over a database in a folder of its own, for the tests of this folder. */
import { join } from "node:path";
import { parseCheckpoint } from "../../trust/log/checkpoint.ts";
import { parseNote, verifyText } from "../../trust/log/note.ts";
import { auditMigrations, auditOf } from "../audit.ts";
import { nativeSuite } from "../crypto_native.ts";
import { type OpenDatabase, openDatabase } from "../db/mod.ts";
import { type Identity, openIdentity } from "../identity.ts";
import { SiteLog } from "./site_log.ts";
import { tlogMigrations } from "./_tables.ts";

export const suite = nativeSuite();

export interface TestLog {
  readonly folder: string;
  readonly identity: Identity;
  readonly rollbacks: { origin: string; size: number; reason: string }[];
  db: OpenDatabase;
  log: SiteLog;
  append(count: number): Promise<void>;
  /** Closes everything, does something to the files, and opens it again. */
  restart(meanwhile?: (database: string) => void): Promise<void>;
}

let time = 1_800_000_000_000;
export const clock = () => time += 1;

export async function withLog(use: (test: TestLog) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  const path = join(folder, "edgeward.db");
  const identity = openIdentity(suite, folder);
  const rollbacks: TestLog["rollbacks"] = [];
  const open = async () => {
    const db = await openDatabase({ path });
    await db.migrate("core", [...auditMigrations, ...tlogMigrations]);
    const options = { suite, site: "cloud", identity, db, dataDir: folder, clock };
    try {
      const log = await SiteLog.open({ ...options, onRollback: (what) => rollbacks.push(what) });
      return { db, log };
    } catch (error) {
      await db[Symbol.asyncDispose]();
      throw error;
    }
  };
  const test: TestLog = {
    ...{ folder, identity, rollbacks },
    ...await open(),
    append: (count) =>
      test.db.write(async (tx) => {
        for (let i = 0; i < count; i++) {
          const entry = { type: "test.done", actor: "site", subject: `s-${i}`, detail: { i } };
          await auditOf("core", clock).append(tx, entry);
        }
      }),
    async restart(meanwhile) {
      await test.db[Symbol.asyncDispose]();
      meanwhile?.(path);
      Object.assign(test, await open());
    },
  };
  try {
    await use(test);
  } finally {
    await test.db[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  }
}

/** What the latest checkpoint says, its signature checked. */
export function checkpointOf({ log }: Pick<TestLog, "log">) {
  const note = parseNote(log.checkpoint!);
  verifyText(suite, note, log.key);
  return parseCheckpoint(note.text);
}
