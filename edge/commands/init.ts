/** `edgeward init ROLE...`: a commented configuration, generated from the schemas. */
import { hostname } from "node:os";
import type { Command } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import { sampleConfig } from "../../core/host/config/mod.ts";
import { isId } from "../../core/base/id.ts";
import { argumentOf } from "../options.ts";
import { registry } from "../plugins.ts";
import { printLine } from "../terminal.ts";

export function configure(command: Command): void {
  const names = Object.keys(registry);
  command.description("Print a commented configuration for a site that plays these roles.")
    .addArgument(argumentOf("<role...>", "what the site does", names))
    .option("--site <id>", "name of the site (default: this machine's name)")
    .action(async (roles: string[], options: { site?: string }) => {
      const plugins = await Promise.all(roles.map(async (role) => {
        const load = Object.hasOwn(registry, role) ? registry[role] : undefined;
        if (load !== undefined) return (await load()).default;
        throw new CodedError("usage", `Cannot write a sample: there is no role "${role}"`, {
          hint: `the roles are ${names.join(", ")}`,
        });
      }));
      const site = options.site ?? hostname().split(".")[0];
      printLine(sampleConfig(plugins, isId(site) ? { site } : {}).trimEnd());
    });
}
