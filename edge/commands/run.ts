/** `edgeward run -c site.toml`: runs a site until it is told to stop. */
import type { Command } from "commander";
import type { LogLevel } from "@logtape/logtape";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import { type Site, startSite } from "../../core/host/site.ts";
import { logOf } from "../../core/services/logging.ts";
import { configureLogging } from "../logging.ts";
import { configOption, loadSite } from "../options.ts";
import { openServiceManager, type ServiceManager } from "../sd_notify.ts";
import { version } from "../version.ts";

/** Milliseconds until a site that does not stop by itself is left behind. */
const drainTime = 10_000;

export function configure(command: Command): void {
  command.description(
    "Run a site in the foreground. SIGTERM and Ctrl-C stop it in good order, a second one at once; " +
      "SIGHUP reads the configuration again.",
  )
    .addOption(configOption())
    .action(async (options: { config?: string }) => {
      const config = await loadSite(options.config);
      await configureLogging({ level: config.log.level as LogLevel });
      const stop = stopSignal();
      await using manager = openServiceManager((name) => Deno.env.get(name));
      const starting = startSite(config, { version });
      // from the beginning: without a listener the signal would end the process
      Deno.addSignalListener("SIGHUP", () => {
        starting.then((site) => reload(site, manager, options.config), () => {});
      });
      const site = await starting;
      announce(site, manager);
      await stop;
      logOf(site.name, "host").info("stopping");
      manager.stopping();
      await drained(site);
      logOf(site.name, "host").info("stopped");
    });
}

function announce(site: Site, manager: ServiceManager): void {
  const { http, admin } = site;
  logOf(site.name, "host").info("ready", {
    version,
    admin: `${admin.hostname}:${admin.port}`,
    ...(http !== undefined && { http: `${http.hostname}:${http.port}` }),
  });
  manager.ready(`${site.name} ${version} is ready`);
}

/** Goes on with the file as it is now; a bad one changes nothing. */
async function reload(
  site: Site,
  manager: ServiceManager,
  path: string | undefined,
): Promise<void> {
  const log = logOf(site.name, "host");
  manager.reloading();
  let status = `${site.name} ${version} is ready`;
  try {
    const config = await loadSite(path);
    await configureLogging({ level: config.log.level as LogLevel });
    const { waiting, failed, ...changed } = await site.reload(config);
    log.info("configuration reloaded", changed);
    for (const [part, reason] of Object.entries(failed)) {
      log.error("a part does not start with its new configuration", { part, reason });
    }
    if (waiting.length > 0) log.warn("some changes wait for a restart", { keys: waiting });
  } catch (error) {
    const hint = error instanceof CodedError ? error.hint : undefined;
    log.error("configuration not reloaded: the site goes on with the old one", { error, hint });
    status += `, with the configuration of its start: ${messageOf(error)}`;
  }
  manager.ready(status);
}

/** @throws CodedError "not_stopped" when it takes too long: whatever hangs is left behind */
async function drained(site: Site): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new CodedError("not_stopped", "Cannot stop in good order: something hangs"));
    }, drainTime);
  });
  try {
    await Promise.race([site[Symbol.asyncDispose](), late]);
  } finally {
    clearTimeout(timer);
  }
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
