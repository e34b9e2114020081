/**
 * `edgeward audit …`: what the history of a site is, and whether it is whole. `verify` needs no site, no
 * network where the log is in a folder, and trusts nothing but the keys that it is given.
 */
import type { Command } from "commander";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import { plainText } from "../../core/base/plain_text.ts";
import { markOf } from "../../core/host/shown.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import type { NoteKey } from "../../core/trust/log/note.ts";
import { askSite } from "../admin_client.ts";
import { type Check, FindingError, type Found } from "../audit/finding.ts";
import { FolderCopy } from "../audit/folder_copy.ts";
import { folderSource } from "../audit/folder_source.ts";
import { forManyHashes } from "../audit/hashing.ts";
import { httpSource, siteSource } from "../audit/http_source.ts";
import { latestEntries } from "../audit/latest.ts";
import { logKeyText, readNamed, tokenIn, trustIn, witnessKeyText } from "../audit/options.ts";
import { verifyProof } from "../audit/proof.ts";
import { entryLine, shownEntry } from "../audit/shown.ts";
import { type LogSource, textOf } from "../audit/source.ts";
import { verifyLog } from "../audit/verify.ts";
import { configOption, loadSite, wholeNumber } from "../options.ts";
import { printJson, printLine, progress } from "../terminal.ts";
import { configureWitness } from "./audit_witness.ts";

interface VerifyOptions {
  readonly key?: NoteKey;
  readonly witness: readonly NoteKey[];
  readonly quorum?: number;
  readonly since?: string;
  readonly save?: string;
  readonly tokenFile?: string;
  readonly entries: boolean;
  readonly json?: true;
}

interface ShowOptions {
  readonly config?: string;
  readonly last: number;
  readonly type?: string;
  readonly json?: true;
}

const examples = `
Examples:
  edgeward audit witness                                # at the site: its keys, to be written down
  edgeward audit verify https://fog-1.example/log --key KEY --witness KEY --save copy
  edgeward audit verify copy --key KEY --witness KEY    # the same, offline
  edgeward audit verify https://fog-1.example/log --key KEY --since last-year/checkpoint
  edgeward audit verify window.tlog-proof --key KEY`;

const targets = "address of a log, a folder with one, or a .tlog-proof";

export function configure(command: Command): void {
  const suite = nativeSuite();
  command.description("Look at the history of a site, and check that nobody has rewritten it.")
    .addHelpText("after", examples);
  command.command("verify")
    .description("Check a log, every entry and every hash of it, or a proof of one entry.")
    .argument("<path>", targets)
    .argument("[file]", "for a proof: the entry, or the statement that it names")
    .option("--key <key>", "key of the log, NAME+ID+KEY", logKeyText(suite))
    .option("--witness <key>", "key of a witness; may be repeated", witnessKeyText(suite), [])
    .option("--quorum <n>", "how many must have cosigned (default: all)", wholeNumber(1, 100))
    .option("--since <file>", "an earlier checkpoint that the log must have grown from")
    .option("--save <dir>", "keep what was checked; an earlier copy there must have grown into it")
    .option("--token-file <file>", "token for entries that are not public (or EDGEWARD_TOKEN)")
    .option("--no-entries", "check the hashes only")
    .option("--json", "print one JSON object")
    .action(verify);
  command.command("show").description("Show the latest entries of the site on this machine.")
    .addOption(configOption())
    .option("--last <n>", "how many", wholeNumber(1, 100_000), 20)
    .option("--type <type>", "only those of this type, as peer.enrolled")
    .option("--json", "print JSON lines, one for each entry")
    .action(show);
  configureWitness(command, suite);
}

async function verify(
  target: string,
  file: string | undefined,
  options: VerifyOptions,
): Promise<void> {
  const facts: Record<string, unknown> = {};
  using line = progress({ quiet: options.json ?? false });
  const found: Found = (check: Check) => {
    Object.assign(facts, check.facts);
    line.clear();
    if (!options.json) printLine(lineOf(check));
  };
  try {
    const kind = await kindOf(target);
    if (kind === "proof") verifyProofFile(target, { file, options, found });
    else await verifyWhole(target, { kind, file, options, found, line });
    if (options.json) printJson({ ok: true, ...facts });
  } catch (error) {
    line.clear();
    if (options.json && error instanceof CodedError) {
      const { code, message } = error;
      const where = error instanceof FindingError ? error.where : null;
      printJson({ ok: false, failure: { code, where, message }, ...facts });
    }
    throw error;
  }
}

async function verifyWhole(
  target: string,
  { kind, file, options, found, line }: {
    kind: "address" | "folder";
    file: string | undefined;
    options: VerifyOptions;
    found: Found;
    line: { show(text: string): void };
  },
): Promise<void> {
  if (file !== undefined) {
    throw new CodedError("usage", `Cannot use "${file}": it goes with a proof, not with a log`, {
      hint: "name a .tlog-proof before it, or leave it out",
    });
  }
  const trust = trustIn(options);
  const { since, save, entries: withEntries } = options;
  const token = withEntries ? tokenIn(options.tokenFile, Deno.env) : undefined;
  using source = kind === "folder"
    ? folderSource(target)
    : httpSource(target, token === undefined ? {} : { token });
  await verifyLog({
    suite: forManyHashes(nativeSuite()),
    ...{ source, trust, withEntries, found },
    since: since === undefined ? null : { note: textIn(since), path: since },
    copy: save === undefined ? null : await FolderCopy.open(save),
    progress: (entries, size) => line.show(`${entries} of ${size} entries`),
  });
}

function verifyProofFile(
  path: string,
  { file, options, found }: { file: string | undefined; options: VerifyOptions; found: Found },
): void {
  const given = file === undefined ? null : { bytes: readNamed(file), path: file };
  const [trust, text] = [trustIn(options), textIn(path)];
  verifyProof({ suite: nativeSuite(), ...{ text, path, given, trust, found } });
}

async function show({ config, last, type, json }: ShowOptions): Promise<void> {
  const { data_dir } = await loadSite(config);
  // says in its own words when the site does not run, or this user may not ask it
  await askSite(data_dir, "/site");
  using source: LogSource = siteSource(data_dir);
  for (const entry of await latestEntries(source, { last, type })) {
    if (json) printJson(shownEntry(entry));
    else printLine(plainText(entryLine(entry)));
  }
}

async function kindOf(target: string): Promise<"address" | "folder" | "proof"> {
  if (/^https?:\/\//i.test(target) && URL.canParse(target)) return "address";
  try {
    return (await Deno.stat(target)).isDirectory ? "folder" : "proof";
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "there is no such file" : messageOf(error);
    throw new CodedError("usage", `Cannot read "${target}": ${why}`, {
      hint: `name the ${targets}`,
    });
  }
}

function textIn(file: string): string {
  return textOf(readNamed(file), file);
}

function lineOf({ part, state, what }: Check): string {
  return `${markOf(state)} ${part.padEnd("checkpoint".length)}  ${plainText(what)}`;
}
