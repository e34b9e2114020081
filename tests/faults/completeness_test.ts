/** Meters leave numbers out, among all else that they do: the cloud names those, and no others. */
import assert from "node:assert/strict";
import { misbehaviours } from "../../edge/simulate/misbehaviour.ts";
import { temporaryFolder } from "../e2e/program.ts";
import { missing, missingIn, whole } from "./_completeness.ts";
import { System } from "./_system.ts";

Deno.test("the cloud names the numbers that meters never sent, and nothing else is missing", async () => {
  await using folder = await temporaryFolder();
  const misbehave = misbehaviours.filter((kind) => kind !== "clock");
  await using system = await System.start({ seed: 12, folder: folder.path, misbehave });
  await system.measure({ steps: 120 });
  await system.drain();
  await system.arrive();
  const { fogs: _, readings, complete, ...others } = await system.completeness();
  const left = system.meters.reduce((sum, { misdeeds }) => sum + (misdeeds.gap ?? 0), 0);
  assert.ok(left > 0, "no meter left a number out");
  assert.equal(complete, false);
  const { readings: _none, complete: _is, ...nothing } = whole;
  assert.deepEqual(others, nothing);
  const said = { ...await system.completeness(), readings };
  assert.equal(missing(said), left);
  const isMissing = missingIn(said);
  for (const [register, all] of system.oracle.registers) {
    for (const { seq } of all) assert.equal(isMissing(register, seq), false);
  }
});
