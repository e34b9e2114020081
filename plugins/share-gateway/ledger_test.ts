/** Tests of writing many releases at once: each is on disk before it counts, or nothing of it is. */
import assert from "node:assert/strict";
import { parseId } from "../../core/base/id.ts";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { type OpenDatabase, openDatabase } from "../../core/services/db/mod.ts";
import { sql } from "drizzle-orm";
import { Ledger, type Line } from "./ledger.ts";
import { migrations } from "./tables.ts";

async function withDatabase(test: (db: OpenDatabase) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  try {
    await using db = await openDatabase({ path: `${folder}/edgeward.db` });
    await db.migrate("core", auditMigrations);
    await db.migrate("share-gateway", migrations);
    await test(db);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function line(name: string, options: { counter?: number; holds?: () => boolean } = {}): Line {
  const { counter = 1, holds = () => true } = options;
  const device = parseId(name);
  const boot = { counter, id: new Uint8Array(16).fill(counter) };
  const volume = new Uint8Array(16).fill(7);
  return {
    start: { caller: { device, key: new Uint8Array(32).fill(1) }, boot, at: 1_000 },
    release: {
      ...{ device, volume, boot, scheme: "voprf", epoch: 1, seal: false, at: 1_000, due: 2_000 },
    },
    entry: { type: "unlock.released", actor: device, subject: device },
    holds,
  };
}

async function counts(db: OpenDatabase): Promise<Record<string, number>> {
  const [row] = await db.read((q) =>
    q.all<Record<string, number>>(sql`SELECT
      (SELECT count(*) FROM share_gateway_devices) AS devices,
      (SELECT count(*) FROM share_gateway_releases) AS releases,
      (SELECT coalesce(sum(times), 0) FROM share_gateway_releases) AS times,
      (SELECT count(*) FROM audit) AS entries`)
  );
  return row!;
}

Deno.test("lines of many devices are written, each with its start, its release and its entry", async () => {
  await withDatabase(async (db) => {
    const ledger = new Ledger({ db, audit: auditOf("share-gateway", () => 1_000) });
    const lines = Array.from({ length: 600 }, (_, i) => ledger.write(line(`kiosk-${i}`)));
    assert.ok((await Promise.all(lines)).every((isWritten) => isWritten));
    assert.deepEqual(await counts(db), { devices: 600, releases: 600, times: 600, entries: 600 });
    // the same start again is the same release, given twice
    assert.ok(await ledger.write({ ...line("kiosk-3"), start: null }));
    assert.deepEqual(await counts(db), { devices: 600, releases: 600, times: 601, entries: 601 });
  });
});

Deno.test("a line that no longer holds is not written, and those beside it are", async () => {
  await withDatabase(async (db) => {
    const ledger = new Ledger({ db, audit: auditOf("share-gateway", () => 1_000) });
    const written = await Promise.all([
      ledger.write(line("kiosk-1")),
      ledger.write(line("kiosk-2", { holds: () => false })),
      ledger.write(line("kiosk-3")),
    ]);
    assert.deepEqual(written, [true, false, true]);
    assert.deepEqual(await counts(db), { devices: 2, releases: 2, times: 2, entries: 2 });
  });
});

Deno.test("when the log cannot be written nobody is told that it was, and the next may try", async () => {
  await withDatabase(async (db) => {
    const real = auditOf("share-gateway", () => 1_000);
    let isBroken = true;
    const ledger = new Ledger({
      db,
      audit: {
        ...real,
        appendAll: async (tx, entries) => {
          if (isBroken) throw new Error("the log is full");
          await real.appendAll(tx, entries);
        },
      },
    });
    const outcomes = await Promise.allSettled(
      ["kiosk-1", "kiosk-2"].map((name) => ledger.write(line(name))),
    );
    assert.deepEqual(outcomes.map(({ status }) => status), ["rejected", "rejected"]);
    assert.deepEqual(await counts(db), { devices: 0, releases: 0, times: 0, entries: 0 });
    isBroken = false;
    assert.ok(await ledger.write(line("kiosk-1")));
    assert.deepEqual(await counts(db), { devices: 1, releases: 1, times: 1, entries: 1 });
  });
});

Deno.test("a database that is closed rejects whoever waits", async () => {
  let ledger: Ledger | undefined;
  await withDatabase(async (db) => {
    ledger = new Ledger({ db, audit: auditOf("share-gateway", () => 1_000) });
    assert.ok(await ledger.write(line("kiosk-1")));
  });
  await assert.rejects(ledger!.write(line("kiosk-2")), { code: "db_closed" });
  await assert.rejects(ledger!.write(line("kiosk-3")), { code: "db_closed" });
});
