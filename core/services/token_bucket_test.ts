/** Tests of the token bucket, against one that counts tokens, and under a flood of clients. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { buckets } from "./token_bucket.ts";

Deno.test("buckets() give a burst, then as much as flows in", () => {
  const { take } = buckets({ perSecond: 10, burst: 3 }, { most: 10 });
  assert.deepEqual([0, 0, 0, 0].map((now) => take("a", now)), [0, 0, 0, 100]);
  assert.equal(take("b", 0), 0);
  assert.deepEqual([40, 100, 100, 1_000, 1_000, 1_000].map((now) => take("a", now)), [
    60,
    0,
    100,
    0,
    0,
    0,
  ]);
  assert.equal(take("a", 1_000), 100);
});

Deno.test("buckets() do what tokens in a bucket do", () => {
  const steps = fc.array(fc.nat(500), { maxLength: 50 });
  fc.assert(fc.property(fc.integer({ min: 1, max: 10 }), steps, (burst, waits) => {
    // a token comes every 100 ms
    const { take } = buckets({ perSecond: 10, burst }, { most: 1 });
    let [now, tokens, since] = [0, burst, 0];
    for (const wait of waits) {
      now += wait;
      const came = Math.floor((now - since) / 100);
      tokens = Math.min(burst, tokens + came);
      since = tokens === burst ? now : since + came * 100;
      assert.equal(take("a", now) === 0, tokens > 0, `${now}`);
      if (tokens > 0) tokens--;
    }
  }));
});

Deno.test("buckets() remember only the latest of a million clients", () => {
  const all = buckets({ perSecond: 1, burst: 1 }, { most: 1_000 });
  for (let i = 0; i < 1_000_000; i++) {
    all.take(`client ${i}`, 0);
    // who keeps coming is not forgotten
    if (i % 500 === 0) all.take("busy", 0);
  }
  assert.equal(all.size, 1_000);
  assert.equal(all.take("client 999999", 0), 1_000);
  assert.equal(all.take("client 0", 0), 0);
});
