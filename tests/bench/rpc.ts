/**
 * What devices notice of the gateway behind a broker: how long a call takes while two hundred of them
 * call, and how soon five hundred are back after a power cut. The site and the broker are processes of
 * their own; all devices are in this one, so on a small machine they take their share of it.
 */
import { utf8 } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { logOf } from "../../core/services/logging.ts";
import { connectMqtt, type MqttClient } from "../../core/services/mqtt/mod.ts";
import { askSite } from "../../edge/admin_client.ts";
import { Sensor } from "../../edge/simulate/sensor.ts";
import { memoryFlash } from "../../edge/simulate/sensor_flash.ts";
import { type BrokerKind, brokerKinds, isMissing, startSiteAt } from "../e2e/brokers.ts";
import { type Bench, type BenchOptions, type Figure, percentile } from "./figure.ts";

export const rpcBenches: Readonly<Record<string, Bench>> = Object.fromEntries(
  brokerKinds.flatMap((kind) => {
    const behind = kind === "embedded" ? "" : `.${kind === "mosquitto" ? kind : "nats"}`;
    return [
      at(kind, `rpc.call_p99_ms${behind}`, calls),
      at(kind, `rpc.storm500_s${behind}`, storm),
    ];
  }),
);

/** The bench of this name, where there is such a broker. */
function at(
  kind: BrokerKind,
  name: string,
  measure: (kind: BrokerKind, options: BenchOptions) => Promise<Omit<Figure, "name">>,
): [string, Bench] {
  return [name, async (options) => {
    if (!isMissing(kind)) return { name, ...await measure(kind, options) };
    options.note(`not measured: there is no ${kind} here`);
    return null;
  }];
}

/** All devices are on this machine, which in the street they are not. */
const tables = `mqtt.max_clients_per_address = 1000
[plugins.mqtt-auth-gateway]`;
const log = logOf("bench", "devices");
/** Devices that begin at a time. */
const atOnce = 32;

interface Fleet extends AsyncDisposable {
  readonly sensors: readonly Sensor[];
  readonly broker: string;
  /** Devices that are authorized, as the gateway has it. */
  authorized(): Promise<number>;
}

/** A site with its broker and so many devices, all of them authorized. */
async function openFleet(kind: BrokerKind, count: number): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "edgeward-bench-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const { site, broker } = stack.use(await startSiteAt(kind, folder, { name: "bench", tables }));
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const suite = nativeSuite();
  const sensors = await Promise.all(Array.from({ length: count }, async (_, i) => {
    const id = parseId(`sensor-${i + 1}`);
    const invitation = await site.enrol(id, "device");
    return stack.use(
      new Sensor({
        ...{ suite, log, profile: "v2", broker: { url }, site: invitation },
        flash: memoryFlash(suite, { id }),
      }),
    );
  }));
  for (let i = 0; i < count; i += atOnce) {
    await Promise.all(sensors.slice(i, i + atOnce).map((sensor) => sensor.start()));
  }
  const running = stack.move();
  return {
    sensors,
    broker: url,
    async authorized() {
      const status = await askSite(site.dataDir, "/mqtt-auth-gateway/status");
      return (status as { devices: { AUTHORIZED: number } }).devices.AUTHORIZED;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/**
 * The 99th percentile of a call's time. The reference is that of a bare message of the same size, at
 * the same rate, from sending to the broker's acknowledgement.
 */
async function calls(
  kind: BrokerKind,
  { quick, note }: BenchOptions,
): Promise<Omit<Figure, "name">> {
  const [devices, seconds] = quick ? [20, 2] : [200, 20];
  await using fleet = await openFleet(kind, devices);
  await using probes = await openProbes(fleet.broker, devices);
  const load = { devices, perSecond: 5 };
  await everyone({ ...load, seconds: 2 }, (i) => fleet.sensors[i]!.call("echo", { n: i }));
  const bare = await everyone({ ...load, seconds }, (i) => probes.send(i));
  const whole = await everyone(
    { ...load, seconds },
    (i) => fleet.sensors[i]!.call("echo", { n: i }),
  );
  const [value, floor] = [percentile(whole, 0.99), percentile(bare, 0.99)];
  const median = percentile(whole, 0.5).toFixed(1);
  note(
    `median ${median} ms of ${whole.length} calls, longest ${percentile(whole, 1).toFixed(1)} ms`,
  );
  return { value, unit: "ms", floor, ratio: value / floor };
}

/** Seconds from the power cut of all devices until the last of them has its first call answered. */
async function storm(
  kind: BrokerKind,
  { quick, note }: BenchOptions,
): Promise<Omit<Figure, "name">> {
  const devices = quick ? 50 : 500;
  await using fleet = await openFleet(kind, devices);
  const times: number[] = [];
  const began = performance.now();
  await Promise.all(fleet.sensors.map(async (sensor) => {
    await sensor.reboot();
    await sensor.call("time", {});
    times.push((performance.now() - began) / 1000);
  }));
  const authorized = await fleet.authorized();
  if (authorized !== devices) throw new Error(`${authorized} of ${devices} devices are authorized`);
  note(`${devices} devices, half of them within ${percentile(times, 0.5).toFixed(2)} s`);
  return { value: Math.max(...times), unit: "s" };
}

/** Clients of the broker that are no devices of the site: it drops what they say. */
async function openProbes(url: string, count: number) {
  await using stack = new AsyncDisposableStack();
  const clients: MqttClient[] = [];
  for (let i = 0; i < count; i++) {
    clients.push(stack.use(await connectMqtt({ url, clientId: `probe-${i + 1}`, log })));
  }
  const payload = utf8("?".repeat(160));
  const running = stack.move();
  return {
    send: (i: number) => clients[i]!.publish("jrpc/gateway/rx", payload),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Each device in its own time, none waiting for another: how long each piece of work took, in ms. */
async function everyone(
  { devices, perSecond, seconds }: { devices: number; perSecond: number; seconds: number },
  work: (device: number) => Promise<unknown>,
): Promise<number[]> {
  const times: number[] = [];
  const running: Promise<void>[] = [];
  const interval = 1000 / (devices * perSecond);
  const began = performance.now();
  for (let i = 0; i < devices * perSecond * seconds; i++) {
    const wait = began + i * interval - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    // from when it was due: who falls behind must not look better for it
    const due = Math.min(began + i * interval, performance.now());
    running.push(work(i % devices).then(() => void times.push(performance.now() - due)));
  }
  await Promise.all(running);
  return times;
}
