/** Markup: text stays text, and what does not fit is left out line by line. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { andMore, bold, fitted, longestMessage, markup, sheetHtml, text } from "./markup.ts";
import { anyText, plainOf } from "./_test_events.ts";

Deno.test("text() escapes what would be markup, and cuts before it escapes", () => {
  assert.equal(text('<b>&amp;"'), "&lt;b&gt;&amp;amp;&quot;");
  assert.equal(text("<<<<<<", 3), "&lt;&lt;…");
  assert.equal(text("one\ntwo\u202ethree"), "one two\u{FFFD}three");
  assert.equal(markup`<i>${text("<")}</i> ${7}`, "<i>&lt;</i> 7");
});

Deno.test("whatever is put into markup, its tags are ours and closed", () => {
  fc.assert(fc.property(anyText, anyText, (a, b) => {
    plainOf(markup`${bold(a)} <i>${text(b)}</i>`);
  }));
});

Deno.test("fitted() leaves out whole lines and says how many", () => {
  const lines = Array.from({ length: 100 }, (_, i) => markup`<b>${i}</b> ${text("&".repeat(90))}`);
  const message = fitted(lines, andMore);
  assert.ok(message.length <= longestMessage);
  const shown = plainOf(message).split("\n");
  assert.equal(shown.at(-1), `… and ${100 - (shown.length - 1)} more`);
  assert.ok(message.length > longestMessage - 700, "there was room for more");
  assert.equal(fitted(lines.slice(0, 3), andMore).split("\n").length, 3);
});

Deno.test("a sheet of any size is a message, and counts what it leaves out", () => {
  const facts = fc.array(fc.tuple(anyText, anyText), { maxLength: 20 });
  const rows = fc.array(fc.record({ title: anyText, facts }), { maxLength: 50 });
  fc.assert(
    fc.property(anyText, facts, rows, fc.nat(99), (title, facts, rows, more) => {
      const message = sheetHtml({ title, facts, rows, more });
      assert.ok(message.length <= longestMessage);
      const [, left] = /… and (\d+) more$/.exec(plainOf(message)) ?? [];
      assert.ok(Number(left ?? 0) >= more);
    }),
    { numRuns: 40 },
  );
});
