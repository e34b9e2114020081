/**
 * Five devices at the broker of the fog: four come with a code, the fifth is let in by its fingerprint.
 * Each reports, asks, and switches its relay; the site calls each of them once. All send every frame
 * twice, and nothing may happen twice for that. How it went is what the gateway and the relays say.
 */
import { toHex } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { logOf } from "../../core/services/logging.ts";
import { pause } from "../../core/services/pause.ts";
import type { Enrolment } from "../../core/wire/enrolment.ts";
import { askSite } from "../admin_client.ts";
import { Sensor } from "../simulate/sensor.ts";
import { openSensors, playSensors, totalsOf } from "../simulate/sensor_fleet.ts";
import { sensorMischief } from "../simulate/sensor_misbehaviour.ts";
import { sensorSite } from "../simulate/sensor_site.ts";
import type { DemoSystem } from "./system.ts";

export interface RpcVerdict {
  readonly devices_authorized: number;
  /** By the devices, and by the site to them. */
  readonly calls_sent: number;
  readonly calls_done: number;
  /** Calls that ran twice, at the relays or in a device. */
  readonly duplicates_run: number;
}

export interface DemoDevices extends AsyncDisposable {
  readonly callsDone: number;
  /** Lets the last calls end, and gives what is in the gateway's books; and what is amiss with it. */
  finish(): Promise<{ rpc: RpcVerdict; trouble: Error | null }>;
}

export const deviceCount = 5;
/** Milliseconds between two rounds of calls. */
const every = 1_000;
/** How long a newcomer may ask, a call to a device take, and the books be behind, in milliseconds. */
const joinTime = 60_000;
const callTime = 20_000;
const bookTime = 10_000;

const suite = nativeSuite();

/** Makes the devices known at the site, and switches them on. @throws CodedError */
export async function startDevices(
  system: DemoSystem,
  { seed }: { seed: number },
): Promise<DemoDevices> {
  const { relays } = system;
  const dataDir = system.dataDirOf(system.fog);
  const people = sensorSite(dataDir);
  const stopping = new AbortController();
  /** What people do meanwhile. */
  const doing: Promise<unknown>[] = [];
  let troubled: unknown;
  let doneByDevices = 0;
  const follow = (work: Promise<unknown>) => {
    doing.push(work.catch((error) => void (troubled ??= error)));
  };
  await askSite(dataDir, "/peers/join", { method: "POST", body: { for_ms: joinTime } });
  let known: Enrolment | undefined;

  const fleet = await openSensors(suite, {
    count: deviceCount,
    async open(flash, number) {
      const { id } = flash;
      const isStranger = known !== undefined && number === deviceCount - 1;
      const { code, ...site } = known = isStranger ? known! : await people.enrol(id);
      const sensor: Sensor = new Sensor({
        ...{ suite, log: logOf("demo", "device"), flash, broker: { url: site.url } },
        site: isStranger ? site : { ...site, code },
        mischief: sensorMischief(["duplicate"], { seed, device: number }),
        onApproval(shown) {
          const { fingerprint } = sensor;
          if (shown === null) return;
          follow(people.approve(id, { fingerprint, signal: stopping.signal }));
        },
      });
      return sensor;
    },
  });
  const { sensors } = fleet;
  const playing = playSensors(sensors, {
    ...{ suite, seed, every, calls: ["relay.on"], stopping: stopping.signal },
    onAuthorized({ id }) {
      follow(callOnce(dataDir, id).then((isDone) => void (doneByDevices += isDone ? 1 : 0)));
    },
  });
  follow(playing);

  async function verdict(): Promise<RpcVerdict> {
    const rows = await rowsOf(dataDir, sensors);
    const { calls_sent, duplicates_run } = totalsOf(sensors);
    const sent = calls_sent + sensors.length;
    const done = rows.reduce((sum, { calls, refused }) => sum + calls - refused, doneByDevices);
    return {
      devices_authorized: rows.filter(({ state }) => state === "AUTHORIZED").length,
      calls_sent: sent,
      // whoever waits too long for an answer asks again, and is in the books twice
      calls_done: Math.min(sent, done),
      duplicates_run: relays.duplicates + duplicates_run,
    };
  }

  return {
    get callsDone() {
      return totalsOf(sensors).calls_done;
    },
    async finish() {
      // a short demo ends before everybody is let in
      const late = AbortSignal.timeout(joinTime);
      while (!sensors.every(({ isAuthorized }) => isAuthorized) && !late.aborted) {
        await pause(100, late);
      }
      stopping.abort();
      while (doing.length > 0) await doing.shift();
      let rpc = await verdict();
      for (const last = AbortSignal.timeout(bookTime); !isWell(rpc) && !last.aborted;) {
        await pause(200, last);
        rpc = await verdict();
      }
      const missing = sensors.filter(({ id, acts }) => relays.ran(id) !== acts);
      return { rpc, trouble: troubleOf(rpc, { troubled, missing: missing.length }) };
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await fleet[Symbol.asyncDispose]();
    },
  };
}

/** An operator's call, whose effect happens once however often it is made; whether it was done. */
async function callOnce(dataDir: string, id: string): Promise<boolean> {
  const once = toHex(suite.randomBytes(16));
  const body = { method: "relay.set", params: { on: true }, once, within_ms: callTime };
  const path = `/mqtt-auth-gateway/devices/${id}/call`;
  return "result" in (await askSite(dataDir, path, { method: "POST", body }) as object);
}

/** What the gateway's list says of a device. */
interface Row {
  readonly id: string;
  readonly state: string;
  readonly calls: number;
  readonly refused: number;
}

async function rowsOf(dataDir: string, sensors: readonly Sensor[]): Promise<readonly Row[]> {
  const ids = new Set<string>(sensors.map(({ id }) => id));
  // new ones come first: the directory may hold those of earlier demos
  const path = "/mqtt-auth-gateway/devices?sort=-first_seen&limit=100";
  const { devices } = await askSite(dataDir, path) as { devices: readonly Row[] };
  return devices.filter(({ id }) => ids.has(id));
}

function isWell({ devices_authorized, calls_sent, calls_done, duplicates_run }: RpcVerdict) {
  return devices_authorized === deviceCount && calls_done === calls_sent && duplicates_run === 0;
}

function troubleOf(
  rpc: RpcVerdict,
  { troubled, missing }: { troubled: unknown; missing: number },
): Error | null {
  if (troubled instanceof Error) return troubled;
  if (isWell(rpc) && missing === 0) return null;
  return new CodedError("incomplete", "Not every call of a device happened once", {
    hint: "this is a fault of edgeward: please report it with the lines above",
  });
}
