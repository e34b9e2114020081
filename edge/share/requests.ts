/**
 * `edgeward share requests|approve|deny|clear`: what devices ask of the gateway that runs here, and what a
 * person decides about them. The device shows the same name of its request as every gateway does.
 */
import type { Command } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import { spanText } from "../../core/base/when.ts";
import { askSite } from "../admin_client.ts";
import { configOption, loadSite } from "../options.ts";
import { printJson, printLine, warnLine } from "../terminal.ts";

/** A request as the gateway tells of it. */
export interface RequestStatus {
  readonly id: string;
  readonly device: string;
  readonly volume: string;
  /** The counter of the start that asks. */
  readonly boot: number;
  readonly scheme: string;
  /** Whether the volume is being made. */
  readonly seal: boolean;
  readonly state: "pending" | "approved" | "refused";
  /** RFC 3339. */
  readonly asked: string;
  readonly expires: string;
  readonly decided_by: string | null;
}

interface CommonOptions {
  readonly config?: string;
  readonly json?: true;
}

/** Adds the commands to `edgeward share`. */
export function configureRequests(command: Command): void {
  const add = (name: string, description: string) =>
    command.command(name).description(description).addOption(configOption());

  add("requests", "List what devices have asked for and a person decides about.")
    .option("--json", "print JSON lines, one for each request")
    .action(list);
  add("approve", "Say yes to a request: this start of the device may open this volume.")
    .argument("<request>", "its name, which the device shows, too")
    .option("--json", "print one JSON object")
    .action((request: string, options: CommonOptions) => decide(request, "approve", options));
  add("deny", "Say no to a request: this start of the device does not open this volume.")
    .argument("<request>", "its name")
    .option("--json", "print one JSON object")
    .action((request: string, options: CommonOptions) => decide(request, "deny", options));
  add("clear", "Let a device in again that is refused because it seemed to exist twice.")
    .argument("<device>", "its identifier")
    .addHelpText(
      "after",
      "\nThe next start that asks is taken for the device. Look first which of the two has it; after a\n" +
        "theft revoke it instead (`edgeward peers revoke`) and seal its volumes anew.",
    )
    .action(clear);
}

async function list({ config, json }: CommonOptions): Promise<void> {
  const { requests } = await asked(config, "/requests") as { requests: RequestStatus[] };
  if (json) return requests.forEach(printJson);
  if (requests.length === 0) return warnLine("nobody waits");
  for (const line of requestTable(requests, Date.now())) printLine(line);
  const waiting = requests.find(({ state }) => state === "pending");
  if (waiting === undefined) return;
  warnLine(`hint: to let it in: edgeward share approve ${waiting.id}`);
}

async function decide(
  request: string,
  verdict: "approve" | "deny",
  { config, json }: CommonOptions,
): Promise<void> {
  if (!/^[a-z2-7]{8}$/.test(request)) {
    throw new CodedError("usage", "Cannot decide: that is not the name of a request", {
      hint: "it has 8 letters and digits; `edgeward share requests` lists them",
    });
  }
  const path = `/requests/${request}/${verdict}`;
  const decided = await asked(config, path, "POST") as RequestStatus;
  if (json) return printJson(decided);
  const { device, volume, expires } = decided;
  const until = spanText(Date.parse(expires) - Date.now());
  printLine(
    verdict === "approve"
      ? `${device} may open the volume ${volume} for ${until}, at this gateway`
      : `${device} does not open the volume ${volume}, at this gateway and by this start`,
  );
}

async function clear(device: string, { config }: CommonOptions): Promise<void> {
  await asked(config, `/devices/${encodeURIComponent(device)}/clear`, "POST");
  printLine(`${device} is cleared: its next start is taken as it comes`);
}

async function asked(config: string | undefined, path: string, method = "GET"): Promise<unknown> {
  const { data_dir } = await loadSite(config);
  try {
    return await askSite(data_dir, `/share-gateway${path}`, { method });
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== "not_found") throw error;
    throw new CodedError("role_off", "The site is no share gateway, or not yet", {
      hint:
        "its configuration needs a table [plugins.share-gateway]; `edgeward status` says how it is",
      cause: error,
    });
  }
}

const heading = ["REQUEST", "DEVICE", "VOLUME", "STATE", ""] as const;

/** The lines of the table, headings first, what waits before what is decided. @param now Unix milliseconds */
export function requestTable(requests: readonly RequestStatus[], now: number): string[] {
  const rows = [heading, ...requests.map((request) => rowOf(request, now))];
  const widths = heading.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd());
}

function rowOf(request: RequestStatus, now: number): readonly string[] {
  const { id, device, volume, boot, seal, state, asked, expires, decided_by } = request;
  const what = seal ? "seal" : "open";
  const left = spanText(Date.parse(expires) - now);
  const story = state === "pending"
    ? `start ${boot} wants to ${what} it, since ${spanText(now - Date.parse(asked))}`
    : `by ${decided_by ?? "somebody"}, for ${left} more`;
  return [id, device, volume, state, story];
}
