/** `edgeward run -c site.toml`: runs a site until it is told to stop. */
import type { Command } from "commander";
import type { LogLevel } from "@logtape/logtape";
import { type Site, startSite } from "../../core/host/site.ts";
import { logOf } from "../../core/services/logging.ts";
import { configureLogging } from "../logging.ts";
import { configOption, loadSite } from "../options.ts";
import { version } from "../version.ts";

export function configure(command: Command): void {
  command.description("Run a site in the foreground. SIGTERM and Ctrl-C stop it in good order.")
    .addOption(configOption())
    .action(async (options: { config?: string }) => {
      const config = await loadSite(options.config);
      await configureLogging({ level: config.log.level as LogLevel });
      const stop = stopSignal();
      const site = await startSite(config, { version });
      announce(site);
      await stop;
      logOf(site.name, "host").info("stopping");
      await site[Symbol.asyncDispose]();
      logOf(site.name, "host").info("stopped");
    });
}

function announce(site: Site): void {
  const { http, admin } = site;
  logOf(site.name, "host").info("ready", {
    version,
    admin: `${admin.hostname}:${admin.port}`,
    ...(http !== undefined && { http: `${http.hostname}:${http.port}` }),
  });
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = () => {
      if (asked) Deno.exit(1);
      asked = true;
      resolve();
    };
    for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, stop);
  });
}
