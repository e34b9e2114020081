/** `edgeward device seal` and `edgeward device unlock`: volumes, and what they are good for. */
import { type Command, Option } from "commander";
import { messageOf } from "../../core/base/errors.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { type Scheme, schemes } from "../../core/trust/share/scheme.ts";
import { VolumeError } from "../../core/wire/volume.ts";
import { DeviceError, GatewaysError } from "../device/error.ts";
import { type DeviceOptions, dirOption, openHome, warnOf } from "../device/options.ts";
import {
  type KeyFormat,
  keyFormats,
  releaseToFile,
  releaseToOutput,
  runWithKey,
} from "../device/release.ts";
import { seal } from "../device/seal.ts";
import { type OpenVolume, unlock, UnlockFailed, type UnlockReport } from "../device/unlock.ts";
import { durationText, wholeNumber } from "../options.ts";
import { printJson, printLine, progress, warnLine } from "../terminal.ts";

interface SealOptions extends DeviceOptions {
  readonly scheme: Scheme;
  readonly threshold?: number;
  readonly deadline: number;
}

interface UnlockOptions extends DeviceOptions {
  readonly out?: string;
  readonly exec?: string;
  readonly keyFormat: KeyFormat;
  readonly deadline: number;
  readonly sameBoot?: true;
}

const sealHelp = `
How it is spread:
  voprf   the gateways of a group answer with shares of a key that nobody holds; k of them open it
  shamir  each gateway keeps a piece made for this volume; k of them open it (--threshold)
  xor     the same, and it takes all of them

\`seal /dev/null OUT\` makes a volume that holds only a key, for \`unlock --exec\`.`;

const unlockHelp = `
Without --out and --exec the payload goes to standard output. Nothing is released before the whole
volume has been read and found as it was sealed. --exec runs CMD by \`sh -c\` with the volume's key on
standard input: 32 bytes, or 64 digits and a newline. The key belongs to the volume and its file key:
it stays the same at every unlock.

What this promises:
  Whoever has the device's storage alone learns nothing.
  Nor does who has the storage and all that k-1 gateways hold, or all that every gateway holds and
  no storage.
  Whoever has the storage and reaches k gateways opens the volume, as the device does, until the device
  is revoked: its keys, approval by a person, limits on how often, revocation and the alarm about
  clones are all that stands in the way. After a theft revoke it, and seal the data anew.
  That a whole older volume was put in place of a newer one is not noticed.

Exit status: 1 damaged, or CMD failed; 3 the gateways refuse; 4 too few of them can be reached.`;

export function configureVolumes(command: Command): void {
  dirOption(command.command("seal"))
    .description("Make a volume that only this device opens, and only with its gateways.")
    .argument("<in>", "what to seal: a file, or - for standard input")
    .argument("<out>", "the volume")
    .addOption(
      new Option("--scheme <scheme>", "how its key is spread").choices(schemes).default("voprf"),
    )
    .option("--threshold <k>", "how many gateways open it (shamir: 2 to n)", wholeNumber(1, 32))
    .addOption(deadlineOption("30s"))
    .addHelpText("after", sealHelp)
    .action(sealVolume);
  dirOption(command.command("unlock"))
    .description("Open a volume with what its gateways answer.")
    .argument("<file>", "the volume")
    .option("--out <file>", "where the payload goes")
    .option("--exec <cmd>", "run this with the volume's key on its standard input")
    .addOption(
      new Option("--key-format <format>", "of that key").choices(keyFormats).default("raw"),
    )
    .addOption(deadlineOption("10s"))
    .option("--same-boot", "go on with the latest start: a person has approved it meanwhile")
    .addHelpText("after", unlockHelp)
    .action(unlockVolume);
}

function deadlineOption(usual: string): Option {
  return new Option("--deadline <duration>", "how long the gateways may take, all together")
    .default(durationText(usual), usual).argParser(durationText);
}

async function sealVolume(path: string, output: string, options: SealOptions): Promise<void> {
  const { dir, json } = options;
  const home = await openHome(dir);
  const { input, size } = await inputOf(path);
  using line = progress({ quiet: json ?? false });
  using _input = input;
  try {
    const sealed = await seal(home, {
      ...{ ...options, suite: nativeSuite(), input, output },
      onProgress: (bytes) => line.show(`sealed ${shareText(bytes, size)}`),
    });
    line.clear();
    if (json) return printJson(sealed);
    warnOf(sealed.gateways);
    const { volume, scheme, k, n } = sealed;
    printLine(`volume ${volume}: ${k} of ${n} gateways open it, by ${scheme}`);
  } catch (error) {
    line.clear();
    if (error instanceof GatewaysError) warnOf(error.gateways);
    throw error;
  }
}

/** @throws DeviceError "usage" */
async function inputOf(path: string) {
  if (path === "-") {
    const input = { read: (buffer: Uint8Array) => Deno.stdin.read(buffer), [Symbol.dispose]() {} };
    return { input, size: null };
  }
  try {
    const { isDirectory, isFile, size } = await Deno.stat(path);
    if (isDirectory) throw new Error("it is a directory: put it into an archive first");
    return { input: await Deno.open(path), size: isFile ? size : null };
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "there is no such file" : messageOf(error);
    throw new DeviceError("usage", `Cannot seal "${path}": ${why}`, {
      hint: "name a file that this user may read, or - for standard input",
    });
  }
}

async function unlockVolume(file: string, options: UnlockOptions): Promise<void> {
  const { dir, out, exec, json } = options;
  if (json && out === undefined && exec === undefined) {
    throw new DeviceError("usage", "Cannot print a JSON object where the payload goes", {
      hint: "with --json name a file with --out, or a command with --exec",
    });
  }
  const home = await openHome(dir);
  try {
    await using volume = await unlock(home, { ...options, suite: nativeSuite(), file });
    try {
      await release(volume, options);
    } catch (error) {
      volume.report("MOUNT_FAIL");
      show(await volume.settle({ opened: !(error instanceof VolumeError) }), json);
      throw error;
    }
    volume.report("MOUNT_OK");
    show(await volume.settle(), json);
  } catch (error) {
    if (error instanceof UnlockFailed) show(error.report, json);
    throw error;
  }
}

async function release(volume: OpenVolume, options: UnlockOptions): Promise<void> {
  const { out, exec, keyFormat: format, json: aside = false } = options;
  using line = progress({ quiet: aside });
  const onProgress = (bytes: number) => line.show(`read ${shareText(bytes, volume.size)}`);
  if (out !== undefined) await releaseToFile(volume, { path: out, onProgress });
  if (exec !== undefined) await runWithKey(volume, { command: exec, format, aside, onProgress });
  if (out !== undefined || exec !== undefined) return;
  await releaseToOutput(volume, { output: Deno.stdout, onProgress });
}

function show(report: UnlockReport, json: true | undefined): void {
  if (json) return printJson(report);
  warnOf(report.gateways);
  if (!report.opened) return;
  const good = report.gateways.filter(({ outcome }) => outcome === "good").map(({ id }) => id);
  warnLine(`opened with ${good.join(", ")}`);
}

function shareText(bytes: number, of: number | null): string {
  const MiB = (amount: number) => Math.floor(amount / 2 ** 20);
  return of === null ? `${MiB(bytes)} MiB` : `${MiB(bytes)} of ${MiB(of)} MiB`;
}
