/** The outbox on a real database: one chain, and what the cloud has of it, whatever it had before. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { minute, openTestUplink, outboxState, type TestUplink } from "./_test_uplink.ts";
import { maxBytes } from "./backlog.ts";
import { lastLink } from "./outbox.ts";

const seqs = async ({ outbox }: TestUplink, limit = 64) =>
  (await outbox.pending(limit)).map(({ seq }) => seq);
const hashOf = async ({ outbox }: TestUplink, seq: number) => (await outbox.summary(1, seq))!.hash;

Deno.test("lastLink() is where the next summary goes, a new epoch included", async () => {
  await using test = await openTestUplink();
  const last = () => test.db.read(lastLink);
  assert.deepEqual(await last(), { epoch: 1, seq: 0, hash: null });
  await test.append(2);
  assert.deepEqual(await last(), { epoch: 1, seq: 2, hash: await hashOf(test, 2) });
  const prev = new Uint8Array(32).fill(7);
  await beginEpoch(test, { epoch: 3, after: [2, 9], prev });
  assert.deepEqual(await last(), { epoch: 3, seq: 0, hash: prev });
  assert.deepEqual(await test.append(2), ["3.1", "3.2"]);
  assert.equal((await last()).seq, 2);
});

Deno.test("pending() keeps each summary until the cloud has it, in order", async () => {
  await using test = await openTestUplink();
  await test.append(4);
  assert.deepEqual(await seqs(test), [1, 2, 3, 4]);
  assert.deepEqual(await seqs(test, 3), [1, 2, 3]);
  assert.deepEqual(await test.outbox.settle({ epoch: 1, seq: 2 }), { again: 0 });
  assert.deepEqual(await seqs(test), [3, 4]);
  await test.outbox.settle({ epoch: 1, seq: 4 });
  assert.deepEqual(await seqs(test), []);
});

Deno.test("pending() never gives more than one call carries", async () => {
  await using test = await openTestUplink();
  await test.append(6, { bytes: maxBytes / 3 });
  assert.deepEqual(await seqs(test), [1, 2]);
  await test.append(1, { bytes: 2 * maxBytes });
  await test.outbox.settle({ epoch: 1, seq: 6 });
  assert.deepEqual(await seqs(test), [7]);
});

Deno.test("settle() makes pending again what the cloud has lost", async () => {
  await using test = await openTestUplink();
  await test.append(5);
  await test.outbox.settle({ epoch: 1, seq: 5 });
  await test.outbox.refuse({ epoch: 1, seq: 4 }, "late");
  assert.deepEqual(await test.outbox.settle({ epoch: 1, seq: 2 }), { again: 3 });
  assert.deepEqual(await seqs(test), [3, 4, 5]);
  assert.deepEqual(await test.outbox.settle({ epoch: 0, seq: 0 }), { again: 2 });
  assert.deepEqual(await seqs(test), [1, 2, 3, 4, 5]);
});

Deno.test("settle() leaves alone what is set aside", async () => {
  await using test = await openTestUplink();
  await test.append(3);
  await test.outbox.refuse({ epoch: 1, seq: 2 }, "malformed");
  await test.outbox.settle({ epoch: 1, seq: 3 });
  await test.outbox.settle({ epoch: 1, seq: 0 });
  const expected = { "1.1": "pending", "1.2": "refused: malformed", "1.3": "pending" };
  assert.deepEqual(await outboxState(test), expected);
});

Deno.test("knows() tells our links from others, and our lost places", async () => {
  await using test = await openTestUplink();
  await test.append(5);
  const foreign: Uint8Array = new Uint8Array(32).fill(9);
  const prev = new Uint8Array(32).fill(7);
  const knows = async (seq: number, hash = foreign, epoch = 1) =>
    await test.outbox.knows({ epoch, seq, hash });
  assert.equal(await knows(0, new Uint8Array(32), 0), true);
  assert.equal(await knows(3, await hashOf(test, 3)), true);
  assert.equal(await knows(3), false);
  assert.equal(await knows(6), false);
  assert.equal(await knows(1, foreign, 2), false);
  // deleted: it cannot be told, but something follows it
  await test.remove(["1.2"]);
  assert.equal(await knows(2), true);
  // another's tail, behind which an epoch of ours begins
  await beginEpoch(test, { epoch: 2, after: [1, 9], prev });
  assert.equal(await knows(9, prev), true);
  assert.equal(await knows(9), false);
  assert.equal(await knows(7), true);
  assert.equal(await knows(10), false);
  assert.equal(await knows(3), false);
});

Deno.test("before() says what a link follows, even where that is gone", async () => {
  await using test = await openTestUplink();
  await test.append(4);
  const third = { epoch: 1, seq: 3, hash: await hashOf(test, 3) };
  const before = (epoch: number, seq: number) => test.outbox.before({ epoch, seq });
  assert.equal(await before(1, 1), null);
  assert.deepEqual(await before(1, 4), third);
  await test.remove(["1.3"]);
  assert.deepEqual(await before(1, 4), third);
  await beginEpoch(test, { epoch: 2, after: [1, 3], prev: third.hash });
  assert.deepEqual(await before(2, 1), third);
  await assert.rejects(before(3, 1), { code: "chain_broken" });
});

Deno.test("counts() and setAside() say how the outbox is", async () => {
  await using test = await openTestUplink();
  assert.deepEqual(await test.outbox.counts(), {
    ...{ pending: 0, acknowledged: 0, set_aside: 0, refused: 0, oldest_pending_window: null },
  });
  await test.append(6);
  await test.outbox.settle({ epoch: 1, seq: 2 });
  await test.outbox.refuse({ epoch: 1, seq: 3 }, "malformed");
  await test.db.write(async (tx) => {
    await tx.run(sql`UPDATE fog_aggregator_summaries SET set_aside = 'superseded' WHERE seq = 6`);
  });
  assert.deepEqual(await test.outbox.counts(), {
    ...{ pending: 2, acknowledged: 2, set_aside: 2, refused: 1 },
    oldest_pending_window: 4 * minute,
  });
  assert.deepEqual(await test.outbox.setAside(10), [
    { epoch: 1, seq: 6, window: 6 * minute, reason: "superseded" },
    { epoch: 1, seq: 3, window: 3 * minute, reason: "refused: malformed" },
  ]);
  assert.equal((await test.outbox.setAside(1)).length, 1);
});

async function beginEpoch(
  { db }: TestUplink,
  { epoch, after, prev }: { epoch: number; after: [epoch: number, seq: number]; prev: Uint8Array },
): Promise<void> {
  await db.write(async (tx) => {
    await tx.run(sql`INSERT INTO fog_aggregator_epochs
      VALUES (${epoch}, ${after[0]}, ${after[1]}, ${prev}, 0)`);
  });
}
