/** `edgeward validate -c site.toml`: everything but starting; no socket, no database. */
import type { Command } from "commander";
import { configOption, loadSite } from "../options.ts";
import { printLine } from "../terminal.ts";

export function configure(command: Command): void {
  command.description("Check a configuration and say which roles it switches on. Opens nothing.")
    .addOption(configOption())
    .action(async (options: { config?: string }) => {
      const { site, roles } = await loadSite(options.config);
      const names = roles.map(({ plugin }) => plugin.name);
      printLine(`site ${site}: ${names.length === 0 ? "no roles" : names.join(", ")}`);
    });
}
