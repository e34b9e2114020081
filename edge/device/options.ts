/** What the commands of a device share: its directory, and how its gateways are told of. */
import { type Command, Option } from "commander";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { configureLogging } from "../logging.ts";
import { warnLine } from "../terminal.ts";
import type { GatewayOutcome } from "./gateway_link.ts";
import { DeviceHome } from "./home.ts";
import { outcomeLine } from "./reasons.ts";

export interface DeviceOptions {
  readonly dir: string;
  readonly json?: true;
}

/** `--dir DIR` and `--json` */
export function dirOption(command: Command): Command {
  return command
    .addOption(new Option("--dir <dir>", "the device's directory").makeOptionMandatory())
    .option("--json", "print one JSON object");
}

/** The device in the directory, with a log that speaks only of what breaks. */
export async function openHome(dir: string): Promise<DeviceHome> {
  await configureLogging({ level: "error" });
  return DeviceHome.open(nativeSuite(), dir);
}

/** A line for each gateway that is not as it should be. */
export function warnOf(gateways: readonly GatewayOutcome[]): void {
  for (const gateway of gateways) {
    if (gateway.outcome !== "good" && gateway.outcome !== "late") warnLine(outcomeLine(gateway));
  }
}
