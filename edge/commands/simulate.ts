/** `edgeward simulate meters`: plays meters at a running site, through its public doors. */
import type { Command } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import { enrolmentFromJson } from "../../core/wire/enrolment.ts";
import { askSite } from "../admin_client.ts";
import { configureLogging } from "../logging.ts";
import { configOption, loadSite, wholeNumber } from "../options.ts";
import { enrolFleet } from "../simulate/enrol_fleet.ts";
import { drainFleet, runFleet } from "../simulate/fleet.ts";
import {
  loadSource,
  paceOf,
  type SimulationOptions,
  simulationOptions,
} from "../simulate/options.ts";
import { printJson, printLine, progress } from "../terminal.ts";
import { stopSignal } from "./run.ts";

interface MeterOptions extends SimulationOptions {
  readonly config?: string;
  readonly count: number;
  readonly json?: true;
}

/** How long the last readings may take to the site. */
const drainTime = 60_000;

export function configure(command: Command): void {
  command.description("Play the devices of a site.");
  const meters = command.command("meters")
    .description("Enrol meters at the site that runs on this machine and let them measure.")
    .addOption(configOption())
    .option("--count <n>", "how many meters", wholeNumber(1, 10_000), 10)
    .option("--json", "print one JSON object at the end");
  simulationOptions(meters, { speed: 1 }).action(simulateMeters);
}

async function simulateMeters(options: MeterOptions): Promise<void> {
  await configureLogging({ level: "warning" });
  const { data_dir } = await loadSite(options.config);
  const source = await loadSource(options);
  await using fleet = await enrolFleet({
    count: options.count,
    async enrol(id) {
      const body = { kind: "meter", id, ttl: 3_600_000 };
      const answer = await askSite(data_dir, "/enrol", { method: "POST", body });
      return enrolmentFromJson(JSON.stringify(answer));
    },
  });
  const { meters } = fleet;
  const stopping = new AbortController();
  stopSignal().then(() => stopping.abort());
  using line = progress(options);
  const { steps } = await runFleet({
    meters,
    source,
    ...paceOf(options),
    signal: stopping.signal,
    onStep: (step, { sent, accepted }) =>
      line.show(`step ${step + 1}  readings ${accepted}/${sent}`),
  });
  line.show("draining …");
  const totals = await drainFleet(meters, AbortSignal.timeout(drainTime));
  line.clear();
  const { sent, accepted, refused } = totals;
  if (options.json) printJson({ ...totals, steps, meters: meters.length });
  else printLine(`${accepted} of ${sent} readings accepted, ${refused} refused`);
  if (accepted !== sent) throw new CodedError("incomplete", "The site did not take every reading");
}
