/** Tests of who may call what. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { isAllowed, isMethod, isPattern, matches } from "./permissions.ts";

Deno.test("matches() knows names, all below a name, and all", () => {
  const all: [string, string, boolean][] = [
    ["time", "time", true],
    ["time", "time.zone", false],
    ["time", "Time", false],
    ["relay.*", "relay.on", true],
    ["relay.*", "relay.1.on", true],
    ["relay.*", "relay", false],
    ["relay.*", "relays.on", false],
    ["relay.*", "xrelay.on", false],
    ["*", "anything.at-all", true],
  ];
  for (const [pattern, method, expected] of all) {
    assert.equal(matches(pattern, method), expected, `${pattern} ${method}`);
  }
});

Deno.test("weakness 18: a method that no pattern means is not allowed, and none means none", () => {
  assert.equal(isAllowed("relay.on", []), false);
  assert.equal(isAllowed("relay.on", ["time", "relay.off"]), false);
  assert.equal(isAllowed("relay.on", ["time", "relay.*"]), true);
});

Deno.test("isMethod() and isPattern() take nothing that a pattern, a topic or a line could mean", () => {
  const bad = [
    ...["", " ", "a b", "a\nb", "a*", "a/b", "#", "+", ".a", "a.", "rpc.discover", "é"],
    ...["a".repeat(65), "a:b", "a\0"],
  ];
  for (const text of [...bad, null, undefined, 7, {}]) {
    assert.equal(isMethod(text), false, String(text));
    assert.equal(isPattern(text), false, String(text));
  }
  for (const text of ["a", "a.b", "relay.1-on", "__proto__", "a".repeat(64)]) {
    assert.equal(isMethod(text), true, text);
    assert.equal(isPattern(text), true, text);
  }
  for (const text of ["*", "a.*", "a.b.*"]) {
    assert.equal(isMethod(text), false, text);
    assert.equal(isPattern(text), true, text);
  }
  for (const text of ["**", "*.a", "a.*.b", ".*", "a*.b", "rpc.*.*"]) {
    assert.equal(isPattern(text), false, text);
  }
});

Deno.test("matches() is what a pattern says when it is read as a wildcard", () => {
  const name = fc.stringMatching(/^[a-c]{1,2}(\.[a-c]{1,2}){0,2}$/);
  const pattern = fc.oneof(name, name.map((text) => `${text}.*`), fc.constant("*"));
  fc.assert(fc.property(pattern, name, (pattern, method) => {
    const regex = pattern.replaceAll(".", "\\.").replaceAll("*", ".*");
    assert.equal(matches(pattern, method), new RegExp(`^${regex}$`).test(method));
  }));
});
