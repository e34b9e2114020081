/** Tests of sizes, bounds and defaults included. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import { size } from "./mod.ts";

const units = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 };

Deno.test("size() gives the bytes of a whole number with a unit", () => {
  fc.assert(fc.property(
    fc.nat(1_000_000),
    fc.constantFrom(...Object.entries(units)),
    (count, [unit, factor]) => {
      assert.equal(size().parse(`${count}${unit}`), count * factor);
    },
  ));
  assert.equal(size().parse("2TiB"), 2_199_023_255_552);
});

Deno.test("size() accepts no other text", () => {
  const wrong = ["", "4", "GiB", "-1GiB", "1.5GiB", " 1GiB", "1 GiB", "1gib", "1GB", "1G", "1e3B"];
  for (const text of wrong) assert.equal(size().safeParse(text).success, false, text);
  assert.equal(size().safeParse("9007199254740991B").success, true);
  assert.equal(size().safeParse("9007199254740992B").success, false);
  assert.equal(size().safeParse("9007199254740991TiB").success, false);
  assert.match(size().safeParse(4).error!.issues[0]!.message, /expected a size .* got a number/);
});

Deno.test("size() keeps to its bounds, both inclusive", () => {
  const schema = size({ min: "1MiB", max: "1GiB" });
  assert.equal(schema.parse("1024KiB"), 1_048_576);
  assert.equal(schema.parse("1GiB"), 1_073_741_824);
  assert.match(schema.safeParse("1023KiB").error!.issues[0]!.message, /at least "1MiB"/);
  assert.match(schema.safeParse("1025MiB").error!.issues[0]!.message, /at most "1GiB"/);
  assert.throws(() => size({ min: "1 MiB" }), SyntaxError);
});

Deno.test("size() takes its default as text", () => {
  const schema = z.object({ disk_budget: size().prefault("4GiB") });
  assert.deepEqual(schema.parse({}), { disk_budget: 4 * 1_073_741_824 });
});
