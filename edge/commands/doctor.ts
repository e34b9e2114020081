/** `edgeward doctor`: looks at everything that a site needs, and says what to do about it. */
import type { Command } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import { ConfigError, type SiteConfig } from "../../core/host/config/mod.ts";
import { type Diagnosis, examine } from "../../core/host/doctor/mod.ts";
import { markOf } from "../../core/host/shown.ts";
import type { SiteStatus } from "../../core/host/site.ts";
import { askSite } from "../admin_client.ts";
import { configOption, configPath, loadSite } from "../options.ts";
import { printJson, printLine } from "../terminal.ts";

export function configure(command: Command): void {
  command.description("Look at everything that a site needs. Changes nothing.")
    .addOption(configOption())
    .option("--json", "print one JSON object")
    .action(async (options: { config?: string; json?: true }) => {
      const findings: Diagnosis[] = [];
      for await (const diagnosis of diagnose(options.config)) {
        findings.push(diagnosis);
        if (!options.json) print(diagnosis);
      }
      const failed = findings.filter(({ state }) => state === "failed");
      if (options.json) printJson({ ok: failed.length === 0, findings });
      if (failed.length === 0) return;
      const parts = [...new Set(failed.map(({ part }) => part))].join(", ");
      throw new CodedError("unhealthy", `Something is wrong with: ${parts}`, {
        hint: "look at each [-] above, and at what is said beneath it",
      });
    });
}

async function* diagnose(named: string | undefined): AsyncGenerator<Diagnosis> {
  let config: SiteConfig;
  try {
    config = await loadSite(named);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return yield failure("configuration", error);
  }
  const roles = config.roles.map(({ plugin }) => plugin.name);
  const what = `${configPath(named)}: site ${config.site}`;
  yield {
    part: "configuration",
    ...(roles.length > 0 ? { state: "ok", what: `${what} plays ${roles.join(", ")}` } : {
      state: "degraded",
      what: `${what} plays no role`,
      hint: "a table [plugins.ROLE] switches one on; `edgeward plugins` lists them",
    }),
  };
  let running: SiteStatus | "mute" | null;
  try {
    running = await askSite(config.data_dir, "/site") as SiteStatus;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    running = error.code === "not_running" ? null : "mute";
    if (running === "mute") yield failure("site", error);
    // whoever may not ask the site may not look at its files either
    if (error.code === "not_allowed") return;
  }
  yield* examine({ config, running, clock: Date.now });
}

function failure(part: string, { message, hint }: CodedError): Diagnosis {
  return { part, state: "failed", what: message, ...(hint !== undefined && { hint }) };
}

/** One line, and one beneath it with the next step. */
function print({ part, state, what, hint }: Diagnosis): void {
  const width = "fog-aggregator".length;
  printLine(`${markOf(state)} ${part.padEnd(width)}  ${what}`);
  if (hint !== undefined) printLine(`${" ".repeat(width + 6)}${hint}`);
}
