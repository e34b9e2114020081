/**
 * `edgeward device …`: what a device in the street does: it is enrolled at gateways, seals volumes, opens
 * them at its start with what k gateways answer, and reports what became of it.
 */
import type { Command } from "commander";
import { messageOf } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { toHex } from "../../core/base/bytes.ts";
import { fingerprint } from "../../core/trust/fingerprint.ts";
import { type BootEventName, bootEvents, isBootEvent } from "../../core/wire/boot_event.ts";
import { enrolmentFromJson } from "../../core/wire/enrolment.ts";
import { fingerprintText } from "../../core/wire/peer.ts";
import { enrol } from "../device/enrol.ts";
import { DeviceError, GatewaysError } from "../device/error.ts";
import { DeviceHome } from "../device/home.ts";
import { type DeviceOptions, dirOption, openHome, warnOf } from "../device/options.ts";
import { report } from "../device/report.ts";
import { argumentOf } from "../options.ts";
import { readLine } from "../prompt.ts";
import { printJson, printLine, warnLine } from "../terminal.ts";
import { configureVolumes } from "./device_volume.ts";

const examples = `
Examples:
  edgeward device init --id kiosk-7 --dir /var/lib/edgeward
  edgeward admin enrol device kiosk-7 --json           # at each gateway: a code
  edgeward device enrol --dir /var/lib/edgeward CODE   # once for each of them
  edgeward device seal --dir /var/lib/edgeward secrets.tar secrets.volume
  edgeward device unlock --dir /var/lib/edgeward secrets.volume --out /run/secrets.tar`;

export function configure(command: Command): void {
  command.description("Be a device: enrol at gateways, seal volumes, open them, report.")
    .addHelpText("after", examples);
  dirOption(command.command("init"))
    .description("Make a device: its keys and its secret, in a directory of its own.")
    .requiredOption("--id <id>", "identifier of the device")
    .action(init);
  dirOption(command.command("enrol"))
    .description("Join a gateway, with the code that it has made for this device.")
    .argument("<code>", "the code's JSON, a file with it, or - for standard input")
    .option("--url <url>", "where the gateway answers, when it is not where the code says")
    .action(enrolAt);
  configureVolumes(command);
  dirOption(command.command("report"))
    .description("Tell every gateway what became of the latest start.")
    .addArgument(argumentOf("<event>", "what happened", bootEvents))
    .action(reportEvent);
  dirOption(command.command("status"))
    .description("Show who the device is, where it is enrolled, and which rosters it holds.")
    .action(status);
}

function init({ dir, json, id }: DeviceOptions & { id: string }): void {
  const home = DeviceHome.create(nativeSuite(), { dir, id: parseId(id) });
  const facts = { id: home.id, dir, fingerprint: fingerprintOf(home) };
  if (json) return printJson(facts);
  printLine(`device ${home.id} in ${dir}`);
  printLine(`fingerprint ${facts.fingerprint}`);
  warnLine("whoever has a copy of this directory is the device: keep it on the device alone");
}

async function enrolAt(
  code: string,
  { dir, json, url }: DeviceOptions & { url?: string },
): Promise<void> {
  const home = await openHome(dir);
  const given = enrolmentFromJson(await codeText(code));
  const enrolment = { ...given, url: url ?? given.url };
  await enrol(home, { suite: nativeSuite(), enrolment });
  const gateways = [...home.gateways().keys()];
  if (json) {
    return printJson({ id: home.id, gateway: enrolment.site, url: enrolment.url, gateways });
  }
  printLine(`enrolled at ${enrolment.site}; now at ${gateways.length}: ${gateways.join(", ")}`);
}

async function codeText(code: string): Promise<string> {
  if (code === "-") return readLine("code:");
  if (code.trimStart().startsWith("{")) return code;
  try {
    return await Deno.readTextFile(code);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "there is no such file" : messageOf(error);
    throw new DeviceError("usage", `Cannot read a code in "${code}": ${why}`, {
      hint: "give the JSON line of `edgeward admin enrol device ID --json`, a file with it, or -",
    });
  }
}

async function reportEvent(event: string, { dir, json }: DeviceOptions): Promise<void> {
  if (!isBootEvent(event)) {
    throw new DeviceError("usage", `Cannot report "${event}": there is no such event`, {
      hint: `the events are ${bootEvents.join(", ")}`,
    });
  }
  const home = await openHome(dir);
  const gateways = await report(home, { suite: nativeSuite(), event: event as BootEventName });
  const heard = gateways.filter(({ outcome }) => outcome === "good").map(({ id }) => id);
  if (json) printJson({ event, gateways });
  else warnOf(gateways);
  if (heard.length === 0) {
    const isDenied = gateways.some(({ outcome }) => outcome === "denied");
    throw new GatewaysError(
      isDenied ? "refused" : "unreachable",
      `No gateway has taken the report ${event}`,
      { gateways, hint: "what each of them said stands above" },
    );
  }
  if (!json) printLine(`${event} reported to ${heard.join(", ")}`);
}

async function status({ dir, json }: DeviceOptions): Promise<void> {
  const home = await openHome(dir);
  const start = home.start();
  const facts = {
    id: home.id,
    fingerprint: fingerprintOf(home),
    boot: start === null ? null : { counter: start.boot.counter, id: toHex(start.boot.id) },
    gateways: [...home.gateways().values()].map(({ site, url }) => ({ id: site, url })),
    groups: home.rosters().map(({ group, commitments, epoch, k, n, members }) => ({
      ...{ group, key: toHex(commitments[0]!), epoch, k, n },
      members: members.map(({ id }) => id),
    })),
  };
  if (json) return printJson(facts);
  printLine(`device       ${facts.id}`);
  printLine(`fingerprint  ${facts.fingerprint}`);
  printLine(`starts       ${facts.boot?.counter ?? "none yet"}`);
  for (const { id, url } of facts.gateways) printLine(`gateway      ${id}  ${url}`);
  for (const { group, epoch, k, members } of facts.groups) {
    printLine(`group        ${group}, epoch ${epoch}: ${k} of ${members.join(", ")}`);
  }
  if (facts.gateways.length === 0) warnLine("hint: join a gateway with `edgeward device enrol`");
}

function fingerprintOf({ noise }: DeviceHome): string {
  return fingerprintText(fingerprint(nativeSuite(), "X25519", noise.publicKey));
}
