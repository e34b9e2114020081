/** `edgeward version`: what this binary is. */
import type { Command } from "commander";
import { registry } from "../plugins.ts";
import { printJson, printLine } from "../terminal.ts";
import { version } from "../version.ts";

export function configure(command: Command): void {
  command.description("Print the version of edgeward and of its runtime.")
    .option("--json", "print one JSON object")
    .action((options: { json?: true }) => {
      const { deno, v8 } = Deno.version;
      const { target } = Deno.build;
      if (options.json) printJson({ version, deno, v8, target, roles: Object.keys(registry) });
      else printLine(`edgeward ${version} (deno ${deno}, ${target})`);
    });
}
