/**
 * `edgeward share …`: the group that share gateways form, on the running site: who is in it, how it is
 * founded, how it is, and how this gateway leaves it.
 */
import type { Command } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import type { DealStatus, GroupStatus } from "../../core/wire/group_status.ts";
import { configOption, wholeNumber } from "../options.ts";
import { canAsk, confirmed } from "../prompt.ts";
import { type GroupClient, groupClient } from "../share/group_client.ts";
import {
  dealLines,
  dealProgress,
  groupLines,
  hindrances,
  partingText,
  planTable,
  shortcomings,
  thresholdWarning,
} from "../share/group_table.ts";
import { configureRequests } from "../share/requests.ts";
import { printJson, printLine, progress, warnLine } from "../terminal.ts";

interface CommonOptions {
  readonly config?: string;
  readonly json?: true;
}

const examples = `
Founding a group of three, at its first gateway:
  edgeward admin enrol gateway gw-1 --json > gw-2.json     # at gw-2, and so at gw-3
  gateways = [{ code_file = "gw-2.json" }, { code_file = "gw-3.json" }]    # gw-1's configuration
  edgeward share init --group home --threshold 2
  edgeward share deal
  edgeward share status`;

/** Milliseconds between two looks at a deal, and for the others to be told of it. */
const interval = 200;
const patience = 10_000;

export function configure(command: Command): void {
  command.description("Found a group of share gateways, and decide what they release.")
    .addHelpText("after", examples);
  const add = (name: string, description: string) =>
    command.command(name).description(description).addOption(configOption())
      .option("--json", "print one JSON object");

  add("init", "Plan a group of this gateway and those whose codes it has. Deals nothing yet.")
    .requiredOption("--group <name>", "what the group is called")
    .requiredOption("--threshold <k>", "how many gateways must answer", wholeNumber(1, 32))
    .addHelpText("after", "\nThe members are this site and all of gateways in its configuration.")
    .action(init);
  add("deal", "Make the group's key, give every member its share, and have all of them sign.")
    .addHelpText(
      "after",
      "\nThis gateway knows the key while it deals and forgets it then. If one member fails, nothing\n" +
        "has changed anywhere. Next: `edgeward share status`, then enrol devices.",
    )
    .action(deal);
  add("status", "Show the group, and which of its gateways answer. Exit status 1: not all is well.")
    .action(status);
  command.command("forget")
    .description("Leave the group: erase this gateway's share, for good.")
    .addOption(configOption())
    .option("--yes", "do not ask")
    .action(forget);
  configureRequests(command);
}

async function init(
  { config, json, ...wish }: CommonOptions & { group: string; threshold: number },
): Promise<void> {
  const group = parseId(wish.group);
  const plan = await (await groupClient(config)).plan({ group, threshold: wish.threshold });
  if (json) return printJson(plan);
  for (const line of planTable(plan)) printLine(line);
  const warning = thresholdWarning(plan);
  if (warning !== null) warnLine(warning);
  const missing = hindrances(plan);
  if (missing.length > 0) warnLine(`hint: a deal needs all of them: look at ${missing.join(", ")}`);
  else warnLine(`hint: to deal ${plan.k} of ${plan.n}: \`edgeward share deal\``);
}

async function deal({ config, json }: CommonOptions): Promise<void> {
  const site = await groupClient(config);
  await site.deal();
  const ended = await watched(site, json === undefined);
  const { deal } = ended;
  if (json) printJson({ deal, group: ended.group, members: ended.members });
  else for (const line of dealLines(deal, ended)) printLine(line);
  if (deal.state === "failed") {
    const { code, detail, hint } = deal.error!;
    throw new CodedError(code, detail, hint === null ? {} : { hint });
  }
  const untold = ended.members.filter(({ has_roster }) => has_roster === false);
  if (untold.length > 0) {
    warnLine(`${untold.map(({ id }) => id).join(", ")} will be told as soon as possible`);
  }
  warnLine(
    "hint: `edgeward share status` shows the group; `edgeward admin enrol device ID` at each",
  );
  warnLine("hint: gateway makes the codes with which a device joins");
}

/** Waits for the end of a deal, and a while for the others to be told. */
async function watched(
  site: GroupClient,
  isShown: boolean,
): Promise<GroupStatus & { deal: DealStatus }> {
  using line = progress({ quiet: !isShown });
  for (let waited = 0;;) {
    const status = await site.status({ live: false });
    const { deal, members } = status;
    // a site that was restarted meanwhile knows nothing of it
    if (deal === null) throw interrupted();
    line.show(`edgeward: ${dealProgress(deal)}`);
    const isTold = members.every(({ has_roster }) => has_roster !== false);
    if (deal.state === "failed" || (deal.state === "done" && (isTold || waited >= patience))) {
      return { ...status, deal };
    }
    await new Promise((resolve) => setTimeout(resolve, interval));
    if (deal.state === "done") waited += interval;
  }
}

function interrupted(): CodedError {
  return new CodedError("interrupted", "The site has restarted while it dealt", {
    hint: "`edgeward share status` shows whether the group is founded; if not, deal again",
  });
}

async function status({ config, json }: CommonOptions): Promise<void> {
  const status = await (await groupClient(config)).status({ live: true });
  if (json) printJson(status);
  else for (const line of groupLines(status)) printLine(line);
  const wrong = shortcomings(status);
  if (wrong.length === 0) return;
  throw new CodedError("group_incomplete", `Not all is well: ${wrong.join("; ")}`, {
    hint: status.group !== null
      ? "who is behind is told as soon as it answers; who has left comes back with a new deal only"
      : status.plan === null
      ? "plan one: `edgeward share init --group NAME --threshold K`"
      : "a plan is made: `edgeward share deal`",
  });
}

async function forget({ config, yes }: { config?: string; yes?: true }): Promise<void> {
  const site = await groupClient(config);
  const before = await site.status({ live: false });
  const meaning = partingText(before);
  if (!yes) {
    if (!canAsk()) {
      throw new CodedError("usage", `Cannot forget without --yes: ${meaning}`, {
        hint: "`edgeward share forget --yes` does it",
      });
    }
    warnLine(meaning);
    if (!confirmed("erase it?")) throw new CodedError("refused", "Nothing was erased");
  }
  await site.forget();
  printLine(before.group === null ? "nothing is kept any more" : meaning.replace(" is ", " was "));
}
