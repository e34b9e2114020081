/** `edgeward status`: how the site is that runs on this machine. */
import type { Command } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import { instantText } from "../../core/base/when.ts";
import { addressText, amountText, logText, markOf } from "../../core/host/shown.ts";
import type { SiteStatus } from "../../core/host/site.ts";
import { askSite } from "../admin_client.ts";
import { configOption, loadSite } from "../options.ts";
import { printJson, printLine } from "../terminal.ts";

export function configure(command: Command): void {
  command.description("Show how the site is that runs on this machine.")
    .addOption(configOption())
    .option("--json", "print one JSON object")
    .action(async (options: { config?: string; json?: true }) => {
      const { data_dir } = await loadSite(options.config);
      const status = await askSite(data_dir, "/site") as SiteStatus;
      if (options.json) printJson(status);
      else for (const line of statusLines(status, Date.now())) printLine(line);
      if (!status.ready) throw notReady(status);
    });
}

/** The facts, a line each, then the parts. @param now Unix milliseconds */
function statusLines(status: SiteStatus, now: number): string[] {
  const { site, version, started, ready, http, admin, parts } = status;
  const { broker, database, log, peers } = status;
  const facts: [string, string | null][] = [
    ["site", `${site}, ${ready ? "ready" : "not ready"}`],
    ["version", version],
    ["since", instantText(new Date(started).toISOString(), now)],
    ["http", http && addressText(http)],
    ["admin", addressText(admin)],
    ["broker", broker && addressText(broker)],
    ["database", database && amountText(database.bytes)],
    ["log", log && logText(log)],
    ["peers", peers && peersText(peers.waiting)],
  ];
  const [names, states] = [parts.map(({ part }) => part), parts.map(({ state }) => state)]
    .map((column) => Math.max(0, ...column.map(({ length }) => length))) as [number, number];
  return [
    ...facts.flatMap(([name, fact]) => fact === null ? [] : [`${name.padEnd(9)} ${fact}`]),
    ...parts.map(({ part, state, detail }) =>
      `${markOf(state)} ${part.padEnd(names)}  ${state.padEnd(states)}  ${detail}`.trimEnd()
    ),
  ];
}

function peersText(waiting: number): string {
  if (waiting === 0) return "nobody waits";
  return `${waiting} ${waiting === 1 ? "waits" : "wait"}: \`edgeward peers list\``;
}

function notReady({ site, parts }: SiteStatus): CodedError {
  const failed = parts.filter(({ state }) => state === "failed").map(({ part }) => part);
  const why = failed.length === 0 ? "it is still starting" : `${failed.join(", ")} failed`;
  return new CodedError("not_ready", `The site "${site}" is not ready: ${why}`, {
    hint: "`edgeward doctor` looks for the reason, and the log of the site has the details",
  });
}
