/** What of the chains of fogs is in the site's log, and that it is there with what it tells of, or not. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { toHex } from "../../core/base/bytes.ts";
import type { Database } from "../../core/services/db/mod.ts";
import { chain, everything, fog, headOf, link } from "./_links.ts";
import { withLibsqlStore } from "./_temporary_store.ts";
import type { SignedSummary } from "./store.ts";

interface Row {
  readonly type: string;
  readonly detail: string;
  readonly statement: ArrayBuffer | null;
}

/** All entries, which the fog has made about itself. */
async function entries(db: Database) {
  const rows = await db.read((q) =>
    q.all<Row & { actor: string; subject: string }>(
      sql`SELECT type, actor, subject, detail, statement
      FROM audit ORDER BY id`,
    )
  );
  return rows.map(({ type, actor, subject, detail, statement }) => {
    assert.deepEqual([actor, subject], [fog, fog]);
    return [type, JSON.parse(detail), statement && toHex(new Uint8Array(statement))];
  });
}

function storedEntry({ summary: { epoch, seq, window, revision }, hash }: SignedSummary) {
  return ["summary.stored", { epoch, seq, window, revision }, toHex(hash)];
}

Deno.test("every summary that is stored is in the log by its hash, a repetition is not again", async () => {
  await withLibsqlStore(async (store, db) => {
    const links = chain({ at: 1 }, { at: 2 }, { at: 1, revision: 1 }, { at: 3 }, {
      at: 4,
      epoch: 2,
    });
    await store.append(fog, [links[3]!, links[0]!], 1);
    await store.append(fog, links, 2);
    const order = [3, 0, 1, 2, 4].map((i) => storedEntry(links[i]!));
    assert.deepEqual(await entries(db), order);
  });
});

Deno.test("a contradiction is in the log once, with the hash among its details", async () => {
  await withLibsqlStore(async (store, db) => {
    const [first] = chain({ at: 1 });
    const other = link({ at: 1, n: 9 });
    await store.append(fog, [first!, other], 1);
    await store.append(fog, [other], 2);
    assert.deepEqual(await entries(db), [
      storedEntry(first!),
      ["cloud.conflict", { epoch: 1, seq: 1, hash: toHex(other.hash) }, null],
    ]);
  });
});

Deno.test("what a fog says to have lost is in the log, with its reason", async () => {
  await withLibsqlStore(async (store, db) => {
    const links = chain(...[1, 2, 3, 4, 5, 6].map((at) => ({ at })));
    await store.append(fog, [links[0]!, links[2]!], 1);
    await store.lose(fog, headOf(links[4]!), { reason: "the disk broke", at: 2 });
    await store.lose(fog, headOf(links[4]!), { reason: "said again", at: 3 });
    const reason = "the disk broke";
    assert.deepEqual((await entries(db)).slice(2), [
      ["cloud.summaries_missing", { epoch: 1, from: 2, to: 2, reason }, null],
      ["cloud.summaries_missing", { epoch: 1, from: 4, to: 5, reason }, null],
    ]);
  });
});

Deno.test("a summary that cannot be written down is not stored", async () => {
  await withLibsqlStore(async (store, db) => {
    const [first, second] = chain({ at: 1 }, { at: 2 });
    const bad = { ...second!, hash: second!.hash.slice(1) };
    await assert.rejects(store.append(fog, [first!, bad], 1), { code: "bad_entry" });
    assert.deepEqual([await store.windows(everything), await entries(db)], [[], []]);
  });
});
