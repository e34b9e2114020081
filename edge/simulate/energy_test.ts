/** The register against the exact integral. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { EnergyRegister } from "./energy.ts";

const hour = 3_600_000;

Deno.test("EnergyRegister counts a kilowatt for an hour as 1000 Wh, however it is cut up", () => {
  for (const steps of [1, 2, 7, 3_600, 100_003]) {
    const register = new EnergyRegister();
    for (let i = 0; i < steps; i++) register.advance(Math.floor((hour * i) / steps), 1_000);
    assert.equal(register.advance(hour, 0), 1_000, `${steps} steps`);
  }
});

Deno.test("EnergyRegister stays below the exact integral by less than 1 Wh, and never falls", () => {
  const step = fc.record({
    elapsed: fc.nat({ max: 100_000_000 }),
    power_W: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  });
  fc.assert(fc.property(fc.nat(), fc.array(step), (start, steps) => {
    const register = new EnergyRegister();
    let t = start, last = register.advance(t, 0), exact = 0n, power = 0;
    for (const { elapsed, power_W } of steps) {
      t += elapsed;
      exact += BigInt(Math.max(0, power)) * BigInt(elapsed);
      power = power_W;
      const energy = register.advance(t, power_W);
      assert.equal(BigInt(energy), exact / BigInt(hour));
      assert.ok(energy >= last);
      last = energy;
    }
  }));
});

Deno.test("EnergyRegister does not count exported power", () => {
  const register = new EnergyRegister();
  register.advance(0, 2_000);
  register.advance(hour, -5_000);
  register.advance(2 * hour, 1_000);
  assert.equal(register.advance(3 * hour, 0), 3_000);
});

Deno.test("EnergyRegister goes on from there when the clock is set back", () => {
  const register = new EnergyRegister();
  register.advance(10 * hour, 1_000);
  register.advance(hour, 1_000);
  assert.equal(register.advance(2 * hour, 0), 1_000);
});
