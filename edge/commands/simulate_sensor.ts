/**
 * `edgeward simulate sensor`: plays devices at a running site, over its broker.
 *
 * Where the site runs on this machine, codes and psks are made through its admin socket, and devices of
 * profile v1 are let in the same way, by their fingerprints: v1 knows no code that would let them in. With
 * `--wait` a person does that, as a person always does for devices that come without a code.
 */
import type { Command } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import type { Id } from "../../core/base/id.ts";
import type { SiteConfig } from "../../core/host/config/mod.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { logOf } from "../../core/services/logging.ts";
import { configureLogging } from "../logging.ts";
import { configOption, loadSite } from "../options.ts";
import {
  misbehaviourOption,
  misbehavioursHelp,
  misdeedsText,
} from "../simulate/misbehaviour_option.ts";
import { Sensor, type SensorOptions } from "../simulate/sensor.ts";
import {
  openSensors,
  playSensors,
  requireWell,
  type SensorTotals,
  totalsOf,
} from "../simulate/sensor_fleet.ts";
import {
  sensorKinds,
  type SensorMisbehaviour,
  sensorMischief,
} from "../simulate/sensor_misbehaviour.ts";
import {
  brokerAccess,
  type SensorCommandOptions,
  sensorOptions,
} from "../simulate/sensor_options.ts";
import { sensorSite } from "../simulate/sensor_site.ts";
import {
  brokerOf,
  siteOfStrangers,
  type StrangerOptions,
  strangerOptions,
} from "../simulate/strangers.ts";
import { printJson, printLine, progress, warnLine } from "../terminal.ts";
import { stopSignal } from "./run.ts";

interface Options extends SensorCommandOptions, StrangerOptions {
  readonly config?: string;
  readonly wait?: true;
  readonly misbehave?: readonly SensorMisbehaviour[];
  readonly quiet?: true;
  readonly json?: true;
}

export function configureSensor(command: Command): void {
  command
    .description(
      "Let devices call their site over its broker, and answer its calls: enrolled at the site that " +
        "runs on this machine, or waiting for approval.",
    )
    .addOption(configOption());
  strangerOptions(sensorOptions(command))
    .option("--wait", "leave it to a person to let in devices of profile v1")
    .addOption(misbehaviourOption(sensorKinds, "devices"))
    .option("--quiet", "show no progress")
    .option("--json", "print one JSON object at the end")
    .addHelpText("after", misbehavioursHelp(sensorKinds, "a device"))
    .action(simulateSensor);
}

async function simulateSensor(options: Options): Promise<void> {
  await configureLogging({ level: "error" });
  const suite = nativeSuite();
  const { config, seed, misbehave = [] } = options;
  let loading: Promise<SiteConfig> | undefined;
  const load = () => loading ??= loadSite(config);
  const broker = brokerAccess(options);
  using line = progress(options);
  const say = (text: string) => {
    line.clear();
    warnLine(text);
  };
  const stopping = new AbortController();
  stopSignal().then(() => stopping.abort());
  using _end = timer(options.for, () => stopping.abort());
  let failure: Error | undefined;

  /** What a person does for a device that shows its fingerprint. */
  async function letIn({ id, fingerprint }: Sensor): Promise<void> {
    try {
      const site = sensorSite((await load()).data_dir);
      await site.approve(id, { fingerprint, signal: stopping.signal });
    } catch (error) {
      failure ??= error as Error;
      stopping.abort();
    }
  }

  await using fleet = await openSensors(suite, {
    ...options,
    async open(flash, number) {
      const isNew = flash.state.profile === null;
      const { url, ...rest } = isNew ? await introduction(options, { id: flash.id, load }) : {};
      const sensor: Sensor = new Sensor({
        ...{ suite, log: logOf("simulate", "sensor"), flash },
        ...(options.profile !== undefined && { profile: options.profile }),
        ...rest,
        broker: { ...(url !== undefined && { url }), ...broker },
        mischief: sensorMischief(misbehave, { seed, device: number }),
        onApproval(shown) {
          if (shown === null) say(`${sensor.id} is let in`);
          else if (sensor.profile === "v1" && !options.wait) void letIn(sensor);
          else say(`${sensor.id} waits for approval: ${shown}`);
        },
      });
      return sensor;
    },
  });
  const { sensors } = fleet;
  const show = () => line.show(progressText(totalsOf(sensors)));
  using _show = timer(progressTime, show, { repeats: true });
  await playSensors(sensors, {
    ...options,
    ...{ suite, stopping: stopping.signal },
    onAuthorized: ({ id }) => say(`${id} is authorized`),
  });
  line.clear();
  const totals = totalsOf(sensors);
  report(totals, options);
  if (failure !== undefined) throw failure;
  requireWell(totals);
}

/** Milliseconds between two looks at the progress. */
const progressTime = 500;

interface Introduction extends Pick<SensorOptions, "site" | "psk"> {
  /** Of the broker. */
  readonly url?: string;
}

/** How a new device learns of its site: from a code or a psk made for it, or from the command line. */
async function introduction(
  options: Options,
  { id, load }: { id: Id; load: () => Promise<SiteConfig> },
): Promise<Introduction> {
  const { profile, withoutCode, url, siteKey, site, broker } = options;
  const isStranger = withoutCode || url !== undefined || siteKey !== undefined ||
    site !== undefined;
  if (isStranger && profile === "v1") {
    throw new CodedError("usage", "Cannot play devices of v1 as strangers: they need a psk", {
      hint: "leave --without-code, --url, --site-key and --site out; --wait leaves approval to you",
    });
  }
  if (isStranger) {
    const address = url ?? broker;
    const known = { ...options, ...(address !== undefined && { url: address }) };
    const remote = await siteOfStrangers(known, load);
    return { site: remote, url: remote.url };
  }
  const config = await load();
  const people = sensorSite(config.data_dir);
  if (profile === "v1") {
    return { psk: await people.enterPsk(id), url: broker ?? brokerOf(config) };
  }
  const enrolment = await people.enrol(id);
  return { site: enrolment, url: enrolment.url };
}

function progressText(totals: SensorTotals): string {
  const { authorized, devices, calls_done, calls_sent, unknown, calls_from_site } = totals;
  return `devices ${authorized}/${devices}  calls ${calls_done}/${calls_sent}  ` +
    `unknown ${unknown}  from the site ${calls_from_site}`;
}

function report(totals: SensorTotals, { json, misbehave }: Options): void {
  const { misdeeds, ...counts } = totals;
  if (json) return printJson({ ...counts, ...(misbehave !== undefined && { misdeeds }) });
  const { devices, authorized, calls_sent, calls_done, unknown, repeated } = totals;
  printLine(`${authorized} of ${devices} devices authorized, ${totals.sessions} sessions`);
  const refusals = Object.entries(totals.refused).map(([code, n]) => `, ${n} refused: ${code}`);
  printLine(
    `${calls_done} of ${calls_sent} calls done${
      refusals.join("")
    }, ${unknown} with unknown outcome, ` +
      `${totals.unanswered} without an answer; ${repeated} made again`,
  );
  printLine(
    `${totals.calls_from_site} calls of the site, ${totals.effects} with an effect, ` +
      `${totals.duplicates_run} ran twice; ${totals.reconnects} times back at the broker`,
  );
  for (const text of misdeedsText(sensorKinds, misdeeds)) printLine(text);
}

/** Ends with its scope; it never rings without a time. */
function timer(
  milliseconds: number | undefined,
  ring: () => void,
  { repeats = false } = {},
): Disposable {
  if (milliseconds === undefined) return { [Symbol.dispose]() {} };
  const number = (repeats ? setInterval : setTimeout)(ring, milliseconds);
  return { [Symbol.dispose]: () => clearTimeout(number) };
}
