/**
 * MQTT: a site's connection to its broker, and the broker itself when it is embedded.
 *
 * The embedded broker is reached over its TCP socket like any other, so there is one code path. A
 * broker elsewhere may be away when the site starts, and at any time after: subscriptions are kept
 * and renewed, publishing fails at once until it is back. MQTT 3.1.1 with clean sessions and QoS 0
 * and 1 only; nothing here relies on retained messages, shared subscriptions or MQTT 5, which brokers
 * treat differently.
 */
import { toBase64url } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { Secret } from "../../base/secret.ts";
import type { Log } from "../logging.ts";
import type { Metrics } from "../metrics.ts";
import { type Broker, type BrokerOptions, startBroker } from "./_broker.ts";
import { type BrokerUrl, localBrokerUrl, parseBrokerUrl } from "./_broker_url.ts";
import { type LinkState, type MqttClient, ReconnectingClient } from "./_client.ts";
import { MqttError } from "./_errors.ts";
import { type BrokerFacts, largestMessage, probeBroker } from "./_probe.ts";
import { ProbeReport } from "./_probe_report.ts";
import { checkTlsFiles, type TlsFiles } from "./_tls_files.ts";

export type { BrokerHistory, LinkState, MqttClient } from "./_client.ts";
export { MqttError, type MqttErrorCode } from "./_errors.ts";
export type { BrokerLimits } from "./_limits.ts";
export type { MqttMessage } from "./_link.ts";
export { hashPassword } from "./_password.ts";
export type { BrokerFacts } from "./_probe.ts";
export { type Shortcoming, shortcomingsOf } from "./_shortcomings.ts";
export type { MqttHandler } from "./_subscriptions.ts";
export type { TlsFiles } from "./_tls_files.ts";

export interface ConnectOptions {
  /** mqtt://, mqtts://, ws:// or wss://; its fragment is the prefix of the site's topics. */
  url: string;
  /** Stable: a second connection under one id ends the first. */
  clientId: string;
  username?: string;
  password?: Secret<string>;
  /** For mqtts:// and wss:// only; the embedded broker takes no notice of it. */
  tls?: TlsFiles;
  log: Log;
  metrics?: Metrics;
  /** Hears of every change of the state or its reason; `detail` says why. */
  onState?: (state: LinkState, detail: string) => void;
  /** Hears when another client begins to use our client id, as far as that can be seen. */
  onRival?: () => void;
  /**
   * Hears that the broker has kept a message of somebody's and gives it out, at most once a minute. Who
   * subscribes gets it with its mark: it is old, and nobody knows whose it is.
   */
  onRetained?: (topic: string) => void;
  /** Default: the machine's. */
  clock?: Clock;
}

export interface MqttOptions
  extends ConnectOptions, Pick<BrokerOptions, "usersFile" | "allows" | "limits" | "prefix"> {
  /** "embedded", where `prefix` says it, or the address of a broker. */
  url: string;
  /** Where the embedded broker listens; port 0 takes a free one. */
  listen: { hostname: string; port: number };
  /** Milliseconds that a broker elsewhere has to return a message when it is probed. Default 5 s. */
  probeTimeout?: number;
}

/** The service of one site. Disposing it ends the connection, then the broker. */
export interface MqttService extends AsyncDisposable {
  readonly client: MqttClient;
  /** The embedded broker, with its real port. */
  readonly broker?: Omit<Broker, typeof Symbol.asyncDispose>;
}

/** A client alone, as devices and simulators use it. */
export type MqttConnection = MqttClient & AsyncDisposable;

/**
 * Opens the MQTT service. It resolves when the first attempt to connect has ended, at most 10 s; a
 * broker elsewhere that is away is no error.
 * @throws MqttError "mqtt_url", "mqtt_tls", "mqtt_users", "port_busy", "listen_failed"
 */
export async function openMqtt(options: MqttOptions): Promise<MqttService> {
  if (options.url !== "embedded") return await openElsewhere(options);
  const { clientId, log, metrics, onState, clock, usersFile, allows, limits, prefix } = options;
  const common = { log, ...(metrics !== undefined && { metrics }) };
  const corner = prefix === undefined ? {} : { prefix };
  // The operator exists for this run only: nobody else needs it, so it is stored nowhere. No user of
  // a users file can have its name.
  const username = "$site";
  const password = new Secret(toBase64url(crypto.getRandomValues(new Uint8Array(32))));
  await using resources = new AsyncDisposableStack();
  const broker = resources.use(
    await startBroker({
      ...common,
      ...options.listen,
      ...corner,
      operator: { username, password: password.reveal() },
      ...(usersFile !== undefined && { usersFile }),
      ...(allows !== undefined && { allows }),
      ...(limits !== undefined && { limits }),
    }),
  );
  const client = resources.use(
    await connected({
      ...common,
      ...{ url: localBrokerUrl(broker, corner), clientId, username, password },
      ...(onState !== undefined && { onState }),
      ...(clock !== undefined && { clock }),
    }),
  );
  if (!client.connected) {
    throw new MqttError("listen_failed", "Cannot reach the embedded broker on its own address");
  }
  client.learn(ownFacts);
  const kept = resources.move();
  return { client, broker, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The service with a broker that is not ours. */
async function openElsewhere(options: MqttOptions): Promise<MqttService> {
  const { onState, probeTimeout } = options;
  const url = parseBrokerUrl(options.url);
  await using resources = new AsyncDisposableStack();
  let state: LinkState = "down";
  const report = resources.use(
    new ProbeReport({
      ...options,
      ...(probeTimeout !== undefined && { timeout: probeTimeout }),
      url,
      onFacts(facts, what) {
        client.learn(facts);
        if (state !== "up" || what === "") return;
        onState?.("impaired", `connected to ${url.text}; ${what}`);
      },
    }),
  );
  const client: ReconnectingClient = resources.use(
    await connected({
      ...options,
      url,
      onState(now, detail) {
        onState?.(now, detail);
        state = now;
        if (state !== "down") report.begin();
      },
    }),
  );
  const kept = resources.move();
  return { client, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/**
 * Connects to a broker and stays connected. It resolves when the first attempt has ended, at most
 * 10 s; look at `connected`. @throws MqttError "mqtt_url", "mqtt_tls"
 */
export async function connectMqtt(options: ConnectOptions): Promise<MqttConnection> {
  return await connected({ ...options, url: parseBrokerUrl(options.url) });
}

async function connected(
  options: Omit<ConnectOptions, "url"> & { url: BrokerUrl },
): Promise<ReconnectingClient> {
  checkTlsFiles(options.tls, options.url);
  const client = new ReconnectingClient(options);
  await client.settled;
  return client;
}

/** What the embedded broker does, which need not be found out. */
const ownFacts: BrokerFacts = {
  name: "edgeward",
  ...{ wildcards: true, qos: 1, largest: largestMessage, retains: false, forgets: true },
};

/**
 * Looks at a broker as a client of its own does, and is gone.
 * @param options.timeout milliseconds to wait for each message, 5 s unless said
 * @throws MqttError "mqtt_url", "mqtt_tls", "mqtt_down"
 */
export async function lookAtBroker(
  options:
    & Omit<ConnectOptions, "log" | "metrics" | "onState" | "onRival" | "onRetained" | "clock">
    & {
      timeout?: number;
      signal?: AbortSignal;
    },
): Promise<BrokerFacts> {
  const { signal = new AbortController().signal } = options;
  return await probeBroker({ ...options, url: parseBrokerUrl(options.url), signal });
}
