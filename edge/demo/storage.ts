/**
 * The storage of a kiosk: one device that is enrolled at three gateways, seals a file, boots, has its
 * volume opened by two of the three, and mounts it. What counts as a mount the gateways say, not the
 * device: each of them must have its signed report on record.
 */
import { join } from "node:path";
import { CodedError } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { pause } from "../../core/services/pause.ts";
import { askSite } from "../admin_client.ts";
import { enrol } from "../device/enrol.ts";
import { DeviceHome } from "../device/home.ts";
import { releaseToFile } from "../device/release.ts";
import { seal } from "../device/seal.ts";
import { unlock, type UnlockReport } from "../device/unlock.ts";
import type { Input } from "../device/volume_file.ts";
import { groupAt } from "../share/group_client.ts";
import { type DemoSystem, urlOf } from "./system.ts";

export interface ShareVerdict {
  readonly gateways: number;
  readonly threshold: number;
  readonly unlocks_ok: number;
  readonly unlocks_failed: number;
  /** Unlocks whose report of a mount all gateways have. */
  readonly mounts_ok: number;
}

const suite = nativeSuite();
const device = parseId("kiosk-1");
const threshold = 2;
/** How long a deal, and a report's way to every gateway, may take. */
const patience = 20_000;

/** Makes the sites of the demo a group, unless they are one. @throws CodedError */
export async function foundGroup({ gateways, dataDirOf }: DemoSystem): Promise<void> {
  const dealer = groupAt(dataDirOf(gateways[0]!));
  const isFounded = async () => {
    const { group, members, deal } = await dealer.status({ live: false });
    if (deal?.state === "failed") throw new CodedError(deal.error!.code, deal.error!.detail);
    return group !== null && members.every(({ has_roster }) => has_roster !== false);
  };
  if ((await dealer.status({ live: false })).group === null) {
    await dealer.plan({ group: "demo", threshold });
    await dealer.deal();
  }
  if (await eventually(isFounded)) return;
  throw new CodedError("group_incomplete", "Cannot start the demo: its gateways formed no group");
}

/**
 * Boots the device once, after its file was sealed. Never throws what goes wrong with the device: it is
 * the verdict. @param options.dataDir the demo's
 */
export async function openStorage(
  system: DemoSystem,
  { dataDir }: { dataDir: string },
): Promise<{ share: ShareVerdict; report: UnlockReport | null; trouble: CodedError | null }> {
  const count = { unlocks_ok: 0, unlocks_failed: 0, mounts_ok: 0 };
  let report: UnlockReport | null = null;
  let trouble: CodedError | null = null;
  try {
    const home = await joined(system, join(dataDir, device));
    const volume = join(dataDir, `${device}.volume`);
    await seal(home, {
      ...{ suite, output: volume, scheme: "voprf" },
      input: inputOf(new TextEncoder().encode(secretsOfKiosk)),
    });
    report = await boot(home, { volume, mounted: join(dataDir, `${device}.mounted`) });
    count.unlocks_ok++;
    if (await eventually(() => isMounted(system, report!))) count.mounts_ok++;
    else trouble = new CodedError("mount_unknown", "Not every gateway knows of the mount");
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    count.unlocks_failed++;
    trouble = error;
  }
  const share = { gateways: system.gateways.length, threshold, ...count };
  return { share, report, trouble };
}

const secretsOfKiosk = "the price list, the customers, the key of the till\n";

/** The device of the directory, enrolled at every gateway under its present address. */
async function joined({ gateways }: DemoSystem, dir: string): Promise<DeviceHome> {
  const isNew = !await exists(join(dir, "device.key"));
  const home = isNew ? DeviceHome.create(suite, { dir, id: device }) : DeviceHome.open(suite, dir);
  const known = home.gateways();
  await Promise.all(gateways.map(async (site) => {
    const url = urlOf(site);
    const before = known.get(parseId(site.name));
    if (before !== undefined) return home.keepGateway({ ...before, url });
    const code = await site.enrol("device", device, { ttl: 600_000 });
    await enrol(home, { suite, enrolment: { ...code, url } });
  }));
  return home;
}

async function boot(
  home: DeviceHome,
  { volume, mounted }: { volume: string; mounted: string },
): Promise<UnlockReport> {
  await using opened = await unlock(home, { suite, file: volume });
  await releaseToFile(opened, { path: mounted });
  opened.report("MOUNT_OK");
  return await opened.settle();
}

/** Whether every gateway that answered has the report of this start on record. */
async function isMounted(
  { gateways, dataDirOf }: DemoSystem,
  { boot, gateways: outcomes }: UnlockReport,
): Promise<boolean> {
  const asked = new Set<string>(
    outcomes.filter(({ outcome }) => outcome === "good").map(({ id }) => id),
  );
  const answers = await Promise.all(
    gateways.filter(({ name }) => asked.has(name)).map(async (site) => {
      const path = `/share-gateway/releases?device=${device}&limit=10`;
      const { releases } = await askSite(dataDirOf(site), path) as {
        releases: { boot: number; outcome: string | null }[];
      };
      return releases.some((one) => one.boot === boot.counter && one.outcome === "mount_ok");
    }),
  );
  return answers.length >= threshold && answers.every((known) => known);
}

function inputOf(bytes: Uint8Array): Input {
  let rest = bytes;
  return {
    read(buffer) {
      const part = rest.subarray(0, buffer.length);
      rest = rest.subarray(part.length);
      buffer.set(part);
      return Promise.resolve(part.length === 0 ? null : part.length);
    },
  };
}

async function eventually(holds: () => Promise<boolean>): Promise<boolean> {
  for (const deadline = AbortSignal.timeout(patience); !deadline.aborted;) {
    if (await holds()) return true;
    await pause(50, deadline);
  }
  return false;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
