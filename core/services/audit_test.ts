/** The site's history as it is written: in the order of what happened, or not at all. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { toHex } from "../base/bytes.ts";
import { maxEntry } from "../wire/log_entry.ts";
import { type AuditEntry, auditMigrations, auditOf, lastActor } from "./audit.ts";
import { type OpenDatabase, openDatabase } from "./db/mod.ts";

const audit = auditOf("test", () => 1_000);

async function withAudit(use: (db: OpenDatabase) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  try {
    await using db = await openDatabase({ path: join(folder, "edgeward.db") });
    await db.migrate("core", auditMigrations);
    await use(db);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function rows(db: OpenDatabase): Promise<Record<string, unknown>[]> {
  return db.read((q) =>
    q.all(sql`SELECT t, role, type, actor, subject, detail, hex(statement) AS statement FROM audit
      ORDER BY id`)
  );
}

function entry(n: number): AuditEntry {
  return {
    ...{ type: "test.done", actor: "site", subject: `s-${n} "ü\\` },
    detail: { n, text: `'${n}'\n` },
    ...(n % 2 === 0 && { statement: new Uint8Array(32).fill(n) }),
  };
}

Deno.test("appendAll() writes what append() would have written, in the same order", async () => {
  await withAudit(async (db) => {
    const entries = Array.from({ length: 2_100 }, (_, n) => entry(n % 256));
    await db.write((tx) => audit.appendAll(tx, entries));
    const together = await rows(db);
    await db.write((tx) => tx.run(sql`DELETE FROM audit`));
    await db.write(async (tx) => {
      for (const one of entries) await audit.append(tx, one);
    });
    assert.deepEqual(together, await rows(db));
    assert.equal(together.length, 2_100);
    assert.equal(together[2]!["statement"], toHex(entry(2).statement!).toUpperCase());
    await db.write((tx) => audit.appendAll(tx, []));
  });
});

Deno.test("append() refuses what the log could not hold, and then nothing happens", async () => {
  await withAudit(async (db) => {
    const around = { type: "x", actor: "a", subject: "b" };
    const large = (length: number) => ({ ...around, detail: { text: "x".repeat(length) } });
    await db.write((tx) => audit.append(tx, large(maxEntry - 100)));
    const refused = {
      code: "entry_too_large",
      message: /^Cannot record x: \d+ bytes are too many/,
    };
    await assert.rejects(db.write((tx) => audit.append(tx, large(maxEntry))), refused);
    const mixed = [entry(1), large(maxEntry), entry(2)];
    await assert.rejects(
      db.write(async (tx) => {
        await tx.run(sql`CREATE TABLE done (n INTEGER) STRICT`);
        await audit.appendAll(tx, mixed);
      }),
      refused,
    );
    await assert.rejects(db.read((q) => q.all(sql`SELECT * FROM done`)));
    const short = { ...around, statement: new Uint8Array(31) };
    await assert.rejects(db.write((tx) => audit.append(tx, short)), { code: "bad_entry" });
    assert.equal((await rows(db)).length, 1);
  });
});

Deno.test("a role without a log has nothing to prove", async () => {
  assert.equal(await audit.prove(new Uint8Array(32)), null);
});

Deno.test("lastActor() names who did it last, among the latest entries alone", async () => {
  await withAudit(async (db) => {
    const did = (type: string, actor: string, kind: string, subject = "m-1"): AuditEntry => {
      return { type, actor, subject, detail: { kind } };
    };
    const last = (kind: string, subject = "m-1") => {
      const types = ["device.approved", "device.replaced"];
      return db.read((q) => lastActor(q, { types, subject, kind }));
    };
    assert.equal(await last("meter"), null);
    const entries = [
      did("device.approved", "alice", "meter"),
      did("device.replaced", "bob", "meter"),
      did("device.approved", "carol", "device"),
      did("device.revoked", "dave", "meter"),
      did("device.approved", "erin", "meter", "m-2"),
    ];
    await db.write((tx) => audit.appendAll(tx, entries));
    assert.deepEqual([await last("meter"), await last("device"), await last("meter", "m-2")], [
      ...["bob", "carol", "erin"],
    ]);
    assert.equal(await last("fog"), null);
    await db.write((tx) =>
      audit.appendAll(tx, Array.from({ length: 9_997 }, (_, n) => entry(n % 9)))
    );
    assert.deepEqual([await last("meter"), await last("device")], [null, "carol"]);
  });
});
