/** `edgeward schema`: the configuration as JSON Schema draft 4, which TOML editors understand. */
import type { Command } from "commander";
import { configSchema } from "../../core/host/config/mod.ts";
import { allPlugins } from "../options.ts";
import { printLine } from "../terminal.ts";

export function configure(command: Command): void {
  command.description("Print the JSON Schema (draft 4) of the configuration, for editors.")
    .action(async () => printLine(JSON.stringify(configSchema(await allPlugins()), null, 2)));
}
