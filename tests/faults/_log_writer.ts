/**
 * A process that appends entries to a log and signs checkpoints as fast as it can, in the folder named
 * by its argument. It prints a line of JSON when it begins to sign a checkpoint, and the checkpoint
 * once others could see it: whoever reads that and kills it holds what this log is bound to.
 */
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { openDatabase } from "../../core/services/db/mod.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { SiteLog, tlogMigrations } from "../../core/services/tlog/mod.ts";

const dataDir = Deno.args[0]!;
const suite = nativeSuite();
const encoder = new TextEncoder();
const say = (line: unknown) =>
  void Deno.stdout.writeSync(encoder.encode(`${JSON.stringify(line)}\n`));

const db = await openDatabase({ path: join(dataDir, "edgeward.db") });
await db.migrate("core", [...auditMigrations, ...tlogMigrations]);
const log = await SiteLog.open({
  ...{ suite, site: "log", identity: openIdentity(suite, dataDir), db, dataDir, clock: Date.now },
  onRollback: (what) => say({ rollback: what }),
});
say({ checkpoint: log.checkpoint });

const audit = auditOf("test", Date.now);
const [row] = await db.read((q) => q.all<{ n: number }>(sql`SELECT count(*) AS n FROM audit`));
let next = row!.n;

async function write(): Promise<never> {
  for (;;) {
    const from = next;
    const entries = Array.from({ length: 1 + from % 7 }, (_, i) => {
      return { type: "test.done", actor: "site", subject: `${from + i}` };
    });
    next += entries.length;
    await db.write((tx) => audit.appendAll(tx, entries));
  }
}

async function sign(): Promise<never> {
  for (;;) {
    say({ signing: true });
    if (await log.integrate()) say({ checkpoint: log.checkpoint });
    else await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

await Promise.all([sign(), write(), write()]);
