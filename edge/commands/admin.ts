/** `edgeward admin …`: what only the operator of this machine may do, on the running site. */
import type { Command } from "commander";
import type { EnrolmentJson } from "../../core/wire/enrolment.ts";
import { isPeerKind, peerKinds } from "../../core/wire/peer.ts";
import { CodedError } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import { askSite } from "../admin_client.ts";
import { configOption, durationOption, loadSite } from "../options.ts";
import { printJson, printLine, warnLine } from "../terminal.ts";

interface EnrolOptions {
  readonly config?: string;
  readonly ttl: number;
  readonly json?: true;
}

export function configure(command: Command): void {
  command.description("Administer the site that runs on this machine.");
  command.command("enrol").description("Make a one-time code with which a peer joins the site.")
    .argument("<kind>", peerKinds.join(", "))
    .argument("<id>", "identifier of the peer")
    .addOption(configOption())
    .option("--ttl <duration>", "how long the code works", durationOption, 24 * 3_600_000)
    .option("--json", "print one JSON object, as the peer's code_file wants it")
    .action(enrol);
}

async function enrol(kind: string, id: string, options: EnrolOptions): Promise<void> {
  if (!isPeerKind(kind)) {
    throw new CodedError("usage", `Cannot enrol: there is no kind of peer "${kind}"`, {
      hint: `kinds are ${peerKinds.join(", ")}`,
    });
  }
  const { data_dir } = await loadSite(options.config);
  const body = { kind, id: parseId(id), ttl: options.ttl };
  const enrolment = await askSite(data_dir, "/enrol", { method: "POST", body }) as EnrolmentJson;
  if (options.json) return printJson(enrolment);
  for (const [key, value] of Object.entries(enrolment)) printLine(`${key.padEnd(10)} ${value}`);
  warnLine("the code is a secret and works once; give the whole of it to the peer");
}
