/**
 * A site, its broker and its devices, each a process, and cables between them; with all that can happen
 * to them while a device goes from stranger to revoked. What has happened outside of them is counted
 * here: effects of devices' calls at an address of the operator's, calls of the operator by their ids.
 */
import fc from "fast-check";
import { join } from "node:path";
import assert from "node:assert/strict";
import { CodedError } from "../../core/base/errors.ts";
import { enrolmentToJson } from "../../core/wire/enrolment.ts";
import { askSite } from "../../edge/admin_client.ts";
import type { SensorProfile } from "../../edge/simulate/sensor.ts";
import { type Broker, type BrokerKind, startSiteAt } from "./brokers.ts";
import { Cable } from "./_rpc_cable.ts";
import type { DeviceOrder } from "./_rpc_device.ts";
import { DeviceProcess } from "./_rpc_device_process.ts";
import { Relays } from "./_rpc_relays.ts";
import { enterPsk } from "./_rpc_sensor.ts";
import type { SiteProcess } from "./site_process.ts";

const faults = ["broker", "gateway", "device", "network"] as const;
export type Fault = typeof faults[number];

/** What one device is to the gateway, as its operator sees it. */
export interface ShownDevice {
  readonly state: string;
  readonly profile: "v1" | "v2" | null;
  readonly fingerprint: string;
  readonly rivals: readonly unknown[];
}

const site = "gw-1";
/** Milliseconds without a network: long enough that everybody notices. */
const outage = 600;
/** Nothing takes this long but a fault of ours. */
const patience = 120_000;

export class Cell implements AsyncDisposable {
  readonly profile: SensorProfile;
  /** The devices: those of v2 come with a code, and without. */
  readonly ids: readonly string[];
  readonly site: SiteProcess;
  readonly broker: Broker;
  readonly devices: DeviceProcess;
  readonly relays: Relays;
  /** What has happened until now, for whoever reads of a failure. */
  readonly trail: string[] = [];
  readonly #cables: { readonly site: Cable | undefined; readonly devices: Cable };
  readonly #resources: AsyncDisposableStack;

  private constructor(
    parts: Pick<Cell, "profile" | "ids" | "site" | "broker" | "devices" | "relays"> & {
      cables: { readonly site: Cable | undefined; readonly devices: Cable };
      resources: AsyncDisposableStack;
    },
  ) {
    this.profile = parts.profile;
    this.ids = parts.ids;
    this.site = parts.site;
    this.broker = parts.broker;
    this.devices = parts.devices;
    this.relays = parts.relays;
    this.#cables = parts.cables;
    this.#resources = parts.resources;
  }

  static async open(
    { kind, profile, folder }: { kind: BrokerKind; profile: SensorProfile; folder: string },
  ): Promise<Cell> {
    await using stack = new AsyncDisposableStack();
    const relays = stack.use(new Relays());
    let toBroker: Cable | undefined;
    const at = stack.use(
      await startSiteAt(kind, folder, {
        name: site,
        tables: tablesOf(relays.url),
        through(port) {
          toBroker = stack.use(new Cable(port));
          return toBroker.port;
        },
      }),
    );
    const cable = stack.use(new Cable(at.broker.port));
    const orders = await ordersOf(at.site, profile);
    const devices = stack.use(
      new DeviceProcess({
        ...{ dir: join(folder, "devices"), broker: `mqtt://127.0.0.1:${cable.port}` },
        ...{ method: "relay.on", every: 100, devices: orders },
      }),
    );
    return new Cell({
      ...{ profile, ids: orders.map(({ id }) => id), ...at, devices, relays },
      cables: { site: toBroker, devices: cable },
      resources: stack.move(),
    });
  }

  /** Kills it, whatever it is, and brings it back. */
  async strike(fault: Fault): Promise<void> {
    this.trail.push(`${fault} lost`);
    if (fault === "broker") {
      await this.broker.kill();
      await this.broker.start();
    } else if (fault === "gateway") {
      await this.site.kill();
      await this.site.start();
    } else if (fault === "device") {
      await this.devices.kill();
      this.devices.start();
    } else {
      const { site, devices } = this.#cables;
      for (const cable of [site, devices]) cable?.cut();
      await wait(outage);
      site?.mend();
      await wait(outage / 4);
      devices.mend();
    }
    this.trail.push(`${fault} back`);
  }

  /** What is struck here: the embedded broker is the gateway itself. */
  get faults(): readonly Fault[] {
    return faults.filter((fault) => fault !== "broker" || this.broker.kind !== "embedded");
  }

  /** Asks the site as its operator on this machine; gives the error while it is away, or says no. */
  async ask<T>(path: string, body?: unknown): Promise<T | CodedError> {
    const options = body === undefined ? {} : { method: "POST", body };
    try {
      return await askSite(this.site.dataDir, path, options) as T;
    } catch (error) {
      if (error instanceof CodedError) return error;
      throw error;
    }
  }

  /** Waits until a device is seen like this. */
  async isSeen(id: string, is: (device: ShownDevice) => boolean): Promise<ShownDevice> {
    let last: ShownDevice | CodedError | undefined;
    return await this.until(async () => {
      last = await this.ask<ShownDevice>(`/mqtt-auth-gateway/devices/${id}`);
      return !(last instanceof CodedError) && is(last) ? last : undefined;
    }, () => `${id} is ${last instanceof CodedError ? last.code : JSON.stringify(last)}`);
  }

  /** Waits until a device has heard the answers to so many more calls. */
  async isAnswered(id: string, more: number): Promise<void> {
    const answered = this.devices.answered(id);
    const before = answered.size;
    await this.until(
      () => answered.size >= before + more || undefined,
      () => `${answered.size - before} calls of ${id} were answered`,
    );
  }

  /** Repeats a question until it is answered with something; five times a second, as many ask. */
  async until<T>(ask: () => Promise<T | undefined> | T | undefined, why: () => string): Promise<T> {
    for (const deadline = Date.now() + patience; Date.now() < deadline;) {
      const answer = await ask();
      if (answer !== undefined) return answer;
      await wait(200);
    }
    return this.fail(why());
  }

  fail(what: string): never {
    const written = this.devices.written.slice(-20).join("\n");
    return assert.fail(`${what}; ${this.trail.join(", ")}; the devices:\n${written}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

/** Each step's faults in an order and with pauses before them that follow from the seed. */
export function plansOf(
  faults: readonly Fault[],
  { seed, steps }: { readonly seed: number; readonly steps: number },
): readonly (readonly { readonly fault: Fault; readonly after: number }[])[] {
  const orders = fc.shuffledSubarray([...faults], { minLength: faults.length });
  const pauses = fc.array(fc.integer({ min: 0, max: 400 }), {
    ...{ minLength: faults.length, maxLength: faults.length },
  });
  const plan = fc.tuple(orders, pauses).map(([order, pauses]) =>
    order.map((fault, i) => ({ fault, after: pauses[i]! }))
  );
  return fc.sample(plan, { seed, numRuns: steps });
}

export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function tablesOf(hook: string): string {
  return `peers.join = "open"
[plugins.mqtt-auth-gateway]
profiles = ["v2", "v1"]
silence = "5s"
allow = ["time", "relay.*"]
routes = [{ method = "relay.*", url = "${hook}", timeout = "5s" }]
v1_hooks = ["relay.on"]`;
}

/** What devices are told at the factory, or by an admin. */
async function ordersOf(site: SiteProcess, profile: SensorProfile): Promise<DeviceOrder[]> {
  if (profile === "v1") {
    return [{ id: "by-psk", profile, psk: await enterPsk(site, "by-psk") }];
  }
  const enrolment = enrolmentToJson(await site.enrol("by-code", "device"));
  const { code: _, ...known } = enrolment;
  return [
    { id: "by-code", profile, site: enrolment },
    { id: "by-person", profile, site: known },
  ];
}
