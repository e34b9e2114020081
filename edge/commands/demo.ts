/**
 * `edgeward demo`: a cloud, a fog and ten meters on this machine. It prints every window that reaches
 * the cloud, drains what is under way at the end, and fails when a single reading is missing there.
 */
import type { Command } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import { toHex } from "../../core/base/bytes.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { logOf } from "../../core/services/logging.ts";
import { pause } from "../../core/services/pause.ts";
import { Observer, type ShownWindow } from "../demo/observer.ts";
import { type DemoSystem, startDemo } from "../demo/system.ts";
import { configureLogging } from "../logging.ts";
import { positiveNumber, wholeNumber } from "../options.ts";
import { drainFleet, runFleet } from "../simulate/fleet.ts";
import { SimulatedMeter } from "../simulate/meter.ts";
import { loadSource, sourceOptions } from "../simulate/options.ts";
import { printJson, printLine, progress, warnLine } from "../terminal.ts";
import { stopSignal } from "./run.ts";

interface DemoOptions {
  readonly port: number;
  readonly dataDir?: string;
  readonly household?: string;
  readonly seed: number;
  readonly speed: number;
  readonly for?: number;
  readonly json?: true;
  readonly quiet?: true;
}

const meterCount = 10;
/** How long the last readings may take to the cloud. */
const drainTime = 30_000;

export function configure(command: Command): void {
  command.description("Run a whole system on this machine: fog, cloud, broker and ten meters.")
    .option("--port <port>", "HTTP port of the first site", wholeNumber(0, 65_534), 8080)
    .option("--data-dir <dir>", "keep the data here (default: a temporary directory)");
  sourceOptions(command)
    .option("--speed <n>", "minutes of load per minute", positiveNumber, 60)
    .option("--for <seconds>", "stop after so many seconds (default: at Ctrl-C)", positiveNumber)
    .option("--json", "print JSON lines")
    .option("--quiet", "show no progress")
    .action(demo);
}

async function demo(options: DemoOptions): Promise<void> {
  await configureLogging({ level: "error" });
  const source = await loadSource(options);
  await using directory = await dataDirectory(options.dataDir);
  await using system = await startDemo({ dataDir: directory.path, port: options.port });
  using observer = new Observer(system);
  await using fleet = await makeFleet(system);
  if (!options.json) welcome(system);

  const began = Date.now();
  const interval = 60_000 / options.speed;
  const steps = options.for && Math.max(1, Math.round(options.for * 1000 / interval));
  const stopping = new AbortController();
  stopSignal().then(() => stopping.abort());
  const shown = new WindowPrinter(observer, options, began);
  const watching = shown.watch(stopping.signal);
  using line = progress(options);
  const totals = await runFleet({
    meters: fleet.meters,
    source,
    interval,
    ...(steps !== undefined && { steps }),
    signal: stopping.signal,
    onStep: (step, { sent, accepted }) => {
      const end = steps === undefined ? "" : `/${steps}`;
      line.show(`step ${step + 1}${end}  readings ${accepted}/${sent}  windows ${shown.count}`);
    },
  });
  // the last step lasts as long as the others
  if (!stopping.signal.aborted) await pause(interval, stopping.signal);
  const seconds = Math.round((Date.now() - began) / 1000);
  line.show("draining …");
  const { sent, accepted } = await drainFleet(fleet.meters, AbortSignal.timeout(drainTime));
  const complete = await settled(observer, accepted, began);
  stopping.abort();
  await watching;
  await shown.print();
  line[Symbol.dispose]();

  const counted = await observer.readings();
  const summary = await observer.summary();
  const metering = {
    readings_sent: sent,
    readings_accepted: counted.accepted,
    refused: counted.refused,
    windows: shown.count,
    cloud_total_packets: summary.total_packets,
    avg_power_overall: summary.avg_power_overall,
    avg_voltage_overall: summary.avg_voltage_overall,
    meters: meterCount,
    rows_per_meter: totals.steps,
  };
  if (options.json) printJson({ final: true, seconds, metering });
  else printTotals(metering);
  if (!complete || counted.accepted !== sent) {
    throw new CodedError("incomplete", "Not every reading that was sent reached the cloud", {
      hint: "run it again with a log: this is a fault of edgeward, please report it",
    });
  }
}

/** Waits until the windows at the cloud hold every accepted reading. */
async function settled(observer: Observer, accepted: number, from: number): Promise<boolean> {
  const deadline = AbortSignal.timeout(drainTime);
  while (!deadline.aborted) {
    const windows = await observer.windows(from - 60_000);
    if (windows.reduce((sum, { readings }) => sum + readings, 0) >= accepted) return true;
    await pause(100, deadline);
  }
  return false;
}

/** Ten enrolled meters; their names are new each time, as their keys are. */
async function makeFleet({ fog }: DemoSystem) {
  const suite = nativeSuite();
  const log = logOf("demo", "meter");
  const run = toHex(suite.randomBytes(2));
  const meters: SimulatedMeter[] = [];
  for (let i = 1; i <= meterCount; i++) {
    const id = parseId(`meter-${run}-${String(i).padStart(2, "0")}`);
    const enrolment = await fog.enrol("meter", id, { ttl: 3_600_000 });
    meters.push(new SimulatedMeter({ suite, enrolment, id, clock: Date.now, log }));
  }
  return {
    meters,
    async [Symbol.asyncDispose]() {
      await Promise.all(meters.map(async (meter) => await meter[Symbol.asyncDispose]()));
    },
  };
}

/** Prints windows as they come to the cloud, and again when they are revised. */
class WindowPrinter {
  readonly #observer: Observer;
  readonly #json: boolean;
  readonly #revisions = new Map<number, number>();
  #from: number;

  constructor(observer: Observer, options: DemoOptions, began: number) {
    this.#observer = observer;
    this.#json = options.json ?? false;
    this.#from = began - 60_000;
  }

  /** Windows seen so far. */
  get count(): number {
    return this.#revisions.size;
  }

  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.print();
      await pause(500, signal);
    }
  }

  async print(): Promise<void> {
    for (const shown of await this.#observer.windows(this.#from)) {
      const { window: { start }, revision } = shown;
      if (this.#revisions.get(start) === revision) continue;
      this.#revisions.set(start, revision);
      this.#from = Math.max(this.#from, start - 60_000);
      printWindow(shown, this.#json);
    }
  }
}

function printWindow(shown: ShownWindow, json: boolean): void {
  const { window: { start, end }, revision, num_meters, avg_power, avg_voltage } = shown;
  if (json) {
    return printJson({ window: { start, end, revision, num_meters, avg_power, avg_voltage } });
  }
  const time = new Date(start).toISOString().slice(11, 19);
  const figures = `${avg_power.toFixed(3)} kW  ${avg_voltage.toFixed(2)} V`;
  const revised = revision > 0 ? `  revision ${revision}` : "";
  printLine(`${time}  ${String(num_meters).padStart(2)} meters  ${figures}${revised}`);
}

function welcome({ cloud, fog }: DemoSystem): void {
  warnLine(`cloud   http://127.0.0.1:${cloud.http!.port}/summary`);
  warnLine(`fog     http://127.0.0.1:${fog.admin.port}/readyz?verbose`);
  warnLine(`meters  ${meterCount}, over MQTT; every window that reaches the cloud is one line`);
}

function printTotals(metering: Record<string, number>): void {
  printLine(
    `${metering.readings_accepted} of ${metering.readings_sent} readings in ` +
      `${metering.windows} windows at the cloud, ${metering.refused} refused; mean ` +
      `${metering.avg_power_overall} kW, ${metering.avg_voltage_overall} V`,
  );
}

async function dataDirectory(path?: string): Promise<{ path: string } & AsyncDisposable> {
  if (path !== undefined) {
    await Deno.mkdir(path, { recursive: true }).catch((error) => {
      throw new CodedError(
        "data_dir_unwritable",
        `Cannot use the data directory: ${error.message}`,
      );
    });
    return { path, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const temporary = await Deno.makeTempDir({ prefix: "edgeward-demo-" });
  return {
    path: temporary,
    [Symbol.asyncDispose]: () => Deno.remove(temporary, { recursive: true }),
  };
}
