/**
 * The sites of the demo, several hosts in one process with real sockets between them: `demo` is the
 * cloud, `gw-2` the fog with its broker, `gw-3` another gateway; all three are share gateways. `gw-2` also
 * answers devices at its broker, and switches relays for them. The sites know nothing of each other but
 * what enrolment gave them, and each other's keys where the gateways witness the log of the cloud.
 */
import { join } from "node:path";
import { CodedError } from "../../core/base/errors.ts";
import { parseConfig } from "../../core/host/config/mod.ts";
import { type Site, startSite } from "../../core/host/site.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { logKey, witnessKey } from "../../core/services/tlog/mod.ts";
import { formatNoteKey, type NoteKey } from "../../core/trust/log/note.ts";
import { enrolmentToJson } from "../../core/wire/enrolment.ts";
import { registry } from "../plugins.ts";
import { version } from "../version.ts";
import { openRelays, type Relays } from "./relays.ts";

export interface DemoSystem extends AsyncDisposable {
  /** Its HTTP listener answers `/summary`, and `/log` to everyone. */
  readonly cloud: Site;
  readonly fog: Site;
  /** Gateways that cosign the log of the cloud. */
  readonly witnesses: readonly Site[];
  /** All of them: the one that deals comes first. */
  readonly gateways: readonly Site[];
  /** What devices of the fog switch. */
  readonly relays: Relays;
  dataDirOf(site: Site): string;
  readonly keys: {
    /** What a generation of the cloud's log is signed with. */
    log(generation: number): NoteKey;
    readonly witnesses: readonly NoteKey[];
  };
}

const hour = 3_600_000;

/** Milliseconds of a window, and how long it waits for stragglers; an uplink is quicker than both. */
export const demoWindow = { window: 2_000, grace: 500 } as const;

/** The tables of a gateway without a cloud. */
const gatewayRoles = `
[plugins.share-gateway]
[plugins.fog-aggregator]
window = "${demoWindow.window}ms"
grace = "${demoWindow.grace}ms"`;

/**
 * Starts the system in a data directory. The cloud listens on `port`, the gateways on the two after it;
 * port 0 takes free ones. @param options.telegram the table of a role that tells what happens at the cloud
 * @throws CodedError "port_busy" and others of `startSite`
 */
export async function startDemo(
  options: { dataDir: string; port: number; telegram?: string | null },
): Promise<DemoSystem> {
  const { dataDir, port, telegram } = options;
  await using stack = new AsyncDisposableStack();
  const [holder, ...gateways] = ["demo", "gw-2", "gw-3"].map((site) => keyHolder(dataDir, site));
  const log = (generation: number) => logKey(holder!, generation);
  const witnesses = gateways.map((gateway) => witnessKey(gateway).key);
  const witnessOf = `
[log]
witness_of = ["${formatNoteKey(log(1))}"]`;

  const relays = stack.use(openRelays());
  const fogRoles = `${witnessOf}
[plugins.mqtt-auth-gateway]
allow = ["time", "echo", "config.get", "telemetry.push", "relay.*"]
routes = [{ method = "relay.*", url = "${relays.url}" }]${gatewayRoles}`;

  const configOf = (nth: number, tables: string) => {
    const site = ["demo", "gw-2", "gw-3"][nth]!;
    return siteConfig(dataDir, { site, port: port === 0 ? 0 : port + nth, tables });
  };
  // witnesses are there before the log that they witness, and the fog hears of its cloud after that
  const fog = stack.use(await start(configOf(1, fogRoles)));
  const other = stack.use(await start(configOf(2, `${witnessOf}${gatewayRoles}`)));
  const entries = [fog, other].map((site, i) =>
    `{ url = "${urlOf(site)}/log", key = "${formatNoteKey(witnesses[i]!)}" }`
  );
  const codes = await Promise.all([fog, other].map(async (site) => {
    const file = await codeOf(site, { kind: "gateway", id: "demo", dataDir });
    return `{ code_file = "${file}" }`;
  }));
  const cloud = stack.use(
    await start(configOf(
      0,
      `
[log]
public = true
witnesses = [${entries.join(", ")}]
[plugins.share-gateway]
gateways = [${codes.join(", ")}]
[plugins.cloud-summary]
public_summary = true
${telegram ?? ""}`,
    )),
  );
  await codeOf(cloud, { kind: "fog", id: "gw-2", dataDir });
  const uplink = `
code_file = "demo-fog-gw-2.json"
cloud = "${urlOf(cloud)}"`;
  const { failed } = await fog.reload(await configOf(1, `${fogRoles}${uplink}`));
  for (const [role, why] of Object.entries(failed)) {
    throw new CodedError("demo_failed", `Cannot start the demo: ${role} of gw-2: ${why}`);
  }
  const running = stack.move();
  return {
    ...{ cloud, fog, witnesses: [fog, other], gateways: [cloud, fog, other], relays },
    dataDirOf: ({ name }) => join(dataDir, name),
    keys: { log, witnesses },
    async [Symbol.asyncDispose]() {
      // the fog first: it has nobody to speak to when the cloud is gone
      await fog[Symbol.asyncDispose]();
      await running.disposeAsync();
    },
  };
}

/** Where the public listener of a site answers. */
export function urlOf({ http }: Site): string {
  return `http://127.0.0.1:${http!.port}`;
}

/** Who a site is, also before its first start. */
function keyHolder(dataDir: string, site: string) {
  const suite = nativeSuite();
  return { suite, site, identity: openIdentity(suite, join(dataDir, site)) };
}

function siteConfig(
  dir: string,
  { site, port, tables }: { site: string; port: number; tables: string },
) {
  const text = `site = "${site}"
data_dir = "${site}"
[http]
listen = "127.0.0.1:${port}"
[admin]
listen = "127.0.0.1:0"
[mqtt]
listen = "127.0.0.1:0"
${tables}
`;
  return parseConfig(text, { file: `${site}.toml`, dir, registry });
}

async function start(config: ReturnType<typeof siteConfig>): Promise<Site> {
  return await startSite(await config, { version });
}

/** The name of the file with a code of the site for this peer, made once. */
async function codeOf(
  site: Site,
  { kind, id, dataDir }: { kind: "gateway" | "fog"; id: string; dataDir: string },
): Promise<string> {
  const name = `${site.name}-${kind}-${id}.json`;
  const file = join(dataDir, name);
  if (!await exists(file)) {
    const enrolment = await site.enrol(kind, id, { ttl: hour });
    const json = JSON.stringify({ ...enrolmentToJson(enrolment) });
    await Deno.writeTextFile(file, json, { mode: 0o600 });
  }
  return name;
}

async function exists(file: string): Promise<boolean> {
  return await Deno.stat(file).then(() => true, () => false);
}
