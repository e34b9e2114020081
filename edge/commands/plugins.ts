/** `edgeward plugins`: the roles in this binary. */
import type { Command } from "commander";
import { allPlugins } from "../options.ts";
import { printJson, printLine } from "../terminal.ts";

export function configure(command: Command): void {
  command.description("List the roles in this binary.")
    .option("--json", "print one JSON object")
    .action(async (options: { json?: true }) => {
      const plugins = await allPlugins();
      if (options.json) {
        const shown = plugins.map(({ name, summary, needs = [], claims = [] }) => {
          return { name, summary, needs, claims };
        });
        return printJson({ plugins: shown });
      }
      const width = Math.max(...plugins.map(({ name }) => name.length));
      for (const { name, summary } of plugins) printLine(`${name.padEnd(width)}  ${summary}`);
    });
}
