/** Prefixes of topics: what is one, and that a topic comes back from behind it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { isTopicPrefix, withoutPrefix, withPrefix } from "./topic_prefix.ts";

Deno.test("isTopicPrefix() takes a few plain levels, and no slash at either end", () => {
  for (const text of ["", "a", "plant/hall-2", "A_b/0", "x".repeat(64), "a/b/c/d/e/f/g/h"]) {
    assert.ok(isTopicPrefix(text), text);
  }
  const others = ["/", "/a", "a/", "a//b", "+", "a/#", "$SYS", "a b", "a.b", "é", "a\n", "a\0"];
  for (const text of [...others, "x".repeat(65), "a/b/c/d/e/f/g/h/i"]) {
    assert.ok(!isTopicPrefix(text), text);
  }
});

Deno.test("withoutPrefix() gives what withPrefix() was given, under no other prefix", () => {
  const level = fc.stringMatching(/^[a-c]{1,2}$/);
  const levels = fc.array(level, { minLength: 1, maxLength: 3 }).map((all) => all.join("/"));
  fc.assert(fc.property(levels, levels, levels, (prefix, other, topic) => {
    const whole = withPrefix(prefix, topic);
    assert.equal(whole, `${prefix}/${topic}`);
    assert.equal(withoutPrefix(prefix, whole), topic);
    const rest = withoutPrefix(other, whole);
    assert.equal(rest === undefined, !whole.startsWith(`${other}/`));
  }));
  assert.equal(withPrefix("", "a/b"), "a/b");
  assert.equal(withoutPrefix("", "a/b"), "a/b");
  assert.equal(withPrefix("a", "$SYS/x"), "$SYS/x");
  assert.equal(withoutPrefix("a", "$SYS/x"), "$SYS/x");
  assert.equal(withoutPrefix("a", "ab/c"), undefined);
  assert.equal(withoutPrefix("a", "a"), undefined);
});
