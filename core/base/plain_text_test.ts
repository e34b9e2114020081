/** Text of strangers as one plain line. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { plainLine } from "./plain_text.ts";

Deno.test("plainLine() makes one line of several, and leaves a mark where it cuts", () => {
  assert.equal(plainLine("  pump\n\tseven ", 20), "pump seven");
  assert.equal(plainLine("abcdef", 6), "abcdef");
  assert.equal(plainLine("abcdefg", 6), "abcde…");
  assert.equal(plainLine("a\u{202e}b\u{0}c\u{1b}[2J", 20), "a\u{fffd}b\u{fffd}c\u{fffd}[2J");
  assert.equal(plainLine("🟢".repeat(3), 2), "🟢…");
  assert.equal(plainLine(`${" ".repeat(1_000)}x`, 10), "…");
});

Deno.test("plainLine() gives what can be seen, and never more than was asked for", () => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }));
  fc.assert(fc.property(text, fc.integer({ min: 1, max: 9 }), (text, most) => {
    const line = plainLine(text, most);
    assert.ok([...line].length <= most);
    assert.doesNotMatch(line, /[\p{C}\p{Zl}\p{Zp}]/u);
    assert.equal(plainLine(line, most), line);
  }));
});
