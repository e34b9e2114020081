/**
 * Processes die: fog and cloud are killed without a warning, at moments drawn from a seed, also while
 * they are starting. EDGEWARD_KILLS says how often at least; 20 unless said, 200 in the full run. What
 * the meters were told is safe is known here, where nobody is killed.
 */
import assert from "node:assert/strict";
import type { Misbehaviour } from "../../edge/simulate/misbehaviour.ts";
import { temporaryFolder } from "../e2e/program.ts";
import { type RunningSite, System } from "./_system.ts";

const seeds = [1, 2026];
const kills = Math.ceil(Number(Deno.env.get("EDGEWARD_KILLS") ?? 20) / seeds.length);
/** All but a wrong clock, which is refused, and gaps, which are named. */
const misbehave: Misbehaviour[] = ["late", "duplicate", "disorder", "reset", "rollover", "replace"];

for (const seed of seeds) {
  Deno.test(`every acknowledged reading outlives ${kills} kills, seed ${seed}`, async () => {
    await using folder = await temporaryFolder();
    await using system = await System.start({
      ...{ seed, folder: folder.path, misbehave, over: "http" },
    });
    const over = new AbortController();
    const measuring = system.measure({ signal: over.signal });
    const draw = drawsOf(seed);
    for (let kill = 0; kill < kills; kill++) {
      const victims = [[system.fog], [system.cloud], [system.fog, system.cloud]][draw(0, 3)]!;
      await Promise.all(victims.map((victim) => murder(victim, draw(0, 2) === 0, draw(0, 1_000))));
    }
    over.abort();
    await measuring;
    assert.ok(system.oracle.count > 0, "nothing was acknowledged between the kills");
    await system.endsWell();
  });
}

/** Kills a site some milliseconds from now; then once more while it starts, or not; and starts it. */
async function murder(site: RunningSite, isTwice: boolean, milliseconds: number): Promise<void> {
  await wait(milliseconds);
  await site.kill();
  if (isTwice) {
    const starting = site.start().then(() => true, () => false);
    await wait(milliseconds);
    await site.kill();
    await starting;
  }
  await site.start();
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Whole numbers from `min`, below `max`. */
function drawsOf(seed: number): (min: number, max: number) => number {
  let state = seed;
  return (min, max) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 >>> 0;
    return min + Math.floor((state / 2 ** 32) * (max - min));
  };
}
