/** `edgeward simulate meters`: plays meters at a running site, through its public doors. */
import type { Command } from "commander";
import { toHex } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { logOf } from "../../core/services/logging.ts";
import { enrolmentFromJson } from "../../core/wire/enrolment.ts";
import { askSite } from "../admin_client.ts";
import { configureLogging } from "../logging.ts";
import { configOption, loadSite, positiveNumber, wholeNumber } from "../options.ts";
import { drainFleet, runFleet } from "../simulate/fleet.ts";
import { SimulatedMeter } from "../simulate/meter.ts";
import { loadSource, sourceOptions } from "../simulate/options.ts";
import { printJson, printLine, progress } from "../terminal.ts";
import { stopSignal } from "./run.ts";

interface MeterOptions {
  readonly config?: string;
  readonly count: number;
  readonly speed: number;
  readonly household?: string;
  readonly seed: number;
  readonly for?: number;
  readonly json?: true;
  readonly quiet?: true;
}

export function configure(command: Command): void {
  command.description("Play the devices of a site.");
  const meters = command.command("meters")
    .description("Enrol meters at the site that runs on this machine and let them measure.")
    .addOption(configOption())
    .option("--count <n>", "how many meters", wholeNumber(1, 10_000), 10);
  sourceOptions(meters)
    .option("--speed <n>", "minutes of load per minute", positiveNumber, 1)
    .option("--for <seconds>", "stop after so many seconds (default: at Ctrl-C)", positiveNumber)
    .option("--json", "print one JSON object at the end")
    .option("--quiet", "show no progress")
    .action(simulateMeters);
}

async function simulateMeters(options: MeterOptions): Promise<void> {
  await configureLogging({ level: "warning" });
  const { data_dir } = await loadSite(options.config);
  const source = await loadSource(options);
  const suite = nativeSuite();
  const log = logOf("simulate", "meter");
  const run = toHex(suite.randomBytes(3));
  await using stack = new AsyncDisposableStack();
  const meters: SimulatedMeter[] = [];
  for (let i = 1; i <= options.count; i++) {
    const id = parseId(`meter-${run}-${i}`);
    const body = { kind: "meter", id, ttl: 3_600_000 };
    const answer = await askSite(data_dir, "/enrol", { method: "POST", body });
    const enrolment = enrolmentFromJson(JSON.stringify(answer));
    meters.push(stack.use(new SimulatedMeter({ suite, enrolment, id, clock: Date.now, log })));
  }
  const interval = 60_000 / options.speed;
  const steps = options.for && Math.max(1, Math.round(options.for * 1000 / interval));
  const stopping = new AbortController();
  stopSignal().then(() => stopping.abort());
  using line = progress(options);
  const { steps: done } = await runFleet({
    meters,
    source,
    interval,
    ...(steps !== undefined && { steps }),
    signal: stopping.signal,
    onStep: (step, { sent, accepted }) =>
      line.show(`step ${step + 1}  readings ${accepted}/${sent}`),
  });
  line.show("draining …");
  const totals = await drainFleet(meters, AbortSignal.timeout(60_000));
  line[Symbol.dispose]();
  if (options.json) printJson({ ...totals, steps: done, meters: meters.length });
  else {
    printLine(
      `${totals.accepted} of ${totals.sent} readings accepted, ${totals.refused} refused`,
    );
  }
  if (totals.accepted !== totals.sent) {
    throw new CodedError("incomplete", "The site did not take every reading");
  }
}
