/**
 * `edgeward audit witness`: under which keys this site speaks of histories, for others to write down:
 * that of its own log, and that with which it cosigns the logs of others.
 */
import type { Command } from "commander";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CodedError } from "../../core/base/errors.ts";
import { identityPath } from "../../core/host/data_dir.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { logKey, splitOrigin, witnessKey } from "../../core/services/tlog/mod.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { formatNoteKey } from "../../core/trust/log/note.ts";
import { readFile } from "../audit/folder_source.ts";
import { openCheckpoint } from "../audit/signatures.ts";
import { maxCheckpoint, textOf } from "../audit/source.ts";
import { configOption, loadSite } from "../options.ts";
import { printJson, printLine } from "../terminal.ts";

interface Options {
  readonly config?: string;
  readonly json?: true;
}

/** Adds `witness`. */
export function configureWitness(audit: Command, suite: Suite): void {
  audit.command("witness")
    .description(
      "Print this site's keys, NAME+ID+KEY: for --key and --witness, and [log] elsewhere.",
    )
    .addOption(configOption())
    .option("--json", "print one JSON object")
    .action((options: Options) => printKeys(suite, options));
}

async function printKeys(suite: Suite, { config, json }: Options): Promise<void> {
  const { site, data_dir, log: { witness_of } } = await loadSite(config);
  if (!existsSync(identityPath(data_dir))) {
    throw new CodedError("no_identity", `Cannot print keys: the site "${site}" has none yet`, {
      hint: "they are made when it starts for the first time; or this user may not read data_dir",
    });
  }
  const holder = { suite, site, identity: openIdentity(suite, data_dir) };
  const log = formatNoteKey(logKey(holder, generationIn(data_dir)));
  const witness = formatNoteKey(witnessKey(holder).key);
  if (json) return printJson({ log, witness, cosigns: witness_of });
  printLine(`log      ${log}`);
  printLine(`witness  ${witness}`);
  for (const key of witness_of) printLine(`cosigns  ${key}`);
}

/** Which of its logs the site writes: the one that it signed last. */
function generationIn(dataDir: string): number {
  const path = join(dataDir, "log.head");
  const bytes = readFile(path, { path, maxBytes: maxCheckpoint });
  if (bytes === null) return 1;
  return splitOrigin(openCheckpoint(textOf(bytes, path), path).origin).generation;
}
