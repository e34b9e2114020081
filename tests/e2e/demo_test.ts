/**
 * The whole system on one machine, replaying a real household: not a reading is lost on the way from
 * ten meters through the fog to the cloud, and the means there are those of the file. What the file
 * holds is read here by other code than the program's. The cloud's log holds every window, verifies
 * and has two witnesses. Every call of five devices was done, and none twice. The same holds for the
 * compiled binary, alone in an empty folder.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { askSite } from "../../edge/admin_client.ts";
import { eventually } from "./_test_site.ts";
import { binary, exists, household, isCi, type Outcome, run, temporaryFolder } from "./program.ts";

interface Window {
  readonly start: number;
  readonly end: number;
  readonly revision: number;
  readonly num_meters: number;
  readonly avg_power: number;
  readonly avg_voltage: number;
}

interface Metering {
  readonly readings_sent: number;
  readonly readings_accepted: number;
  readonly refused: number;
  readonly windows: number;
  readonly cloud_total_packets: number;
  readonly avg_power_overall: number;
  readonly avg_voltage_overall: number;
  readonly meters: number;
  readonly rows_per_meter: number;
}

interface Log {
  readonly size: number;
  readonly checkpoint_verified: boolean;
  readonly witnesses: number;
}

interface Rpc {
  readonly devices_authorized: number;
  readonly calls_sent: number;
  readonly calls_done: number;
  readonly duplicates_run: number;
}

const noHousehold = !exists(household) && !isCi;
const windowLength = 2_000;

Deno.test({
  name: "edgeward demo brings every reading of a real household to the cloud" +
    (noHousehold ? " (skipped: the shared data folder is missing)" : ""),
  ignore: noHousehold,
  async fn() {
    const args = ["demo", "--for", "20", "--json", "--port", "0", "--household", household];
    checkDemo(await run(args), { rows: 20 });
  },
});

Deno.test({
  name: "edgeward demo does so as one binary, without Deno, npm or anything else around it" +
    (noHousehold ? " (skipped: the shared data folder is missing)" : "") +
    (binary === undefined ? " (skipped: dist/edgeward is not built)" : ""),
  ignore: noHousehold || binary === undefined,
  async fn() {
    assert.ok(exists(binary!.path), "there is no binary: deno task compile");
    await using folder = await temporaryFolder();
    const cwd = `${folder.path}/empty`;
    await Deno.mkdir(cwd);
    const args = ["demo", "--for", "6", "--json", "--port", "0", "--household", household];
    const surroundings = { cwd, clearEnv: true, env: { PATH: `${folder.path}/nowhere` } };
    checkDemo(await run(args, { program: binary!, ...surroundings }), { rows: 6 });
    assert.deepEqual([...Deno.readDirSync(cwd)], [], "it left something where it was started");
  },
});

Deno.test("edgeward demo fails when somebody rewrites the history of its cloud", async () => {
  await using folder = await temporaryFolder();
  const args = ["demo", "--for", "6", "--json", "--port", "0", "--data-dir", folder.path];
  const running = run(args);
  const cloud = join(folder.path, "demo");
  // an entry that is in a checkpoint, so the next one cannot hide it
  await eventually("there is a history", () => exists(join(cloud, "log.head")) || undefined);
  await eventually("it is rewritten", () => {
    using db = new DatabaseSync(join(cloud, "edgeward.db"), { timeout: 10_000 });
    const { changes } = db.prepare("UPDATE audit SET actor = 'nobody' WHERE id = 1").run();
    return changes === 1 || undefined;
  });
  const { code, stdout, stderr } = await running;
  assert.equal(code, 1);
  const { log } = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as { log: Log };
  assert.equal(log.checkpoint_verified, false);
  assert.match(stderr, /error: The log of the cloud does not verify: .*entry 0/);
});

Deno.test("edgeward demo fails when a device may not make one of its calls", async () => {
  await using folder = await temporaryFolder();
  const args = ["demo", "--for", "6", "--json", "--port", "0", "--data-dir", folder.path];
  const running = run(args);
  const gateway = join(folder.path, "gw-2");
  const [{ id }] = await eventually("its devices are there", async () => {
    const answer = askSite(gateway, "/mqtt-auth-gateway/devices?state=AUTHORIZED");
    const { devices } = await answer.catch(() => ({ devices: [] })) as {
      devices: { id: string }[];
    };
    return devices.length > 0 ? devices as [{ id: string }] : undefined;
  });
  await askSite(gateway, `/mqtt-auth-gateway/devices/${id}/permissions`, {
    ...{ method: "PUT", body: { allow: ["time", "echo", "config.get", "telemetry.push"] } },
  });
  const { code, stdout, stderr } = await running;
  assert.equal(code, 1);
  const { rpc } = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as { rpc: Rpc };
  assert.ok(rpc.calls_done < rpc.calls_sent, JSON.stringify(rpc));
  assert.match(stderr, /error: Not every call of a device happened once/);
});

function checkDemo({ code, stdout, stderr }: Outcome, { rows }: { rows: number }): void {
  assert.equal(code, 0, stderr);
  const lines: unknown[] = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  const { metering, share, rpc, log, seconds, ...final } = lines.pop() as {
    metering: Metering;
    share: unknown;
    rpc: Rpc;
    log: Log;
    seconds: number;
  };
  const windows = lines.map(windowOf);

  assert.deepEqual(final, { final: true });
  assert.ok(Number.isInteger(seconds) && seconds >= rows, `${seconds} s`);
  const sent = rowsSent(metering);
  assert.deepEqual(metering, {
    readings_sent: sent.length,
    readings_accepted: metering.readings_sent,
    refused: 0,
    windows: new Set(windows.map(({ start }) => start)).size,
    cloud_total_packets: metering.windows,
    avg_power_overall: mean(sent.map(({ power_W }) => power_W), 1) / 1_000,
    avg_voltage_overall: mean(sent.map(({ voltage_mV }) => voltage_mV), 10) / 100,
    meters: 10,
    rows_per_meter: rows,
  });
  checkRevisions(windows);
  assert.deepEqual(share, {
    ...{ gateways: 3, threshold: 2, unlocks_ok: 1, unlocks_failed: 0, mounts_ok: 1 },
  });
  const { calls_sent } = rpc;
  assert.deepEqual(rpc, {
    ...{ devices_authorized: 5, calls_sent, calls_done: calls_sent, duplicates_run: 0 },
  });
  assert.ok(
    calls_sent >= 5 * 4,
    `${calls_sent} calls: each device asks, reports, switches, is called`,
  );
  const { size } = log;
  assert.deepEqual(log, { size, checkpoint_verified: true, witnesses: 2 });
  assert.ok(size > metering.windows, `${size} entries, and ${metering.windows} windows`);
  assert.ok(metering.windows > 1, "everything fell into one window");
}

/** A line of a window, which holds what is specified and nothing else. */
function windowOf(line: unknown): Window {
  const { window, ...rest } = line as { window: Window };
  assert.deepEqual(rest, {});
  const { start, end, revision, num_meters, avg_power, avg_voltage } = window;
  assert.deepEqual(window, { start, end, revision, num_meters, avg_power, avg_voltage });
  assert.equal(start % windowLength, 0);
  assert.equal(end, start + windowLength);
  assert.ok(Number.isInteger(revision) && revision >= 0, `revision ${revision}`);
  assert.ok(Number.isInteger(num_meters) && num_meters >= 1 && num_meters <= 10);
  assert.equal(Number(avg_power.toFixed(3)), avg_power);
  assert.equal(Number(avg_voltage.toFixed(2)), avg_voltage);
  return window;
}

/** A window comes again only when it is revised. */
function checkRevisions(windows: readonly Window[]): void {
  const last = new Map<number, number>();
  for (const { start, revision } of windows) {
    assert.ok(
      revision > (last.get(start) ?? -1),
      `window ${start}: revision ${revision} came late`,
    );
    last.set(start, revision);
  }
}

interface Measured {
  readonly power_W: number;
  readonly voltage_mV: number;
}

/** What was sent: meter i replays rows from 97·i on, and a row with a missing value is left out. */
function rowsSent({ meters, rows_per_meter }: Metering): Measured[] {
  const rows = readHousehold(Deno.readTextFileSync(household));
  const sent: Measured[] = [];
  for (let meter = 0; meter < meters; meter++) {
    for (let step = 0; step < rows_per_meter; step++) {
      const row = rows[(97 * meter + step) % rows.length]!;
      if (!Number.isNaN(row.power_W) && !Number.isNaN(row.voltage_mV)) sent.push(row);
    }
  }
  return sent;
}

/** Missing values become NaN. */
function readHousehold(text: string): Measured[] {
  const [header, ...rows] = text.replaceAll('"', "").trim().split(/\r?\n/)
    .map((line) => line.split(";"));
  const power = header!.indexOf("Global_active_power"), voltage = header!.indexOf("Voltage");
  assert.ok(power >= 0 && voltage >= 0, "the file has other columns");
  const thousandths = (value = "") => /^\d/.test(value) ? Math.round(Number(value) * 1_000) : NaN;
  return rows.map((row) => ({
    power_W: thousandths(row[power]),
    voltage_mV: thousandths(row[voltage]),
  }));
}

/** The mean in units, rounded half up, without a fraction on the way. */
function mean(values: readonly number[], unit: number): number {
  const sum = values.reduce((sum, value) => sum + BigInt(value), 0n);
  const count = BigInt(values.length * unit);
  return Number((2n * sum + count) / (2n * count));
}
