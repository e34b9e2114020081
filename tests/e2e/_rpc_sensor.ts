/** Simulated devices in the process of the test, let into a site as people and admins do it. */
import { fromBase64url } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { askSite } from "../../edge/admin_client.ts";
import { Sensor, type SensorOptions, type SensorProfile } from "../../edge/simulate/sensor.ts";
import { type Flash, memoryFlash } from "../../edge/simulate/sensor_flash.ts";
import type { SiteAtBroker } from "./brokers.ts";
import type { SiteProcess } from "./site_process.ts";
import { eventually } from "./_test_site.ts";

const suite = nativeSuite();
const log = { debug() {}, info() {}, warn() {}, error() {} };

type Options = Partial<Pick<SensorOptions, "mischief">> & { readonly profile?: SensorProfile };

/** What a device keeps when it has no power. */
export function newFlash(id: string): Flash {
  return memoryFlash(suite, { id: parseId(id) });
}

/** A device that nobody has let in yet: with the site's key and no code. It is off. */
export async function stranger({ site, broker }: SiteAtBroker, flash: Flash): Promise<Sensor> {
  const { code: _, ...known } = await site.enrol("unused", "device");
  return new Sensor({ suite, log, flash, broker: { url: urlOf(broker) }, site: known });
}

/** A device that its site knows, with or without what it has in its flash. It is off. */
export function known({ broker }: SiteAtBroker, flash: Flash): Sensor {
  return new Sensor({ suite, log, flash, broker: { url: urlOf(broker) } });
}

/** A device that has been let in: with its code, or in profile v1 by a person. */
export async function letIn(
  at: SiteAtBroker,
  id: string,
  { profile = "v2", flash = newFlash(id), ...options }: Options & { readonly flash?: Flash } = {},
): Promise<Sensor> {
  const { site, broker } = at;
  const known = profile === "v1"
    ? { psk: fromBase64url(await enterPsk(site, id)) }
    : { site: await site.enrol(id, "device") };
  const sensor = new Sensor({
    ...{ suite, log, flash, profile, broker: { url: urlOf(broker) }, ...known, ...options },
  });
  const starting = sensor.start();
  if (profile === "v1") await approve(site, sensor);
  await starting;
  return sensor;
}

/** Lets a device in that waits, by what it shows. */
export async function approve(site: SiteProcess, { id, fingerprint }: Sensor): Promise<void> {
  await eventually(`${id} waits`, async () => {
    const peers = await site.peers();
    return peers.some((peer) => peer.id === id && peer.fingerprint === fingerprint) || undefined;
  }, 60_000);
  const path = `/peers/device/${id}/approve`;
  await askSite(site.dataDir, path, { method: "POST", body: { fingerprint } });
}

/** Enters a psk for a device as an admin does, and gives it, in base64url. */
export async function enterPsk(site: SiteProcess, id: string): Promise<string> {
  const path = `/mqtt-auth-gateway/devices/${id}/psk`;
  const { psk } = await askSite(site.dataDir, path, { method: "PUT", body: {} }) as { psk: string };
  return psk;
}

function urlOf({ port }: SiteAtBroker["broker"]): string {
  return `mqtt://127.0.0.1:${port}`;
}
