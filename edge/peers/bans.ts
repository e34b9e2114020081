/** `edgeward peers ban` and `unban`: who is kept out for a time, and is afterwards what it was. */
import type { Command } from "commander";
import { instantText } from "../../core/base/when.ts";
import { durationText } from "../options.ts";
import { printJson, printLine } from "../terminal.ts";
import { peersClient } from "./client.ts";
import { nameText } from "./name.ts";

interface BanCommandOptions {
  readonly config?: string;
  readonly json?: true;
  readonly for?: number;
  readonly reason?: string;
  readonly key?: true | string;
}

/** @param add makes a command of this name */
export function banCommands(add: (name: string, description: string) => Command): void {
  const jsonLines = "print JSON lines, one for each peer of the name";
  add("ban", "Refuse a peer for a time. Afterwards it is what it was.")
    .argument("<id>")
    .option("--for <duration>", "how long (default: until `edgeward peers unban`)", durationText)
    .option("--reason <text>", "why, for those who read the list")
    .option("--key [fingerprint]", "its key, under whatever name, instead of the name")
    .option("--json", jsonLines)
    .action(ban);
  add("unban", "Lift what was banned under a name.")
    .argument("<id>").option("--json", jsonLines)
    .action(unban);
}

async function ban(
  text: string,
  { config, json, key, reason, for: for_ms }: BanCommandOptions,
): Promise<void> {
  const site = await peersClient(config);
  const name = await site.name(text);
  const peers = await site.ban(name, {
    ...(key !== undefined && { key }),
    ...(for_ms !== undefined && { for_ms }),
    ...(reason !== undefined && { reason }),
  });
  if (json) return peers.forEach(printJson);
  const what = key === undefined ? nameText(name) : `the key of ${nameText(name)}`;
  const until = peers.flatMap(({ ban }) => ban === null ? [] : [ban.until]).at(0);
  const end = typeof until === "string" ? ` until ${instantText(until, Date.now())}` : "";
  printLine(
    `${what} is banned${end}: its sessions have ended. \`edgeward peers unban ` +
      `${nameText(name)}\` lifts that; it then is what it was`,
  );
}

async function unban(text: string, { config, json }: BanCommandOptions): Promise<void> {
  const site = await peersClient(config);
  const name = await site.name(text);
  const peers = await site.unban(name);
  if (json) return peers.forEach(printJson);
  const [peer] = peers.filter(({ proof }) => proof === null);
  printLine(`${nameText(name)} is no longer banned: ${peer?.state ?? "nobody has the name"}`);
}
