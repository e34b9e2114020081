/** How sensors reach their broker, how often they do what, and how long, as options of the command line. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { isId } from "../../core/base/id.ts";
import { readSecret } from "../../core/services/secret_reference.ts";
import { durationText, wholeNumber } from "../options.ts";
import type { SensorProfile } from "./sensor_introduction.ts";
import type { BrokerAccess } from "./sensor_connection.ts";

export interface SensorCommandOptions {
  readonly count: number;
  readonly id?: string;
  readonly profile?: SensorProfile;
  readonly dir?: string;
  readonly broker?: string;
  readonly brokerUser?: string;
  readonly brokerPasswordFile?: string;
  readonly brokerCa?: string;
  /** Milliseconds. */
  readonly every: number;
  readonly for?: number;
  readonly calls: readonly string[];
  readonly seed: number;
}

export function sensorOptions(command: Command): Command {
  return command
    .option("--count <n>", "how many devices", wholeNumber(1, 1_000), 1)
    .addOption(
      new Option("--id <id>", "the device's id, or how all of them begin (default: new ones)")
        .argParser(idText),
    )
    .addOption(
      new Option("--profile <profile>", "what they speak (default: v2)").choices(["v1", "v2"]),
    )
    .option("--dir <dir>", "keep the devices here: the next run goes on with them")
    .addOption(
      new Option(
        "--broker <url>",
        "the broker, #PREFIX behind it if topics have one (default: that of the site)",
      )
        .argParser(brokerText),
    )
    .option("--broker-user <name>", "… where it asks who they are")
    .option("--broker-password-file <file>", "… and for a password, or env:NAME")
    .option("--broker-ca <file>", "… and whose certificate is of a CA of one's own")
    .addOption(
      new Option("--every <duration>", "time between two rounds of calls").argParser(everyText)
        .default(5_000, "5s"),
    )
    .option("--for <duration>", "stop after this time (default: at Ctrl-C)", durationText)
    .addOption(
      new Option("--calls <methods>", "call these too in each round, with {device, n} and an id")
        .argParser(methodsText).default([], "none"),
    )
    .option("--seed <n>", "seed of everything that is drawn at random", wholeNumber(0, 2 ** 31), 1);
}

/** What the options say of the way to the broker. @throws CodedError "secret_unreadable" */
export function brokerAccess(options: SensorCommandOptions): Partial<BrokerAccess> {
  const { broker, brokerUser, brokerPasswordFile, brokerCa } = options;
  return {
    ...(broker !== undefined && { url: broker }),
    ...(brokerUser !== undefined && { username: brokerUser }),
    ...(brokerPasswordFile !== undefined && { password: readSecret(brokerPasswordFile) }),
    ...(brokerCa !== undefined && { tls: { caFile: brokerCa } }),
  };
}

/** Rounds in less time than a call takes would only wait for each other. */
function everyText(text: string): number {
  const every = durationText(text);
  if (every >= 10) return every;
  throw new InvalidArgumentError("expected at least 10ms.");
}

function idText(text: string): string {
  if (isId(`${text}-0000`)) return text;
  throw new InvalidArgumentError("expected at most 59 letters, digits, hyphens and underscores.");
}

function brokerText(text: string): string {
  if (URL.canParse(text) && /^(mqtts?|wss?):\/\//.test(text)) return text;
  throw new InvalidArgumentError("expected an address such as mqtt://127.0.0.1:1883.");
}

function methodsText(text: string, before: readonly string[]): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.every((name) => /^[A-Za-z0-9_.-]{1,64}$/.test(name))) {
    return [...new Set([...before, ...names])].slice(0, 16);
  }
  throw new InvalidArgumentError("expected names of methods such as relay.on,door.open.");
}
