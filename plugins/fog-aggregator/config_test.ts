/** The role's table: what fits together. */
import assert from "node:assert/strict";
import { config } from "./config.ts";

Deno.test("config has defaults for what is kept", () => {
  const { keep, disk_budget, when_full, lateness } = config.parse({});
  assert.deepEqual([keep, disk_budget, when_full], [90 * 86_400_000, 4 * 2 ** 30, "block"]);
  assert.ok(keep >= lateness);
});

Deno.test("config refuses to keep readings for a shorter time than late ones may take", () => {
  assert.equal(config.parse({ keep: "7d", lateness: "7d" }).keep, 7 * 86_400_000);
  const [issue] = config.safeParse({ keep: "6d", lateness: "7d" }).error!.issues;
  assert.deepEqual(issue!.path, ["keep"]);
  assert.equal(issue!.message, "expected a duration of at least lateness");
  assert.match((issue as { params?: { hint: string } }).params!.hint, /lower lateness/);
  // strict, as the host makes it, it is the same
  assert.equal(config.strict().safeParse({ keep: "6d" }).success, false);
  assert.equal(config.strict().safeParse({ keep: "8d", other: 1 }).success, false);
  assert.equal(config.strict().safeParse({ keep: "8d" }).success, true);
});

Deno.test("config takes no budget that a database would not fit into, and no third way", () => {
  for (const wrong of [{ disk_budget: "15MiB" }, { disk_budget: 5 }, { when_full: "drop" }]) {
    assert.equal(config.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
});
