/**
 * Processes die: the cloud is killed for a part of the ride, the fog once in the middle of its work, both
 * without a warning.
 */
import { temporaryFolder } from "../e2e/program.ts";
import { ride } from "./_ride.ts";

for (const seed of [1, 2026]) {
  Deno.test(`every acknowledged reading outlives killed processes, seed ${seed}`, async () => {
    await using folder = await temporaryFolder();
    const plan = planOf(seed);
    let cloudDied = Promise.resolve();
    await ride({
      seed,
      folder: folder.path,
      onStep(step, { cloud, fog }) {
        if (step === plan.cloudDies) return cloudDied = cloud.kill();
        if (step === plan.cloudReturns) return cloudDied.then(() => cloud.start());
        if (step === plan.fogDies) return fog.kill().then(() => fog.start());
        return undefined;
      },
    });
  });
}

/** Steps at which things happen: the cloud is away for a while, and the fog dies at some other time. */
function planOf(seed: number): { cloudDies: number; cloudReturns: number; fogDies: number } {
  let state = seed;
  const between = (min: number, max: number) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 >>> 0;
    return min + Math.floor((state / 2 ** 32) * (max - min));
  };
  const cloudDies = between(10, 60);
  const cloudReturns = cloudDies + between(20, 60);
  const fogDies = between(20, 120);
  return {
    cloudDies,
    cloudReturns,
    fogDies: fogDies + Number([cloudDies, cloudReturns].includes(fogDies)),
  };
}
