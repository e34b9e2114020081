/**
 * The front door: `edgeward COMMAND`. Every command is one file under `commands/`, imported when it is
 * asked for, so that `edgeward version` does not load a broker.
 */
import { Command } from "commander";
import { reportError } from "./exit_status.ts";
import { version } from "./version.ts";

interface CommandModule {
  /** Adds arguments, options and the action. */
  configure(command: Command): void;
}

const commands: readonly (readonly [string, string, () => Promise<CommandModule>])[] = [
  ["demo", "run a whole system on this machine", () => import("./commands/demo.ts")],
  ["run", "run a site", () => import("./commands/run.ts")],
  ["init", "print a commented configuration", () => import("./commands/init.ts")],
  ["validate", "check a configuration, open nothing", () => import("./commands/validate.ts")],
  ["status", "show how a running site is", () => import("./commands/status.ts")],
  ["doctor", "look at all that a site needs", () => import("./commands/doctor.ts")],
  ["admin", "administer a running site", () => import("./commands/admin.ts")],
  ["peers", "decide who may talk to a running site", () => import("./commands/peers.ts")],
  ["audit", "check that nobody has rewritten a history", () => import("./commands/audit.ts")],
  ["share", "found a group of share gateways", () => import("./commands/share.ts")],
  ["device", "seal and open the volumes of a device", () => import("./commands/device.ts")],
  ["simulate", "play the devices of a site", () => import("./commands/simulate.ts")],
  ["plugins", "list the roles in this binary", () => import("./commands/plugins.ts")],
  ["schema", "print the JSON Schema of the configuration", () => import("./commands/schema.ts")],
  ["completions", "print a script for a shell", () => import("./commands/completions.ts")],
  ["version", "print the version", () => import("./commands/version.ts")],
];

const examples = `
Examples:
  edgeward demo --for 20
  edgeward init fog-aggregator > site.toml
  edgeward validate -c site.toml && edgeward run -c site.toml
  edgeward admin enrol meter m-1 && edgeward peers list

Exit status: 0 done, 1 it failed, 2 usage or configuration, 3 refused, 4 unreachable.`;

async function main(args: string[]): Promise<number> {
  const program = new Command("edgeward")
    .description("Trust for devices in public places: one binary per site, roles by configuration.")
    .version(version)
    .addHelpText("after", examples)
    .configureOutput({ outputError: (text, write) => write(`edgeward: ${text}`) })
    .exitOverride();
  const asked = args.find((argument) => !argument.startsWith("-") && argument !== "help");
  for (const [name, summary, load] of commands) {
    const command = program.command(name).summary(summary).description(summary)
      .copyInheritedSettings(
        program,
      );
    // completions tell of all the others
    if (name === asked || asked === "completions") (await load()).configure(command);
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    return reportError(error);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
