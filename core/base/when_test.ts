/** Instants as people read them. */
import assert from "node:assert/strict";
import { awayText, instantText, spanText } from "./when.ts";

const now = Date.parse("2026-07-31T14:03:12Z");

Deno.test("spanText() says a span in its largest unit, rounded down", () => {
  const spans = [-1, 0, 999, 59_999, 60_000, 3_599_999, 3_600_000, 86_400_000 * 2.9];
  assert.deepEqual(spans.map(spanText), [
    ...["0 s", "0 s", "0 s", "59 s", "1 min", "59 min", "1 h", "2 d"],
  ]);
});

Deno.test("awayText() and instantText() tell what was from what will be", () => {
  assert.deepEqual([awayText(now, now), awayText(now + 7_200_000, now)], ["0 s ago", "in 2 h"]);
  const instant = new Date(now - 180_000).toISOString();
  assert.equal(instantText(instant, now), "2026-07-31 14:00:12 UTC, 3 min ago");
});
