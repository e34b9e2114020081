/** `edgeward admin token …`: who may use the HTTP interface of the site that runs on this machine. */
import { type Command, Option } from "commander";
import { instantText } from "../../core/base/when.ts";
import { apiRoles } from "../../core/services/access/mod.ts";
import { askSite } from "../admin_client.ts";
import { configOption, durationText, loadSite } from "../options.ts";
import { printJson, printLine, warnLine } from "../terminal.ts";

interface CommonOptions {
  readonly config?: string;
  readonly json?: true;
}

interface AddOptions extends CommonOptions {
  readonly role: string;
  readonly note?: string;
  /** Milliseconds. */
  readonly ttl?: number;
}

/** A token as the site lists it; instants are RFC 3339. */
interface ListedToken {
  readonly id: string;
  readonly role: string;
  readonly note: string;
  readonly created: string;
  readonly expires: string | null;
  readonly revoked: string | null;
}

/** Adds `token` with its sub-commands. */
export function configureTokens(admin: Command): void {
  const token = admin.command("token")
    .description(
      "Decide who may use the HTTP interface: viewers look, operators decide, admins " +
        "configure.",
    );
  token.command("add").description("Make a token. It is shown once.")
    .addOption(configOption())
    .addOption(
      new Option("--role <role>", "what it may do").choices(apiRoles).makeOptionMandatory(),
    )
    .option("--note <text>", "for whom it is")
    .addOption(
      new Option("--ttl <duration>", "how long it works, as 90d (default: until it is revoked)")
        .argParser(durationText),
    )
    .option("--json", "print one JSON object")
    .action(add);
  token.command("list").description("List the tokens, but not their secrets.")
    .addOption(configOption())
    .option("--json", "print JSON lines, one for each token")
    .action(list);
  token.command("revoke").description("Let a token open nothing any more.")
    .argument("<id>")
    .addOption(configOption())
    // an id may begin with a hyphen
    .allowUnknownOption()
    .action(revoke);
}

async function add({ config, json, ...body }: AddOptions): Promise<void> {
  const { data_dir } = await loadSite(config);
  const made = await askSite(data_dir, "/tokens", { method: "POST", body }) as Record<
    "id" | "token",
    string
  >;
  if (json) printJson(made);
  else for (const [key, value] of Object.entries(made)) printLine(`${key.padEnd(6)} ${value}`);
  warnLine("the token is shown this once; whoever has it may do what its role may");
}

async function list({ config, json }: CommonOptions): Promise<void> {
  const { data_dir } = await loadSite(config);
  const { tokens } = await askSite(data_dir, "/tokens") as { tokens: ListedToken[] };
  if (json) return tokens.forEach(printJson);
  if (tokens.length === 0) {
    warnLine("there is no token");
    warnLine("hint: `edgeward admin token add --role viewer` makes one");
  } else for (const line of tokenTable(tokens, Date.now())) printLine(line);
}

async function revoke(id: string, { config }: CommonOptions): Promise<void> {
  const { data_dir } = await loadSite(config);
  await askSite(data_dir, `/tokens/${encodeURIComponent(id)}`, { method: "DELETE" });
  printLine(`the token ${id} is revoked: it opens nothing any more`);
}

/** The lines of a table, headings first. @param now Unix milliseconds */
function tokenTable(tokens: readonly ListedToken[], now: number): string[] {
  const rows = [
    ["TOKEN", "ROLE", "STATE", "NOTE"],
    ...tokens.map((token) => [token.id, token.role, stateOf(token, now), token.note]),
  ];
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd());
}

function stateOf({ expires, revoked }: ListedToken, now: number): string {
  if (revoked !== null) return `revoked ${instantText(revoked, now)}`;
  if (expires === null) return "works until it is revoked";
  const verb = Date.parse(expires) <= now ? "expired" : "works until";
  return `${verb} ${instantText(expires, now)}`;
}
