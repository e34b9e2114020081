/**
 * Databases are put back as they were some time ago, while the others go on: the fog's, so that it has
 * forgotten what it told meters is safe and what it told its cloud, and the cloud's.
 */
import assert from "node:assert/strict";
import { askSite } from "../../edge/admin_client.ts";
import { temporaryFolder } from "../e2e/program.ts";
import { backUp } from "./_backup.ts";
import { missing } from "./_completeness.ts";
import { openProxy } from "./_proxy.ts";
import { replayed } from "./_replay.ts";
import { System } from "./_system.ts";

Deno.test("a fog that was put back loses nothing at its cloud, and an operator settles the rest", async () => {
  await using folder = await temporaryFolder();
  await using system = await System.start({ seed: 6, folder: folder.path });
  await measured(system, 40);
  await system.fog.stop();
  const backup = await backUp(system.fog);
  await system.fog.start();
  const before = system.oracle.count;
  await measured(system, 60);
  const forgotten = system.oracle.count - before;
  await system.fog.stop();
  await backup.restore();
  await system.fog.start();

  // the meters go on, and what the fog has forgotten is at the cloud
  await measured(system, 40);
  await system.isComplete();
  const { fogs: [fog] } = await system.completeness();
  assert.equal(fog!.epoch, 2);

  // all meters send all that they have again: the fog sums up what it had forgotten a second time
  const { accepted } = await replayed(system, 64);
  assert.equal(accepted, forgotten);
  const doubtful = await until(
    system,
    ({ undecided }) =>
      undecided.length > 0 && undecided.every(({ epochs }) => epochs.join() === "1,2"),
  );
  assert.deepEqual(doubtful.counted_twice, []);
  assert.deepEqual(doubtful.conflicts, []);
  await system.arrive();
  await settle(system, doubtful.undecided.length);
  await system.arrive();
  await system.isComplete();
});

Deno.test("what a fog forgot before its cloud had it is named, reading by reading", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const proxy = stack.use(openProxy());
  const uplink = (cloud: string) => {
    proxy.target = cloud;
    return proxy.url;
  };
  const system = stack.use(await System.start({ seed: 7, folder: folder.path, uplink }));
  await measured(system, 40);
  await system.fog.stop();
  const backup = await backUp(system.fog);
  proxy.mode = "away";
  const highest = highestSeqs(system);
  await system.fog.start();
  await system.measure({ steps: 30 });
  await system.drain();
  const forgotten = highestSeqs(system);
  await system.fog.stop();
  await backup.restore();
  await system.fog.start();
  proxy.mode = "honest";
  await system.measure({ steps: 40 });
  await system.drain();
  await system.arrive(
    system.oracle.windows((register, seq) =>
      seq <= highest.get(register)! || seq > forgotten.get(register)!
    ),
  );
  const said = await system.completeness();
  assert.equal(said.complete, false);
  assert.equal(missing(said), 30 * system.meters.length);
  for (const { meter, register, from, to } of said.readings) {
    const key = `${meter}/${register}`;
    assert.deepEqual([from, to], [highest.get(key)! + 1, forgotten.get(key)]);
  }

  // the meters still have them
  assert.equal((await replayed(system, 64)).accepted, missing(said));
  await system.arrive();
  await system.isComplete();
});

Deno.test("a cloud that was put back gets everything again", async () => {
  await using folder = await temporaryFolder();
  await using system = await System.start({ seed: 8, folder: folder.path });
  await measured(system, 40);
  await system.cloud.stop();
  const backup = await backUp(system.cloud);
  await system.cloud.start();
  await measured(system, 60);
  await system.cloud.stop();
  await backup.restore();
  await system.cloud.start();
  await system.measure({ steps: 40 });
  await system.endsWell();
});

async function measured(system: System, steps: number): Promise<void> {
  await system.measure({ steps });
  await system.drain();
  await system.arrive();
}

function highestSeqs({ oracle }: System): Map<string, number> {
  return new Map([...oracle.registers].map(([key, readings]) => [key, readings.at(-1)!.seq]));
}

/** Waits until completeness is so, and stays the same for a while. */
async function until(
  system: System,
  isSo: (said: Awaited<ReturnType<System["completeness"]>>) => boolean,
) {
  let before = "";
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    const said = await system.completeness();
    if (isSo(said) && JSON.stringify(said) === before) return said;
    before = JSON.stringify(said);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
  assert.fail(before);
}

/** An operator decides that of every doubtful window the later epoch's version is in force. */
async function settle({ cloud }: System, windows: number): Promise<void> {
  const body = { role: "operator", note: "test" };
  const made = await askSite(cloud.dataDir, "/tokens", { method: "POST", body });
  const { token } = made as { token: string };
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const response = await fetch(`${cloud.url}/cloud-summary/decisions`, {
    client,
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ fog: "fog-1", from: 0, to: Number.MAX_SAFE_INTEGER, epoch: 2 }),
  });
  const said = await response.text();
  assert.equal(response.status, 200, said);
  assert.ok(said.includes(String(windows)), said);
}
