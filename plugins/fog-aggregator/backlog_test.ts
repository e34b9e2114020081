/** What a call carries: the newest first, the backlog in order, never more than fits. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { maxStatements } from "../../core/wire/uplink.ts";
import { CallSize, type Entry, fitting, maxBytes, maxLive, nameOf, planCall } from "./backlog.ts";

const chain = (n: number, bytes = 100): Entry[] =>
  Array.from({ length: n }, (_, i) => ({ epoch: 1, seq: i + 1, bytes }));
const outboxOf = (entries: readonly Entry[]) => ({
  first: entries.slice(0, maxStatements),
  newest: entries.slice(-maxLive).reverse(),
});
const seqs = (entries: readonly Entry[]) => entries.map(({ seq }) => seq);
const usual = { sent: new Set<string>(), bytes: maxBytes, withBacklog: true, backlogFirst: false };

Deno.test("planCall() takes everything in order where it fits", () => {
  assert.deepEqual(seqs(planCall(outboxOf(chain(10)), usual)), seqs(chain(10)));
  assert.deepEqual(planCall(outboxOf([]), usual), []);
});

Deno.test("planCall() puts the newest before a backlog that does not fit", () => {
  const plan = planCall(outboxOf(chain(100, 1_000)), { ...usual, bytes: 10_000 });
  assert.deepEqual(seqs(plan), [100, 99, 98, 97, 1, 2, 3, 4, 5, 6]);
});

Deno.test("planCall() does not repeat what was sent ahead, unless the cloud has not kept it", () => {
  const entries = chain(100, 1_000);
  const sent = new Set(entries.slice(-maxLive).map(nameOf));
  const plan = planCall(outboxOf(entries), { ...usual, sent, bytes: 3_000 });
  assert.deepEqual(seqs(plan), [1, 2, 3]);
  const left = planCall(outboxOf(entries.slice(-6)), { ...usual, sent });
  assert.deepEqual(seqs(left), [95, 96]);
  const unkept = planCall(outboxOf(entries.slice(-4)), { ...usual, sent });
  assert.deepEqual(seqs(unkept), [97]);
});

Deno.test("planCall() leaves the backlog until it may go", () => {
  const options = { ...usual, withBacklog: false };
  assert.deepEqual(seqs(planCall(outboxOf(chain(10)), options)), [10, 9, 8, 7]);
  const sent = new Set(chain(10).slice(6).map(nameOf));
  assert.deepEqual(planCall(outboxOf(chain(10)), { ...options, sent }), []);
});

Deno.test("planCall() takes turns where a call carries one summary", () => {
  const outbox = outboxOf(chain(10, 1_000));
  assert.deepEqual(seqs(planCall(outbox, { ...usual, bytes: 900 })), [10]);
  assert.deepEqual(seqs(planCall(outbox, { ...usual, bytes: 900, backlogFirst: true })), [1]);
});

Deno.test("planCall() carries something, each once, and never more than fits", () => {
  const entries = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 90 });
  const options = fc.record({
    bytes: fc.integer({ min: 512, max: maxBytes }),
    backlogFirst: fc.boolean(),
    sent: fc.array(fc.integer({ min: 1, max: 90 })),
  });
  fc.assert(fc.property(entries, options, (sizes, { sent, ...rest }) => {
    const all = sizes.map((bytes, i) => ({ epoch: 1, seq: i + 1, bytes }));
    const names = new Set(sent.map((seq) => `1.${seq}`));
    const plan = planCall(outboxOf(all), { ...rest, sent: names, withBacklog: true });
    assert.ok(plan.length >= 1 && plan.length <= maxStatements);
    assert.equal(new Set(plan.map(nameOf)).size, plan.length);
    const bytes = plan.reduce((sum, entry) => sum + entry.bytes, 0);
    assert.ok(plan.length === 1 || bytes <= rest.bytes, `${bytes} of ${rest.bytes}`);
  }));
});

Deno.test("fitting() gives the first whatever its size", () => {
  assert.deepEqual(seqs(fitting(chain(3, 1_000), 10)), [1]);
  assert.deepEqual(seqs(fitting(chain(3, 1_000), 2_500)), [1, 2]);
  assert.deepEqual(seqs(fitting(chain(3, 1_000), 3_000)), [1, 2, 3]);
  assert.equal(fitting(chain(100, 1), maxBytes).length, maxStatements);
});

Deno.test("CallSize halves after a failure and doubles after what was quick", () => {
  const size = new CallSize();
  for (let i = 0; i < 3; i++) size.failed();
  assert.equal(size.bytes, maxBytes / 8);
  size.done(20_000);
  assert.equal(size.bytes, maxBytes / 8);
  size.done(100);
  assert.equal(size.bytes, maxBytes / 4);
  for (let i = 0; i < 40; i++) size.done(100);
  assert.equal(size.bytes, maxBytes);
  for (let i = 0; i < 40; i++) size.failed();
  assert.equal(size.bytes, 512);
});
