/** `edgeward admin …`: what only the operator of this machine may do, on the running site. */
import type { Command } from "commander";
import type { EnrolmentJson } from "../../core/wire/enrolment.ts";
import { peerKinds } from "../../core/wire/peer.ts";
import { parseId } from "../../core/base/id.ts";
import { askSite } from "../admin_client.ts";
import { configureTokens } from "./admin_token.ts";
import { argumentOf, configOption, loadSite } from "../options.ts";
import { parseKind } from "../peers/name.ts";
import { printJson, printLine, warnLine } from "../terminal.ts";
import { type EnrolmentOptions, enrolmentOptions, printEnrolment } from "../print_enrolment.ts";

interface EnrolOptions extends EnrolmentOptions {
  readonly config?: string;
}

export function configure(command: Command): void {
  command.description("Administer the site that runs on this machine.");
  const enrolling = command.command("enrol")
    .description("Make a one-time code with which a peer joins the site.")
    .addArgument(argumentOf("<kind>", "what the peer is", peerKinds))
    .argument("<id>", "identifier of the peer")
    .addOption(configOption());
  enrolmentOptions(enrolling).action(enrol);
  configureTokens(command);
  command.command("rotate-key")
    .description("Make a new key for what is sealed in the database, and seal all of it anew.")
    .addOption(configOption())
    .option("--json", "print one JSON object")
    .action(rotateKey);
}

async function rotateKey({ config, json }: { config?: string; json?: true }): Promise<void> {
  const { data_dir } = await loadSite(config);
  const rotated = await askSite(data_dir, "/sealing-key/rotate", { method: "POST" });
  if (json) return printJson(rotated);
  const { version, resealed } = rotated as { version: number; resealed: number };
  printLine(`key version ${version} is in use; ${resealed} values were sealed anew`);
  warnLine("older backups of identity.key open nothing that is in the database now");
}

async function enrol(kind: string, id: string, options: EnrolOptions): Promise<void> {
  const body = { kind: parseKind(kind), id: parseId(id), ttl: options.ttl };
  const { data_dir } = await loadSite(options.config);
  const enrolment = await askSite(data_dir, "/enrol", { method: "POST", body });
  printEnrolment(enrolment as EnrolmentJson, options);
}
