/**
 * `edgeward demo`: a cloud, a fog and ten meters on this machine, a kiosk whose storage opens when two of
 * three gateways agree, and five devices that call their gateway over a broker. It prints every window
 * that reaches the cloud, drains what is under way at the end, and fails when a single reading is missing
 * there, when the kiosk did not mount, when a call of a device did not happen or happened twice, or when
 * the cloud's log, which two gateways witness, does not verify. With a bot's token it tells a Telegram chat.
 */
import type { Command } from "commander";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import { pause } from "../../core/services/pause.ts";
import { deviceCount, type RpcVerdict, startDevices } from "../demo/devices.ts";
import { LogObserver, type LogVerdict } from "../demo/log_observer.ts";
import { Observer } from "../demo/observer.ts";
import { foundGroup, openStorage } from "../demo/storage.ts";
import { type DemoSystem, demoWindow, startDemo, urlOf } from "../demo/system.ts";
import {
  type TelegramOptions,
  telegramOptions,
  telegramTable,
  toldTelegram,
} from "../demo/telegram.ts";
import { WindowPrinter } from "../demo/window_printer.ts";
import { configureLogging } from "../logging.ts";
import { wholeNumber } from "../options.ts";
import { enrolFleet } from "../simulate/enrol_fleet.ts";
import { drainFleet, runFleet } from "../simulate/fleet.ts";
import {
  loadSource,
  paceOf,
  type SimulationOptions,
  simulationOptions,
} from "../simulate/options.ts";
import { printJson, printLine, progress, warnLine } from "../terminal.ts";
import { stopSignal } from "./run.ts";

interface DemoOptions extends SimulationOptions, TelegramOptions {
  readonly port: number;
  readonly dataDir?: string;
  readonly json?: true;
}

const meterCount = 10;
/** How long the last readings may take to the cloud. */
const drainTime = 60_000;

export function configure(command: Command): void {
  command.description(
    "Run a whole system on this machine: gateways, fog, cloud, broker, meters, devices and a kiosk.",
  )
    .option("--port <port>", "HTTP port of the first site", wholeNumber(0, 65_533), 8080)
    .option("--data-dir <dir>", "keep the data here (default: a temporary directory)")
    .option("--json", "print JSON lines");
  telegramOptions(command);
  simulationOptions(command, { speed: 60 }).action(demo);
}

async function demo(options: DemoOptions): Promise<void> {
  const telegram = telegramTable(options);
  await configureLogging({ level: "error" });
  const source = await loadSource(options);
  await using directory = await dataDirectory(options.dataDir);
  await using system = await startDemo({
    ...{ dataDir: directory.path, port: options.port, telegram },
  });
  using observer = new Observer(system);
  using logObserver = await LogObserver.open(system);
  await foundGroup(system);
  await using fleet = await enrolFleet({
    count: meterCount,
    enrol: (id) => system.fog.enrol("meter", id, { ttl: 3_600_000 }),
  });
  if (!options.json) welcome(system);
  const storage = await openStorage(system, { dataDir: directory.path });
  if (!options.json) tellStorage(storage);

  await using devices = await startDevices(system, { seed: options.seed });

  const began = Date.now();
  const pace = paceOf(options);
  const stopping = new AbortController();
  stopSignal().then(() => stopping.abort());
  using line = progress(options);
  await using shown = new WindowPrinter(observer, {
    json: options.json === true,
    since: began,
    progress: line,
  });
  const { steps: rows } = await runFleet({
    meters: fleet.meters,
    source,
    ...pace,
    signal: stopping.signal,
    onStep: (step, { sent, accepted }) => {
      const end = pace.steps === undefined ? "" : `/${pace.steps}`;
      const [windows, calls] = [shown.count, devices.callsDone];
      line.show(
        `step ${step + 1}${end}  readings ${accepted}/${sent}  windows ${windows}  calls ${calls}`,
      );
    },
  });
  // the last step lasts as long as the others
  await pause(pace.interval, stopping.signal);
  const seconds = Math.round((Date.now() - began) / 1000);

  line.show("draining …");
  const { sent, accepted } = await drainFleet(fleet.meters, AbortSignal.timeout(drainTime));
  const complete = await settled(observer, accepted, began);
  const { rpc, trouble: rpcTrouble } = await devices.finish();
  await shown.finish();
  line.show("verifying the log …");
  const last = (await observer.windows(began - demoWindow.window)).at(-1);
  const window = last === undefined ? null : { fog: system.fog.name, start: last.window.start };
  const { log, trouble } = await logObserver.verify(window);
  const told = telegram === null ? null : await toldTelegram(system);
  line.clear();
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
    rows_per_meter: rows,
  };
  const { share } = storage;
  const members = { metering, share, rpc, log, ...(told !== null && { telegram: told.telegram }) };
  if (options.json) printJson({ final: true, seconds, ...members });
  else printTotals({ metering, rpc, log });
  if (!complete || counted.accepted !== sent) {
    throw new CodedError("incomplete", "Not every reading that was sent reached the cloud", {
      hint: "this is a fault of edgeward: please report it with the lines above",
    });
  }
  if (storage.trouble !== null) throw storage.trouble;
  if (rpcTrouble !== null) throw rpcTrouble;
  if (trouble !== null) throw trouble;
  if (told !== null && told.trouble !== null) throw told.trouble;
}

/** Waits until the windows at the cloud hold every accepted reading. */
async function settled(observer: Observer, accepted: number, from: number): Promise<boolean> {
  const deadline = AbortSignal.timeout(drainTime);
  while (!deadline.aborted) {
    // not those of an earlier run in the same directory
    const windows = await observer.windows(from - demoWindow.window);
    if (windows.reduce((sum, { readings }) => sum + readings, 0) >= accepted) return true;
    await pause(100, deadline);
  }
  return false;
}

function welcome({ cloud, fog, witnesses }: DemoSystem): void {
  warnLine(`cloud   ${urlOf(cloud)}/summary`);
  warnLine(`fog     http://127.0.0.1:${fog.admin.port}/readyz?verbose`);
  const names = witnesses.map(({ name }) => name).join(" and ");
  warnLine(`shares  demo, gw-2 and gw-3 open a device's storage, any two of them`);
  warnLine(`log     ${urlOf(cloud)}/log/checkpoint, witnessed by ${names}`);
  warnLine(`meters  ${meterCount}, over MQTT; every window that reaches the cloud is one line`);
  warnLine(
    `devices ${deviceCount}, at the same broker, call the fog; each sends every frame twice`,
  );
}

function tellStorage({ share, report, trouble }: Awaited<ReturnType<typeof openStorage>>): void {
  if (report === null || trouble !== null) {
    return warnLine(`kiosk   its storage did not open: ${messageOf(trouble)}`);
  }
  const good = report.gateways.filter(({ outcome }) => outcome === "good").map(({ id }) => id);
  const { threshold: k, gateways: n } = share;
  warnLine(`kiosk   ${good.join(", ")} answered, ${k} of ${n} are enough: its storage is mounted`);
}

function printTotals({ metering, rpc, log }: {
  readonly metering: Readonly<Record<string, number>>;
  readonly rpc: RpcVerdict;
  readonly log: LogVerdict;
}): void {
  printLine(
    `${metering.readings_accepted} of ${metering.readings_sent} readings in ` +
      `${metering.windows} windows at the cloud, ${metering.refused} refused; mean ` +
      `${metering.avg_power_overall} kW, ${metering.avg_voltage_overall} V`,
  );
  const { devices_authorized, calls_sent, calls_done, duplicates_run } = rpc;
  printLine(
    `${calls_done} of ${calls_sent} calls of and to ${devices_authorized} devices done, ` +
      `${duplicates_run} of them twice`,
  );
  if (!log.checkpoint_verified) return;
  printLine(
    `${log.size} entries in the log of the cloud, whole, signed and cosigned by ` +
      `${log.witnesses} witnesses`,
  );
}

async function dataDirectory(path?: string): Promise<{ path: string } & AsyncDisposable> {
  if (path !== undefined) {
    await Deno.mkdir(path, { recursive: true }).catch((error) => {
      throw new CodedError(
        "data_dir_unwritable",
        `Cannot use the data directory: ${messageOf(error)}`,
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
