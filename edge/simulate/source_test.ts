/** Replaying rows: where each meter begins, what follows the last row, what missing values become. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { HouseholdRow } from "./household.ts";
import { householdSource } from "./source.ts";

Deno.test("householdSource() starts meter i at row 97·i, takes a row a step and wraps", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.nat({ max: 1_000 }),
      fc.nat({ max: 100_000 }),
      (rows, meter, step) => {
        const source = householdSource(numbered(rows));
        assert.deepEqual(source(meter, step), {
          power_W: (97 * meter + step) % rows,
          voltage_mV: 230_000,
        });
      },
    ),
  );
});

Deno.test("householdSource() knows nothing where a value is missing", () => {
  const [row] = numbered(1);
  for (const missing of [{ power_W: null }, { voltage_mV: null }]) {
    const source = householdSource([row!, { ...row!, ...missing }]);
    assert.notEqual(source(0, 0), null);
    assert.equal(source(0, 1), null);
    assert.equal(source(1, 0), null);
  }
});

/** Rows whose power is their number. */
function numbered(count: number): HouseholdRow[] {
  return Array.from(
    { length: count },
    (_, i) => ({ date_time: "2007-02-01T00:00", power_W: i, voltage_mV: 230_000 }),
  );
}
