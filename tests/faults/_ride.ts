/**
 * A whole system under load while something happens to it: meters measure, a fog sums up, a cloud
 * stores. When all is up again and drained, the cloud holds every reading that a meter was told is safe
 * exactly once, in its own window, and the fog's chain there has no gap.
 */
import assert from "node:assert/strict";
import { createClient } from "@libsql/client";
import { join } from "node:path";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import { decodeSummary, summaryType } from "../../core/wire/summary.ts";
import { askSite } from "../../edge/admin_client.ts";
import { drainFleet, runFleet } from "../../edge/simulate/fleet.ts";
import { loadModel } from "../../edge/simulate/load_model.ts";
import { SimulatedMeter } from "../../edge/simulate/meter.ts";
import { SiteProcess } from "../e2e/site_process.ts";
import { type Figures, oracleOf } from "./_oracle.ts";

export interface RideOptions {
  readonly seed: number;
  /** A folder for both sites, which keep their data in `cloud/data` and `fog/data`. */
  readonly folder: string;
  /** What happens before a step is sent, which begins a fault, or ends one. */
  onStep(step: number, sites: { cloud: SiteProcess; fog: SiteProcess }): Promise<void> | undefined;
}

const suite = nativeSuite();
const log = { debug() {}, info() {}, warn() {}, error() {} };
const meterCount = 6;
const steps = 150;
const interval = 50;
const window = 1_000;
/** Nothing takes this long but a fault. */
const patience = 120_000;

/** Rides through the faults, and fails when anything was lost or counted twice. */
export async function ride({ seed, folder, onStep }: RideOptions): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const cloud = stack.use(await startCloud(join(folder, "cloud")));
  const fog = stack.use(await startFog(join(folder, "fog"), cloud));
  const oracle = oracleOf(loadModel(seed), window);
  const { source, clock } = oracle;
  const meters: SimulatedMeter[] = [];
  for (let i = 1; i <= meterCount; i++) {
    const id = parseId(`m-${i}`);
    const enrolment = await fog.enrol(id);
    meters.push(stack.use(new SimulatedMeter({ suite, enrolment, id, clock, log, batch: 8 })));
  }

  const faults: Promise<void>[] = [];
  const { signal } = new AbortController();
  await runFleet({
    ...{ meters, source, interval, steps, signal },
    onStep(step) {
      const fault = onStep(step, { cloud, fog });
      if (fault === undefined) return;
      fault.catch(() => {}); // it is looked at when the run is over
      faults.push(fault);
    },
  });
  await Promise.all(faults);
  assert.ok(faults.length > 0, "nothing happened");

  const drained = await drainFleet(meters, AbortSignal.timeout(patience));
  const { readings } = oracle;
  assert.equal(readings, meterCount * steps);
  assert.deepEqual(drained, { sent: readings, accepted: readings, refused: 0 });
  await cloudHolds(cloud, readings);
  await fog.stop();
  await cloud.stop();
  assert.deepEqual(await windowsAt(cloud), new Map([...oracle.windows].sort(byStart)));
  await checkChain(cloud, fog);
  await checkReadings(fog);
}

function startCloud(folder: string): Promise<SiteProcess> {
  return SiteProcess.start(folder, "cloud", "[plugins.cloud-summary]\npublic_summary = true");
}

async function startFog(folder: string, cloud: SiteProcess): Promise<SiteProcess> {
  const code = await askSite(cloud.dataDir, "/enrol", {
    method: "POST",
    body: { kind: "fog", id: "fog-1", ttl: 3_600_000 },
  });
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "cloud.json"), JSON.stringify(code));
  return SiteProcess.start(
    folder,
    "fog-1",
    `[plugins.fog-aggregator]\nwindow = "1s"\ngrace = "100ms"\ncode_file = "cloud.json"`,
  );
}

/** Waits, and fails when the cloud shows more readings than there are, or not all of them in time. */
async function cloudHolds(cloud: SiteProcess, readings: number): Promise<void> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const url = `http://127.0.0.1:${cloud.ports.http}/cloud-summary/windows?limit=1000`;
  let held = 0;
  for (const deadline = Date.now() + patience; Date.now() < deadline;) {
    const { windows, next } = await (await fetch(url, { client })).json();
    assert.equal(next, null);
    held = 0;
    for (const shown of windows) held += shown.readings;
    assert.ok(held <= readings, `the cloud shows ${held} of ${readings} readings`);
    if (held === readings) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`The cloud shows ${held} of ${readings} readings`);
}

async function windowsAt(cloud: SiteProcess): Promise<Map<number, Figures>> {
  const rows = await queried(
    cloud,
    `SELECT window_start AS start, n, sum_power_w AS power_W, sum_voltage_mv AS voltage_mV
      FROM cloud_summary_windows ORDER BY window_start`,
  );
  return new Map(
    rows.map(({ start, ...figures }) => [Number(start), figures as unknown as Figures]),
  );
}

/** The chain as the cloud stores it: signed by the fog, numbered without a gap, each link on the last. */
async function checkChain(cloud: SiteProcess, fog: SiteProcess): Promise<void> {
  const [peer] = await queried(cloud, "SELECT sign_key FROM peers WHERE id = 'fog-1'");
  const verifier = new StatementVerifier(suite, bytes(peer!["sign_key"]), summaryType);
  const links = await queried(
    cloud,
    "SELECT epoch, seq, statement FROM cloud_summary_summaries ORDER BY epoch, seq",
  );
  let prev: Uint8Array | null = null;
  for (const [i, link] of links.entries()) {
    const statement = bytes(link["statement"]);
    const summary = decodeSummary(verifier.open(statement));
    assert.deepEqual([link["epoch"], link["seq"]], [1, i + 1]);
    assert.deepEqual([summary.epoch, summary.seq, summary.prev], [1, i + 1, prev]);
    prev = suite.sha256(statement);
  }
  const outbox = "SELECT epoch, seq, statement FROM fog_aggregator_summaries ORDER BY epoch, seq";
  assert.deepEqual(links, await queried(fog, outbox));
  const [waiting] = await queried(
    fog,
    "SELECT count(*) AS n FROM fog_aggregator_summaries WHERE NOT acknowledged",
  );
  assert.equal(waiting!["n"], 0);
}

/** Every meter's readings at the fog: numbered without a gap. */
async function checkReadings(fog: SiteProcess): Promise<void> {
  const rows = await queried(
    fog,
    `SELECT meter, count(*) AS n, min(seq) AS first, max(seq) AS last
      FROM fog_aggregator_readings JOIN fog_aggregator_registers ON id = register_id
      GROUP BY meter ORDER BY meter`,
  );
  const expected = Array.from({ length: meterCount }, (_, i) => {
    return { meter: `m-${i + 1}`, n: steps, first: 1, last: steps };
  });
  assert.deepEqual(rows, expected);
}

async function queried(site: SiteProcess, sql: string): Promise<Record<string, unknown>[]> {
  const client = createClient({ url: `file:${join(site.dataDir, "edgeward.db")}` });
  try {
    const { columns, rows } = await client.execute(sql);
    return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
  } finally {
    client.close();
  }
}

function bytes(value: unknown): Uint8Array {
  return new Uint8Array(value as ArrayBuffer);
}

function byStart([a]: [number, Figures], [b]: [number, Figures]): number {
  return a - b;
}
