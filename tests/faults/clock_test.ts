/**
 * The fog's clock is wrong by a day, in either direction. Readings belong to the time that their meters
 * say, so nothing may be lost, and nothing may be in a wrong window, whether the cloud is there to tell
 * the time from the beginning or only later.
 */
import { temporaryFolder } from "../e2e/program.ts";
import { startShifted } from "./_shifted_site.ts";
import { System } from "./_system.ts";

const day = 86_400_000;

for (const [name, shift] of [["ahead", day], ["behind", -day]] as const) {
  Deno.test(`a fog whose clock is a day ${name} sums up right, and tells no lies`, async () => {
    await using folder = await temporaryFolder();
    await using system = await System.start({
      ...{ seed: 9, folder: folder.path, misbehave: ["late", "disorder"] },
      startFog: (folder, role) => startShifted(folder, role, shift),
    });
    await system.measure({ steps: 60 });
    await system.cloud.stop();
    await system.fog.kill();
    await system.fog.start();
    await system.measure({ steps: 60 });
    await system.drain();
    await system.cloud.start();
    await system.endsWell();
  });
}
