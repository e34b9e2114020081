/** Windows of event time: every instant is in exactly one, wherever windows begin. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Span, Windows, windowStart, withLength } from "./window.ts";

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

Deno.test("Windows keep every reading in its window, whatever lengths follow one another", () => {
  const change = fc.record({
    length: fc.integer({ min: 1, max: 5_000 }),
    used: fc.array(fc.nat(100_000), { maxLength: 20 }),
  });
  fc.assert(fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
    let spans: readonly Span[] = [];
    const given = new Map<number, number>();
    const ends = new Map<number, number>();
    for (const { length, used } of changes) {
      spans = withLength(spans, { length, used: Math.max(0, ...ends.values()) });
      const windows = new Windows(spans);
      for (const t of used) {
        const start = windows.startOf(t);
        const end = windows.endOf(start);
        assert.ok(start <= t && t < end && end - start <= 5_000);
        assert.equal(windows.startOf(start), start);
        assert.equal(windows.startOf(end - 1), start);
        assert.equal(windows.startOf(end), end);
        assert.equal(given.get(t) ?? start, start, "an instant has moved to another window");
        given.set(t, start);
        assert.equal(ends.get(start) ?? end, end, "a window has another end");
        ends.set(start, end);
      }
      const last = spans.at(-1)!;
      assert.equal(last.length, length);
      assert.equal(last.since % length, 0);
    }
  }));
});

Deno.test("withLength() changes nothing when the length is what it was", () => {
  const spans = withLength([], { length: 60_000, used: 0 });
  assert.deepEqual(spans, [{ since: 0, length: 60_000 }]);
  assert.equal(withLength(spans, { length: 60_000, used: 7 }), spans);
});

Deno.test("withLength() begins a length after the last window that is used", () => {
  const spans = withLength([{ since: 0, length: 60_000 }], { length: 7_000, used: 60_000 });
  assert.deepEqual(spans.slice(1), [{ since: 63_000, length: 7_000 }]);
  assert.equal(new Windows(spans).endOf(60_000), 63_000);
  // changed back before any was used
  assert.deepEqual(withLength(spans, { length: 60_000, used: 60_000 }), spans.slice(0, 1));
});
