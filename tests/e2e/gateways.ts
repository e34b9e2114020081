/**
 * Share gateways as processes of their own, put together by their operators' commands alone, and
 * devices in folders of their own, played by the device's commands.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { enrolmentToJson } from "../../core/wire/enrolment.ts";
import { askSite } from "../../edge/admin_client.ts";
import type { Lie } from "./lying_gateway.ts";
import { type Outcome, run, source } from "./program.ts";
import { SiteProcess } from "./site_process.ts";

/** Tests ask more often than a device in the street does. */
const table = `
[plugins.share-gateway]
rate = "1000/s"
rate_all = "1000/s"
max_volumes = 100`;

const liar = fileURLToPath(new URL("./lying_gateway.ts", import.meta.url));

/** What `edgeward device unlock --json` prints. */
export interface Opening {
  readonly opened: boolean;
  readonly gateways: readonly {
    readonly id: string;
    readonly outcome: "good" | "bad" | "denied" | "unreachable" | "late";
    readonly why: string | null;
  }[];
}

export class Gateways implements AsyncDisposable {
  readonly sites: readonly SiteProcess[];
  readonly #folder: string;

  private constructor(folder: string, sites: readonly SiteProcess[]) {
    this.#folder = folder;
    this.sites = sites;
  }

  /**
   * Starts n gateways, gw-1 with codes for the others.
   * @param options.tables what else is in the role's table of each
   */
  static async start(
    folder: string,
    { n, tables = "" }: { n: number; tables?: string },
  ): Promise<Gateways> {
    const role = `${table}\n${tables}`;
    const sites = await Promise.all(
      Array.from(
        { length: n },
        (_, i) => SiteProcess.start(join(folder, `gw-${i + 1}`), `gw-${i + 1}`, role),
      ),
    );
    const [dealer, ...others] = sites as [SiteProcess, ...SiteProcess[]];
    const codes = await Promise.all(others.map(async (other, i) => {
      const file = join(folder, `code-${i + 2}.json`);
      const enrolment = await other.enrol("gw-1", "gateway");
      await Deno.writeTextFile(file, JSON.stringify(enrolmentToJson(enrolment)), { mode: 0o600 });
      return `{ code_file = "${file}" }`;
    }));
    await dealer.stop();
    await dealer.configure(`${table}\ngateways = [${codes.join(", ")}]\n${tables}`);
    await dealer.start();
    return new Gateways(folder, sites);
  }

  /** Makes them a group, as the operator of gw-1 does. */
  async deal(k: number): Promise<void> {
    const dealer = this.sites[0]!;
    await expectDone(
      dealer.operate(["share", "init", "--group", "kiosks", "--threshold", `${k}`]),
    );
    await expectDone(dealer.operate(["share", "deal"]));
  }

  /** A new device, enrolled with every gateway. */
  async device(id: string): Promise<Device> {
    const device = new Device(join(this.#folder, id));
    await expectDone(device.run("init", "--id", id));
    for (const site of this.sites) {
      const enrolment = await site.enrol(id, "device");
      const code = JSON.stringify(enrolmentToJson({ ...enrolment, url: site.url }));
      await expectDone(device.runWith(code, "enrol", "-"));
    }
    return device;
  }

  /** Puts a liar in the place of a gateway, with its keys and its database. */
  async corrupt(index: number, lie: Lie): Promise<void> {
    const site = this.sites[index]!;
    await site.kill();
    const leading = ["run", "--frozen", "-A", liar, lie];
    await site.start({ ...source, leading });
  }

  /** Ends the liar, and starts the gateway that it was. */
  async mend(index: number): Promise<void> {
    const site = this.sites[index]!;
    await site.kill();
    await site.start();
  }

  /** What a gateway has given to a device, the latest first. */
  async releases(
    index: number,
    device: string,
  ): Promise<{ releases: readonly { seal: boolean; outcome: string | null }[] }> {
    const { dataDir } = this.sites[index]!;
    const path = `/share-gateway/releases?device=${device}`;
    return await askSite(dataDir, path) as Awaited<ReturnType<Gateways["releases"]>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.sites.map((site) => site[Symbol.asyncDispose]()));
  }
}

export class Device {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  run(command: string, ...args: string[]): Promise<Outcome> {
    return run(["device", command, "--dir", this.dir, ...args]);
  }

  runWith(stdin: string, command: string, ...args: string[]): Promise<Outcome> {
    return run(["device", command, "--dir", this.dir, ...args], { stdin });
  }

  /** Seals bytes; gives the path of the volume. */
  async seal(name: string, bytes: Uint8Array, ...options: string[]): Promise<string> {
    const [plain, volume] = [`${this.dir}-${name}`, `${this.dir}-${name}.volume`];
    await Deno.writeFile(plain, bytes);
    await expectDone(this.run("seal", ...options, plain, volume));
    await Deno.remove(plain);
    return volume;
  }
}

/** @throws AssertionError with what the program complained of */
export async function expectDone(outcome: Promise<Outcome>): Promise<string> {
  const { code, stdout, stderr } = await outcome;
  assert.equal(code, 0, stderr);
  return stdout;
}
