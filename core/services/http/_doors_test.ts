/** Tests of which door a path leads to. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import fc from "fast-check";
import { doors, pathOf } from "./_doors.ts";

const app = new Hono();

Deno.test("doors() open the most specific one", () => {
  const all = doors({ maxBody: 7 });
  const paths = ["/fog/", "/fog/session", "/log/", "/log/checkpoint", "/summary"];
  for (const path of paths) all.add(path, { role: path, app });
  const led = (path: string) => all.at(path)?.role;
  assert.equal(led("/fog/session"), "/fog/session");
  assert.equal(led("/fog/session/x"), "/fog/");
  assert.equal(led("/fog/"), "/fog/");
  assert.equal(led("/fog"), undefined);
  assert.equal(led("/log/tile/0/x001"), "/log/");
  assert.equal(led("/log/checkpoint"), "/log/checkpoint");
  assert.equal(led("/summary"), "/summary");
  assert.equal(led("/summary/"), undefined);
  assert.equal(led("/"), undefined);
  all.remove("/log/checkpoint");
  assert.equal(led("/log/checkpoint"), "/log/");
});

Deno.test("doors() bound bodies and rates as told, and sessions by themselves", () => {
  const all = doors({ maxBody: 7 });
  all.add("/a", { role: "a", app });
  all.add("/a/session", { role: "a", app });
  all.add("/b", { role: "b", app }, { maxBody: 9, rate: "session" });
  assert.deepEqual(all.at("/a"), { role: "a", app, maxBody: 7, rate: "open" });
  assert.equal(all.at("/a/session")?.rate, "session");
  assert.deepEqual(all.at("/b"), { role: "b", app, maxBody: 9, rate: "session" });
});

Deno.test("pathOf() gives paths that begin with a slash, or null, whatever the target", () => {
  const piece = fc.constantFrom("/", "//", "..", "%2e", "%2F", "\\", "?", "#", "http:", "@", "a");
  const target = fc.oneof(fc.string(), fc.array(piece).map((all) => all.join("")));
  fc.assert(fc.property(target, (text) => {
    const path = pathOf(text);
    if (path === null) return;
    assert.ok(path.startsWith("/"), path);
    assert.doesNotMatch(path, /\/\.{1,2}(\/|$)|\?/);
  }));
});
