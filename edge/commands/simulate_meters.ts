/** `edgeward simulate meters`: plays meters at a running site, through its public doors. */
import type { Command } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import type { Id } from "../../core/base/id.ts";
import type { Remote } from "../../core/services/sessions/mod.ts";
import { enrolmentFromJson } from "../../core/wire/enrolment.ts";
import { askSite } from "../admin_client.ts";
import { configureLogging } from "../logging.ts";
import { configOption, loadSite, wholeNumber } from "../options.ts";
import { enrolFleet } from "../simulate/enrol_fleet.ts";
import { drainFleet, fleetMisdeeds, runFleet } from "../simulate/fleet.ts";
import {
  misbehaviourOption,
  misbehavioursHelp,
  misdeedsText,
} from "../simulate/misbehaviour_option.ts";
import { meterKinds, type Misbehaviour, mischiefOf } from "../simulate/misbehaviour.ts";
import {
  loadSource,
  paceOf,
  type SimulationOptions,
  simulationOptions,
} from "../simulate/options.ts";
import {
  shownFingerprint,
  siteOfStrangers,
  type StrangerOptions,
  strangerOptions,
} from "../simulate/strangers.ts";
import { printJson, printLine, progress, warnLine } from "../terminal.ts";
import { stopSignal } from "./run.ts";

interface MeterOptions extends SimulationOptions, StrangerOptions {
  readonly config?: string;
  readonly count: number;
  readonly misbehave?: readonly Misbehaviour[];
  readonly json?: true;
}

/** How long the last readings may take to the site. */
const drainTime = 60_000;

export function configureMeters(command: Command): void {
  command
    .description(
      "Let meters measure, enrolled at the site that runs on this machine or waiting for approval.",
    )
    .addOption(configOption())
    .option("--count <n>", "how many meters", wholeNumber(1, 10_000), 10)
    .addOption(misbehaviourOption(meterKinds, "meters"))
    .option("--json", "print one JSON object at the end")
    .addHelpText("after", misbehavioursHelp(meterKinds, "a meter"));
  simulationOptions(strangerOptions(command), { speed: 1 }).action(simulateMeters);
}

async function simulateMeters(options: MeterOptions): Promise<void> {
  await configureLogging({ level: "warning" });
  const enrol = await invitation(options);
  const source = await loadSource(options);
  using line = progress(options);
  const say = (text: string) => {
    line.clear();
    warnLine(text);
  };
  const { seed, misbehave = [] } = options;
  await using fleet = await enrolFleet({
    count: options.count,
    enrol,
    mischief: (meter) => mischiefOf(misbehave, { seed, meter }),
    onApproval(id, words) {
      if (words !== null) say(`${id} waits for approval: ${words}`);
      else if (options.withoutCode) say(`${id} is let in`);
    },
  });
  const { meters } = fleet;
  if (options.siteKey !== undefined) {
    for (const { id, keys } of meters) {
      say(`${id} waits for approval: fingerprint ${shownFingerprint(keys.noise.publicKey)}`);
    }
  }
  const stopping = new AbortController();
  stopSignal().then(() => stopping.abort());
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
  const misdeeds = fleetMisdeeds(meters);
  const { sent, accepted, refused } = totals;
  if (options.json) {
    printJson({ ...totals, steps, meters: meters.length, ...(options.misbehave && { misdeeds }) });
  } else {
    printLine(`${accepted} of ${sent} readings accepted, ${refused} refused`);
    for (const text of misdeedsText(meterKinds, misdeeds)) printLine(text);
  }
  // whose clock is wrong on purpose is refused as it should be
  const expected = misbehave.includes("clock") ? refused : 0;
  if (accepted + expected !== sent) {
    throw new CodedError("incomplete", "The site did not take every reading");
  }
}

/** How meters learn of their site: from a code that it makes for them, or from the command line. */
async function invitation(options: MeterOptions): Promise<(id: Id) => Promise<Remote>> {
  const { config, withoutCode, url, siteKey, site } = options;
  if (withoutCode || url !== undefined || siteKey !== undefined || site !== undefined) {
    const known = await siteOfStrangers(options, () => loadSite(config));
    return () => Promise.resolve(known);
  }
  const { data_dir } = await loadSite(config);
  return async (id) => {
    const body = { kind: "meter", id, ttl: 3_600_000 };
    const answer = await askSite(data_dir, "/enrol", { method: "POST", body });
    return enrolmentFromJson(JSON.stringify(answer));
  };
}
