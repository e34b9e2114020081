/**
 * A real site with this role for the tests of this folder: its database, its sessions, its embedded
 * broker and its HTTP, in this process and in a time that the test turns; and devices that knock.
 */
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { fromBase64url, toHex } from "../../core/base/bytes.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import { parseConfig } from "../../core/host/config/mod.ts";
import type { AnyPlugin, Host, Services } from "../../core/host/plugin.ts";
import { type Site, socketPath, startSite } from "../../core/host/site.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import type { Database } from "../../core/services/db/mod.ts";
import {
  connectMqtt,
  type MqttConnection,
  type MqttHandler,
  type MqttMessage,
} from "../../core/services/mqtt/mod.ts";
import type { RolePeers } from "../../core/services/peers/mod.ts";
import { type Channel, dial } from "../../core/services/sessions/mod.ts";
import type { KeyPair } from "../../core/trust/crypto.ts";
import type { Event } from "../../core/wire/event.ts";
import { decodeRpc, encodeRpc, type Json, type RpcRequest } from "../../core/wire/json_rpc.ts";
import plugin from "./mod.ts";

export const suite = nativeSuite();
export const log = { debug() {}, info() {}, warn() {}, error() {} };
export const siteId = "kiosk-7";

export interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- the test says what it expects
  readonly body: any;
}

export interface TestGateway extends AsyncDisposable {
  readonly site: Site;
  readonly folder: string;
  readonly url: string;
  readonly broker: string;
  /** What the role itself has of the site. */
  readonly db: Database;
  readonly peers: RolePeers;
  readonly events: Event[];
  /** What was written to the log as a warning or worse. */
  readonly warnings: string[];
  readonly now: () => number;
  advance(milliseconds: number): void;
  /** Asks the role, as an admin unless said. */
  ask(path: string, init?: RequestInit & { token?: string }): Promise<Answer>;
  /** A token of this role. */
  token(role: string): Promise<string>;
  /** A device with a code that has not come yet. */
  device(id: string, options?: DeviceOptions): Promise<Device>;
  /** A device without a code. */
  stranger(id: string, options?: DeviceOptions): Promise<Device>;
  /** New hardware for a name that is taken, with a code of its own. */
  replacement(id: string): Promise<Device>;
  /** A connection to the broker that is nobody's in particular. */
  connection(id: string): Promise<MqttConnection>;
  /** Hands the role a message as its broker would. */
  inject(message: MqttMessage): void;
  /** A counter of the site, all its labels summed up that match. */
  counted(name: string, label?: string): Promise<number>;
  /** Stops the site and starts it again on what it has stored. */
  restart(): Promise<void>;
  /** The same, with something done to the database in between. */
  stopped(act: (execute: (statement: string) => Promise<unknown>) => Promise<void>): Promise<void>;
}

interface DeviceOptions {
  readonly onCall?: (request: RpcRequest) => Promise<Json> | Json;
  readonly staticKey?: KeyPair;
}

/** @param table the role's own keys, in TOML */
export async function openGateway(table = "", { peers = "" } = {}): Promise<TestGateway> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  let ahead = 0;
  const now = () => Date.now() + ahead;
  const closing: (() => PromiseLike<unknown>)[] = [];
  const [events, warnings]: [Event[], string[]] = [[], []];
  const handlers = new Map<string, MqttHandler>();
  let inside!: Host & Services;

  const wrapped: AnyPlugin = {
    ...plugin,
    start(host: Host & Services, config: Parameters<typeof plugin.start>[1]) {
      const tell = (text: string) => void warnings.push(text);
      const mqtt: typeof host.mqtt = {
        get connected() {
          return host.mqtt.connected;
        },
        get broker() {
          return host.mqtt.broker;
        },
        publish: (...message) => host.mqtt.publish(...message),
        subscribe(filter, handler) {
          handlers.set(filter, handler);
          return host.mqtt.subscribe(filter, handler);
        },
      };
      inside = { ...host, mqtt, log: { ...log, warn: tell, error: tell } };
      host.defer(host.bus.listen((event) => events.push(event)));
      return plugin.start(inside, config);
    },
  };
  const registry = { [plugin.name]: () => Promise.resolve({ default: wrapped }) };
  const text = `
    site = "${siteId}"
    data_dir = "data"
    http.listen = "127.0.0.1:0"
    admin.listen = "127.0.0.1:0"
    mqtt.listen = "127.0.0.1:0"
    ${peers}
    [plugins.mqtt-auth-gateway]
    ${table}`;
  const config = await parseConfig(text, { file: "site.toml", dir: folder, registry });
  const start = () => startSite(config, { version: "0", clock: now });

  let site = await start();
  const tokens = new Map<string, string>();

  async function admin(path: string, init: RequestInit = {}): Promise<Answer> {
    const socket = { transport: "unix", path: socketPath(join(folder, "data")) } as const;
    using client = Deno.createHttpClient({ proxy: socket });
    const response = await fetch(`http://edgeward${path}`, { ...init, client });
    return { status: response.status, body: await response.json() };
  }

  const gateway: TestGateway = {
    folder,
    events,
    warnings,
    now,
    advance: (milliseconds) => void (ahead += milliseconds),
    get site() {
      return site;
    },
    get url() {
      return `http://127.0.0.1:${site.http!.port}/mqtt-auth-gateway`;
    },
    get broker() {
      return broker;
    },
    get db() {
      return inside.db;
    },
    get peers() {
      return inside.peers;
    },
    async ask(path, { token, ...init } = {}) {
      using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
      const headers = { authorization: `Bearer ${token ?? await gateway.token("admin")}` };
      const response = await fetch(`${gateway.url}${path}`, { headers, ...init, client });
      return { status: response.status, body: await response.json() };
    },
    async token(role) {
      if (!tokens.has(role)) {
        const { body } = await admin("/tokens", { method: "POST", body: JSON.stringify({ role }) });
        tokens.set(role, body.token);
      }
      return tokens.get(role)!;
    },
    async device(id, options) {
      const { code, noiseKey } = await site.enrol("device", id, { ttl: 86_400_000 });
      return deviceOf(parseId(id), { ...options, code, noiseKey });
    },
    stranger(id, options) {
      const noiseKey = inside.identity.noise.publicKey;
      return Promise.resolve(deviceOf(parseId(id), { ...options, noiseKey }));
    },
    async replacement(id) {
      const { body } = await admin(`/peers/device/${id}/replace`, { method: "POST", body: "{}" });
      const [code, noiseKey] = [fromBase64url(body.code), fromBase64url(body.noise_key)];
      return deviceOf(parseId(id), { code, noiseKey });
    },
    async connection(clientId) {
      const connection = await connectMqtt({ url: broker, clientId, log });
      closing.push(() => connection[Symbol.asyncDispose]());
      return connection;
    },
    inject: (message) => handlers.get(message.topic)!(message),
    async counted(name, label = "") {
      using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
      const url = `http://127.0.0.1:${site.admin.port}/metrics`;
      const metrics = await (await fetch(url, { client })).text();
      const lines = metrics.split("\n").filter((line) =>
        line.startsWith(`${name}{`) && line.includes(label)
      );
      return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    },
    restart: () => gateway.stopped(async () => {}),
    async stopped(act) {
      await site[Symbol.asyncDispose]();
      const client = createClient({ url: `file:${join(folder, "data", "edgeward.db")}` });
      await act((statement) => client.execute(statement));
      client.close();
      site = await start();
      broker = await brokerOf();
    },
    async [Symbol.asyncDispose]() {
      for (const close of closing.reverse()) await close();
      await site[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
  const brokerOf = async () => `mqtt://127.0.0.1:${(await admin("/site")).body.broker?.port}`;
  let broker = await brokerOf();

  /** A device's hardware; it is the same after the site has started anew. */
  function deviceOf(
    id: Id,
    options: DeviceOptions & { code?: Uint8Array; noiseKey: Uint8Array },
  ): Device {
    const { code, noiseKey, onCall } = options;
    const device: Device = new Device(id, (): Channel => {
      const remote = { site: parseId(siteId), url: broker, noiseKey };
      return dial({ ...remote, ...(code !== undefined && { code }) }, {
        ...{ suite, device: id, purpose: "rpc", log },
        staticKey: options.staticKey ?? device.staticKey,
        signKey: device.signKey,
        ...(onCall !== undefined && {
          async onCall(body: Uint8Array) {
            const request = decodeRpc(body) as RpcRequest;
            const result = await onCall(request);
            return encodeRpc({ kind: "result", id: request.id, result });
          },
        }),
      });
    });
    closing.push(() => device.hangUp());
    return device;
  }
  return gateway;
}

/** A device of profile v2. */
export class Device {
  readonly id: Id;
  readonly staticKey: KeyPair = suite.x25519.keyPair();
  readonly signKey: Uint8Array = suite.ed25519.signer().publicKey;
  readonly #dial: () => Channel;
  #channel: Channel | undefined;
  #calls = 0;

  constructor(id: Id, dial: () => Channel) {
    this.id = id;
    this.#dial = dial;
  }

  /** Calls, and gives the result. @throws Refusal with the code of a refusal */
  async call(
    method: string,
    params?: RpcRequest["params"],
    { once, within = 10_000 }: { once?: string; within?: number } = {},
  ): Promise<Json> {
    const request: RpcRequest = {
      ...{ kind: "request", id: `r-${++this.#calls}`, method },
      ...(params !== undefined && { params }),
      ...(once !== undefined && { once }),
    };
    this.#channel ??= this.#dial();
    const response = decodeRpc(await this.#channel.call(encodeRpc(request), { within }));
    // as JSON has it: what is read strictly has no prototypes
    if (response.kind === "result") return JSON.parse(JSON.stringify(response.result));
    throw new Error(`The call was answered with ${JSON.stringify(response)}`);
  }

  /** As a reboot does: sessions are gone, the key stays. */
  async hangUp(): Promise<void> {
    await this.#channel?.[Symbol.asyncDispose]();
    this.#channel = undefined;
  }
}

/** An id of a call that is to happen once. */
export function onceId(): string {
  return toHex(suite.randomBytes(16));
}

/** Repeats a question until it is answered with yes. */
export async function until(what: string, ask: () => unknown): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    if (await ask()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`It never came to pass: ${what}`);
}
