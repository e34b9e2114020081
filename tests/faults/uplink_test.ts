/**
 * What lies between fog and cloud fails: the cloud is away when the fog starts, something answers in its
 * place without passing anything on, or passes on and loses the answers.
 */
import assert from "node:assert/strict";
import { temporaryFolder } from "../e2e/program.ts";
import { openProxy, type ProxyMode } from "./_proxy.ts";
import { ride } from "./_ride.ts";
import { System } from "./_system.ts";

const misbehave = ["late", "duplicate", "disorder"] as const;

Deno.test("a fog that starts while its cloud is away keeps everything for it", async () => {
  await using folder = await temporaryFolder();
  await using system = await System.start({ seed: 3, folder: folder.path, misbehave });
  await system.cloud.stop();
  await system.fog.stop();
  await system.fog.start();
  await system.measure({ steps: 60 });
  await system.drain();
  await system.fog.kill();
  await system.fog.start();
  await system.cloud.start();
  await system.endsWell();
});

for (const mode of ["pretends", "swallows"] satisfies ProxyMode[]) {
  Deno.test(`a fog believes no proxy that ${mode}, only its cloud`, async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await temporaryFolder());
    const proxy = stack.use(openProxy());
    await ride({
      ...{ seed: 4, folder: folder.path, misbehave },
      uplink(cloud) {
        proxy.target = cloud;
        return proxy.url;
      },
      onStep(step) {
        // three times for a second and a half
        if (step % 50 === 10) proxy.mode = mode;
        else if (step % 50 === 40) proxy.mode = "honest";
        else return undefined;
        return Promise.resolve();
      },
    });
    assert.ok(proxy.seen[mode] > 0 && proxy.seen.honest > 0, JSON.stringify(proxy.seen));
  });
}
