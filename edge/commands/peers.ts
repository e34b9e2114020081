/**
 * `edgeward peers …`: who may talk to the running site, who waits to be let in, and what a person decides
 * about them. Whoever waits is recognised by what the device itself shows, never by its name. When they
 * may come is in `../peers/join.ts`, who is kept out for a time in `../peers/bans.ts`.
 */
import { type Command, Option } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import { type PeerKind, peerKinds } from "../../core/wire/peer.ts";
import type { PeerStanding } from "../../core/wire/peer_status.ts";
import { configOption, ttlOption } from "../options.ts";
import { banCommands } from "../peers/bans.ts";
import { type Evidence, type PeersClient, peersClient } from "../peers/client.ts";
import { commandFor, peerFacts, standings } from "../peers/facts.ts";
import { joinCommands, joinText } from "../peers/join.ts";
import { nameText, type PeerName } from "../peers/name.ts";
import { peerTable } from "../peers/table.ts";
import { type EnrolmentOptions, enrolmentOptions, printEnrolment } from "../print_enrolment.ts";
import { canAsk, confirmed, readLine } from "../prompt.ts";
import { printJson, printLine, warnLine } from "../terminal.ts";

interface CommonOptions {
  readonly config?: string;
  readonly json?: true;
}

interface ListOptions extends CommonOptions {
  readonly state?: PeerStanding;
  readonly kind?: PeerKind;
}

interface RecognitionOptions {
  readonly words?: string;
  readonly fingerprint?: string;
  readonly code?: string;
}

const examples = `
ID is meter/m-1, or m-1 where no other kind of peer has that id.

A device without a code comes in like this:
  edgeward peers open                              it may apply for five minutes: switch it on
  edgeward peers list                              it waits, and shows six words or a fingerprint
  edgeward peers approve ID --words "WORDS"        as they are on the device itself`;

export function configure(command: Command): void {
  command.description("Decide who may talk to the site that runs on this machine.")
    .addHelpText("after", examples);
  const add = (name: string, description: string) =>
    command.command(name).description(description).addOption(configOption());
  const jsonLines = "print JSON lines, one for each peer";

  add("list", "List who is known and who waits; who waits comes first.")
    .addOption(new Option("--state <state>", "only those").choices(Object.keys(standings)))
    .addOption(new Option("--kind <kind>", "only those").choices(peerKinds))
    .option("--json", jsonLines)
    .action(list);
  add("show", "Show all that is known of a peer, or of whoever waits under its name.")
    .argument("<id>").option("--json", jsonLines)
    .action(show);
  recognitionOptions(add("approve", "Let somebody in who waits. Without an option it asks."))
    .argument("<id>")
    .addOption(
      new Option(
        "--code <code>",
        "its install code; - reads it from standard input, where `ps` does not show it",
      ).conflicts(["words", "fingerprint"]),
    )
    .addOption(ttlOption("how long that code works"))
    .option("--json", jsonLines)
    .action(approve);
  add("revoke", "Refuse a peer from now on. Its name stays taken.")
    .argument("<id>").option("--json", jsonLines)
    .action(revoke);
  add("remove", "Forget a peer, or whoever waits under its name, and free the name.")
    .argument("<id>").option("--json", "print JSON lines, one for each that is left")
    .action(remove);
  const replacing = add(
    "replace",
    "Give a peer's name to other hardware: one that waits, or to come.",
  )
    .argument("<id>");
  enrolmentOptions(recognitionOptions(replacing)).action(replace);
  add("name", "Say what people call a peer. It stays when the hardware is replaced.")
    .argument("<id>").argument("<name>", 'at most 64 characters; "" takes the name away')
    .option("--json", jsonLines)
    .action(rename);
  banCommands(add);
  joinCommands(add);
}

function recognitionOptions(command: Command): Command {
  const option = (name: string, what: string, other: string) =>
    new Option(`--${name} <${name}>`, what).conflicts(other);
  return command
    .addOption(option("words", "the six words that the device shows", "fingerprint"))
    .addOption(option("fingerprint", "the fingerprint that the device shows", "words"));
}

async function list({ config, json, state, kind }: ListOptions): Promise<void> {
  const { peers: everybody, join } = await (await peersClient(config)).overview();
  const peers = everybody.filter((peer) =>
    (state ?? peer.state) === peer.state && (kind ?? peer.kind) === peer.kind
  );
  if (json) return peers.forEach(printJson);
  const mayApply = joinText(join, Date.now());
  if (peers.length > 0) {
    for (const line of peerTable(peers, Date.now())) printLine(line);
    const [first] = peers.filter(({ proof }) => proof !== null);
    if (first !== undefined) warnLine(`hint: to let it in: ${commandFor(first)}`);
  } else if (everybody.length > 0) {
    warnLine(`none of the ${everybody.length} peers is like that`);
  } else {
    warnLine("nobody is known here yet, and nobody waits");
    warnLine("hint: `edgeward admin enrol KIND ID` makes a code with which a peer joins");
    if (mayApply === null) warnLine("hint: `edgeward peers open` lets devices without one apply");
  }
  if (mayApply !== null) warnLine(mayApply);
}

async function show(text: string, { config, json }: CommonOptions): Promise<void> {
  const site = await peersClient(config);
  const name = await site.name(text);
  const peers = await site.show(name);
  if (peers.length === 0) throw nobody(name);
  if (json) return peers.forEach(printJson);
  for (const [i, peer] of peers.entries()) {
    if (i > 0) printLine("");
    for (const line of peerFacts(peer, Date.now())) printLine(line);
  }
}

async function approve(
  text: string,
  { config, json, ttl, ...options }: CommonOptions & RecognitionOptions & { ttl: number },
): Promise<void> {
  const given = evidenceIn(options);
  if (given === undefined && !canAsk()) {
    throw new CodedError("usage", `Cannot approve "${text}": by what is the device recognised?`, {
      hint: 'give --words "what the device shows", --fingerprint, or --code for its install code',
    });
  }
  const site = await peersClient(config);
  const name = await site.name(text);
  const evidence = given ?? await askPerson(site, name);
  const byCode = "code" in evidence;
  const peers = await site.approve(name, { ...evidence, ...(byCode && { ttl }) });
  if (json) return peers.forEach(printJson);
  printLine(
    byCode
      ? `${nameText(name)} may come in: its code works once`
      : `${nameText(name)} is approved, and gets in when it next asks`,
  );
}

async function revoke(text: string, { config, json }: CommonOptions): Promise<void> {
  const site = await peersClient(config);
  const name = await site.name(text);
  const peers = await site.revoke(name);
  if (json) return peers.forEach(printJson);
  printLine(
    `${nameText(name)} is revoked: its sessions have ended, and it is refused until ` +
      `\`edgeward peers remove ${nameText(name)}\` frees the name`,
  );
}

async function remove(text: string, { config, json }: CommonOptions): Promise<void> {
  const site = await peersClient(config);
  const name = await site.name(text);
  const peers = await site.remove(name);
  if (json) return peers.forEach(printJson);
  printLine(`${nameText(name)} is forgotten: the name is free, and anybody may ask for it again`);
}

async function replace(
  text: string,
  { config, ...options }: CommonOptions & RecognitionOptions & EnrolmentOptions,
): Promise<void> {
  const evidence = evidenceIn(options);
  const site = await peersClient(config);
  const name = await site.name(text);
  const refused = "what had the name before is refused from now on";
  if (evidence === undefined) {
    printEnrolment(await site.replaceByCode(name, options), options);
    return warnLine(`${nameText(name)} goes to whatever comes with this code; ${refused}`);
  }
  const peers = await site.replace(name, evidence);
  if (options.json) return peers.forEach(printJson);
  printLine(`${nameText(name)} has gone to the hardware that you recognised; ${refused}`);
}

async function rename(text: string, to: string, { config, json }: CommonOptions): Promise<void> {
  const site = await peersClient(config);
  const name = await site.name(text);
  const peers = await site.rename(name, to === "" ? null : to);
  if (json) return peers.forEach(printJson);
  printLine(`${nameText(name)} ${to === "" ? "has no name any more" : `is called ${to}`}`);
}

/** @throws CodedError "usage" when the code is none */
function evidenceIn({ words, fingerprint, code }: RecognitionOptions): Evidence | undefined {
  if (words !== undefined) return { words };
  if (fingerprint !== undefined) return { fingerprint };
  if (code === undefined) return undefined;
  const text = code === "-" ? readLine("code:") : code;
  if (/^[\w-]{22}$/.test(text)) return { code: text };
  throw new CodedError("usage", "Cannot read the code: it is not one", {
    hint: "a code is 22 letters, digits, - and _, as on the device or in its QR code",
  });
}

/** Shows what whoever waits should show. @throws CodedError unless the person says that it does */
async function askPerson(site: PeersClient, name: PeerName): Promise<Evidence> {
  const waiting = (await site.show(name)).filter(({ proof }) => proof !== null);
  const [one, ...others] = waiting.filter(({ proof }) => proof !== "none");
  if (one === undefined && waiting.length > 0) {
    throw new CodedError("applicant_unproven", "Who waits has not proven that its key is its own", {
      hint: `only its install code can let it in: ${commandFor(waiting[0]!)}`,
    });
  }
  if (one === undefined) throw nobody(name);
  if (others.length > 0) {
    throw new CodedError("usage", `Several wait as ${nameText(name)}: which one is meant?`, {
      hint: `go by what the device shows: ${commandFor(one)}`,
    });
  }
  const { words, fingerprint } = one;
  const what = words === null ? "this fingerprint" : "these words";
  warnLine(`${nameText(name)} waits: ${words ?? fingerprint}`);
  if (!confirmed(`does the device show exactly ${what}?`)) {
    throw new CodedError("refused", "Nothing was approved", {
      hint: `if the device shows anything else, somebody may sit in between: leave it out`,
    });
  }
  return words === null ? { fingerprint: fingerprint! } : { words };
}

function nobody(name: PeerName): CodedError {
  return new CodedError("peer_unknown", `Nobody is known as ${nameText(name)}, and nobody waits`, {
    hint: "`edgeward peers list` shows who is known and who waits",
  });
}
