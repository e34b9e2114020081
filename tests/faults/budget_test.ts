/**
 * The fog's disk budget runs out while its cloud is away: either it takes no more readings, which the
 * meters then keep, or it drops the oldest and the cloud can name what was dropped.
 */
import assert from "node:assert/strict";
import { temporaryFolder } from "../e2e/program.ts";
import { missing, missingIn } from "./_completeness.ts";
import { openProxy, type Proxy } from "./_proxy.ts";
import { queried, System } from "./_system.ts";

const budget = 16 * 1024 * 1024;
const window = 60_000;
/** Milliseconds between the readings of a meter, by its clock. */
const apart = 1_000;

Deno.test("a fog without room takes no readings until its cloud has taken some, and loses none", async () => {
  await using flood = await startFlood("block");
  const { system, proxy } = flood;
  await flood.until(async () => (await storageAt(system)).includes("no readings are taken"));
  assert.ok(system.oracle.count < system.measured, "the meters have to keep something");
  proxy.mode = "honest";
  await system.drain();
  await system.arrive();
  await system.isComplete();
  assert.ok(await usedAt(system) < 1.25 * budget);
});

Deno.test("a fog without room that may drop the oldest does so, and the cloud names what is missing", async () => {
  await using flood = await startFlood("drop-oldest");
  const { system, proxy } = flood;
  await flood.until(async () => await highestPruned(system) > 500);
  await system.drain();
  proxy.mode = "honest";
  const said = await eventually(async () => {
    const said = await system.completeness();
    const held = await heldAt(system);
    return held + missing(said) === system.oracle.count && held > 0 ? said : undefined;
  });
  assert.equal(said.complete, false);
  assert.ok(said.summaries.length > 0, "links of the chain are lost");
  assert.deepEqual([said.conflicts, said.counted_twice, said.undecided], [[], [], []]);
  // what was dropped is still known as what the oldest reading that is left follows
  const isMissing = missingIn(said);
  await system.arrive(system.oracle.windows((...key) => !isMissing(...key), () => true));
});

interface Flood extends AsyncDisposable {
  readonly system: System;
  readonly proxy: Proxy;
  /** Lets the meters measure as fast as they can until it is so. */
  until(isSo: () => Promise<boolean>): Promise<void>;
}

/** Forty meters that have an hour and a half to report, and a fog whose uplink is down. */
async function startFlood(when_full: string): Promise<Flood> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const proxy = stack.use(openProxy());
  proxy.mode = "away";
  let now = Date.now() - 8_000 * apart;
  const system = stack.use(
    await System.start({
      ...{ seed: 10, folder: folder.path, meters: 40, batch: 512, window },
      clock: () => now,
      fog: `disk_budget = "16MiB"\nwhen_full = "${when_full}"`,
      uplink(cloud) {
        proxy.target = cloud;
        return proxy.url;
      },
    }),
  );
  const resources = stack.move();
  return {
    system,
    proxy,
    async until(isSo) {
      for (let rounds = 0; !await isSo(); rounds++) {
        assert.ok(rounds < 80, "the budget was never exhausted");
        await system.measure({ steps: 100, interval: 0, onStep: () => void (now += apart) });
      }
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** What the fog says of its health. */
async function storageAt({ fog }: System): Promise<string> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const url = `http://127.0.0.1:${fog.ports.admin}/readyz?verbose`;
  const text = await (await fetch(url, { client })).text();
  return text.split("\n").find((line) => line.includes("fog-aggregator")) ?? "";
}

/** Bytes of its database that are in use. */
async function usedAt({ fog }: System): Promise<number> {
  const [pages] = await queried(
    fog,
    `SELECT (page_count - freelist_count) * page_size AS used
      FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
  );
  return Number(pages!["used"]);
}

async function highestPruned({ fog }: System): Promise<number> {
  const [row] = await queried(fog, "SELECT max(last) AS last FROM fog_aggregator_pruned");
  return Number(row!["last"] ?? 0);
}

/** Readings in the windows that the cloud holds. */
async function heldAt(system: System): Promise<number> {
  let held = 0;
  for (const { n } of (await system.atCloud()).values()) held += n;
  return held;
}

async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + 120_000; Date.now() < deadline;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assert.fail("it never came to pass");
}
