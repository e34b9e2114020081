/** Tests of the limit on rates. */
import assert from "node:assert/strict";
import { rateLimit } from "./token_bucket.ts";

Deno.test("rateLimit() lets a burst pass, then as much as flows in, to each its own", () => {
  const passes = rateLimit({ perSecond: 10, burst: 3 }, { most: 10 });
  assert.deepEqual([0, 0, 0, 0, 99].map((now) => passes("a", now)), [
    ...[true, true, true, false, false],
  ]);
  assert.equal(passes("b", 99), true);
  assert.deepEqual([100, 100, 200].map((now) => passes("a", now)), [true, false, true]);
  assert.deepEqual([9_000, 9_000, 9_000, 9_000].map((now) => passes("a", now)), [
    ...[true, true, true, false],
  ]);
});

Deno.test("rateLimit() remembers so many names and no more, and bears a clock that is set back", () => {
  const passes = rateLimit({ perSecond: 1, burst: 1 }, { most: 2 });
  for (const name of ["a", "b", "c"]) assert.equal(passes(name, 1_000_000), true);
  assert.equal(passes("c", 1_000_000), false);
  assert.equal(passes("a", 1_000_000), true, "it was forgotten");
  assert.equal(passes("a", 0), false);
  assert.equal(passes("a", 1_000), true);
});
