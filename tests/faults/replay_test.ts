/** Whole backlogs come again, as from meters that have forgotten what they were told is safe. */
import assert from "node:assert/strict";
import { temporaryFolder } from "../e2e/program.ts";
import { replayed } from "./_replay.ts";
import { System } from "./_system.ts";

Deno.test("a whole backlog that is sent again counts for nothing, before and after a restart", async () => {
  await using folder = await temporaryFolder();
  const misbehave = ["reset", "rollover", "replace", "disorder"] as const;
  await using system = await System.start({ seed: 5, folder: folder.path, misbehave });
  await system.measure({ steps: 60 });
  await system.drain();
  const all = { accepted: 0, duplicates: system.oracle.count };
  assert.deepEqual(await replayed(system, 7), all);
  await system.arrive();
  await system.fog.kill();
  await system.fog.start();
  assert.deepEqual(await replayed(system, 50), all);
  await system.endsWell();
});
