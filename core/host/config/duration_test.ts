/** Tests of durations, bounds and defaults included. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import { duration } from "./mod.ts";

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

Deno.test("duration() gives the milliseconds of a whole number with a unit", () => {
  fc.assert(fc.property(
    fc.nat(100_000_000),
    fc.constantFrom(...Object.entries(units)),
    (count, [unit, factor]) => {
      assert.equal(duration().parse(`${count}${unit}`), count * factor);
    },
  ));
});

Deno.test("duration() accepts no other text", () => {
  for (
    const text of ["", "5", "s", "-1s", "1.5s", " 1s", "1s ", "1 s", "1S", "1w", "1h30m", "1e3s"]
  ) {
    assert.equal(duration().safeParse(text).success, false, text);
  }
  assert.equal(duration().safeParse("9007199254740991ms").success, true);
  assert.equal(duration().safeParse("9007199254740992ms").success, false);
  assert.equal(duration().safeParse("9007199254740991d").success, false);
  fc.assert(fc.property(fc.string(), (text) => {
    const { data } = duration().safeParse(text);
    assert.ok(data === undefined || Number.isSafeInteger(data) && data >= 0);
  }));
});

Deno.test("duration() keeps to its bounds, both inclusive", () => {
  const schema = duration({ min: "1s", max: "1h" });
  assert.equal(schema.parse("1s"), 1000);
  assert.equal(schema.parse("60m"), 3_600_000);
  assert.match(schema.safeParse("999ms").error!.issues[0]!.message, /at least "1s"/);
  assert.match(schema.safeParse("61m").error!.issues[0]!.message, /at most "1h"/);
  assert.throws(() => duration({ min: "1 second" }), SyntaxError);
});

Deno.test("duration() takes its default as text", () => {
  const schema = z.object({ window: duration().prefault("60s") });
  assert.deepEqual(schema.parse({}), { window: 60_000 });
  const json = z.toJSONSchema(schema, { target: "draft-4", io: "input" });
  assert.deepEqual(json.properties, { window: { type: "string", default: "60s" } });
});
