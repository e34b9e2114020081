/** Windows of event time: every instant is in exactly one, wherever windows begin. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { closesAt, windowStart } from "./window.ts";

const instant = fc.integer({ min: 0, max: 2 ** 48 });
const length = fc.integer({ min: 1, max: 24 * 60 * 60 * 1000 });

Deno.test("windowStart() puts every instant into one aligned, half-open window", () => {
  fc.assert(fc.property(instant, length, (t, length) => {
    const start = windowStart(t, length);
    assert.equal(start % length, 0);
    assert.ok(start <= t && t < start + length);
    assert.equal(windowStart(start, length), start);
    assert.equal(windowStart(start + length - 1, length), start);
    assert.equal(windowStart(start + length, length), start + length);
  }));
});

Deno.test("windowStart() aligns instants before 1970 too", () => {
  assert.equal(windowStart(-1, 60_000), -60_000);
  assert.equal(windowStart(-60_000, 60_000), -60_000);
  assert.equal(windowStart(0, 60_000), 0);
});

Deno.test("windowStart() begins a window of a minute with a minute of UTC, of a day with a day", () => {
  const t = Date.parse("2024-02-29T12:34:56.789Z");
  assert.equal(windowStart(t, 60_000), Date.parse("2024-02-29T12:34:00Z"));
  assert.equal(windowStart(t, 86_400_000), Date.parse("2024-02-29T00:00:00Z"));
});

Deno.test("closesAt() waits for the end of the window and its grace", () => {
  assert.equal(closesAt(120_000, { window: 60_000, grace: 5_000 }), 185_000);
});
