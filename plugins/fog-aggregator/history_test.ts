/** What of a fog's metering is in the site's log: what is stored, all of it, once, and nothing else. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { toHex } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { auditOf } from "../../core/services/audit.ts";
import type { Database } from "../../core/services/db/mod.ts";
import { maxEntry } from "../../core/wire/log_entry.ts";
import {
  batch,
  closeAll,
  dirtyWindows,
  insert,
  noon,
  reading,
  suite,
  unsigned,
  withStore,
} from "./_test_store.ts";
import { historyOf } from "./history.ts";
import type { SignedBatch } from "./ingest.ts";

interface Row {
  readonly actor: string;
  readonly subject: string;
  readonly detail: string;
  readonly statement: ArrayBuffer | null;
}

/** The entries of a type, in their order. */
async function entries(db: Database, type: string) {
  const rows = await db.read((q) =>
    q.all<Row>(sql`SELECT actor, subject, detail, statement FROM audit
      WHERE type = ${type} ORDER BY id`)
  );
  return rows.map(({ detail, statement, ...rest }) => ({
    ...rest,
    bytes: detail.length,
    detail: JSON.parse(detail),
    statement: statement && toHex(new Uint8Array(statement)),
  }));
}

async function loggedBatches(db: Database): Promise<string[]> {
  return (await entries(db, "readings.stored")).flatMap(({ detail }) => detail.batches);
}

const hashOf = ({ statement }: SignedBatch) => toHex(suite.sha256(statement));

Deno.test("every batch that is stored is in the log by its hash, a repetition is not again", async () => {
  await withStore(async ({ store, db }) => {
    const [first, second, third] = [1, 2, 3].map((seq) => batch([reading(seq)])) as [
      ...[SignedBatch, SignedBatch, SignedBatch],
    ];
    await insert(store, first, second);
    await insert(store, second, third, first);
    assert.deepEqual(await loggedBatches(db), [first, second, third].map(hashOf));
    const [entry] = await entries(db, "readings.stored");
    const { actor, subject, statement } = entry!;
    assert.deepEqual([actor, subject, statement], ["site", "fog-1", null]);
  });
});

Deno.test("a group of any size is cut up into entries that the log holds", async () => {
  await withStore(async ({ store, db }) => {
    const batches = Array.from({ length: 1_234 }, (_, seq) => batch([reading(seq)]));
    await insert(store, ...batches);
    const logged = await entries(db, "readings.stored");
    assert.deepEqual(logged.flatMap(({ detail }) => detail.batches), batches.map(hashOf));
    assert.equal(logged.length, 13);
    for (const { bytes } of logged) assert.ok(bytes < maxEntry - 1_000, `${bytes} bytes`);
  });
});

Deno.test("a group that comes to nothing leaves nothing in the log", async () => {
  await withStore(async ({ store, db }) => {
    const failing = db.write(async (tx) => {
      await store.insertWithin(tx, [batch([reading(1)])]);
      throw new Error("The disk is full");
    });
    await assert.rejects(failing, /The disk is full/);
    assert.deepEqual(await loggedBatches(db), []);
  });
});

Deno.test("historyOf() leaves batches out where the site does not want them", async () => {
  await withStore(async ({ db }) => {
    const audit = auditOf("fog-aggregator", () => noon);
    const history = historyOf({ audit, site: parseId("fog-1") }, { readings: false });
    await db.write((tx) => history.batchesStored(tx, [batch([reading(1)]).statement]));
    assert.deepEqual(await loggedBatches(db), []);
  });
});

Deno.test("every summary is in the log with the hash that the chain has", async () => {
  await withStore(async ({ store, db }) => {
    await insert(store, batch([1, 61].map((seq) => reading(seq))));
    const closed = [...(await closeAll(store)).values()];
    await insert(store, batch([reading(2)]));
    closed.push(...(await closeAll(store)).values());
    assert.deepEqual(closed.map(({ revision }) => revision), [0, 0, 1, 1]);

    const chain = await db.read((q) =>
      q.all<{ epoch: number; seq: number; hash: ArrayBuffer }>(
        sql`SELECT epoch, seq, hash FROM fog_aggregator_summaries ORDER BY epoch, seq`,
      )
    );
    const logged = await entries(db, "summary.signed");
    assert.deepEqual(
      logged.map(({ bytes: _, ...entry }) => entry),
      chain.map(({ epoch, seq, hash }, i) => {
        const { window, revision } = closed[i]!;
        return {
          ...{ actor: "site", subject: "fog-1", detail: { epoch, seq, window, revision } },
          statement: toHex(new Uint8Array(hash)),
        };
      }),
    );
  });
});

Deno.test("a summary that cannot be written down does not come into the outbox", async () => {
  await withStore(async ({ store, db }) => {
    await insert(store, batch([reading(1)]));
    const [start] = await dirtyWindows(store);
    const wrong = (closing: Parameters<typeof unsigned>[0]) => {
      return { ...unsigned(closing), hash: new Uint8Array(31) };
    };
    await assert.rejects(store.close(start!, wrong), { code: "bad_entry" });
    const [row] = await db.read((q) =>
      q.all<{ n: number }>(sql`SELECT count(*) AS n FROM fog_aggregator_summaries`)
    );
    assert.deepEqual([row!.n, await dirtyWindows(store)], [0, [start]]);
  });
});
