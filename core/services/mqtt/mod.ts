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
import { Secret } from "../../base/secret.ts";
import type { Log } from "../logging.ts";
import { startBroker } from "./_broker.ts";
import { localBrokerUrl, parseBrokerUrl } from "./_broker_url.ts";
import { type ClientOptions, type MqttClient, ReconnectingClient } from "./_client.ts";
import { MqttError } from "./_errors.ts";

export type { MqttClient } from "./_client.ts";
export { MqttError, type MqttErrorCode } from "./_errors.ts";
export type { MqttMessage } from "./_link.ts";
export type { MqttHandler } from "./_subscriptions.ts";

export interface ConnectOptions {
  /** mqtt://, mqtts://, ws:// or wss:// */
  url: string;
  /** Stable: a second connection under one id ends the first. */
  clientId: string;
  username?: string;
  password?: Secret<string>;
  log: Log;
  /** Hears of every change; `detail` says why. */
  onState?: (state: "up" | "down", detail: string) => void;
}

export interface MqttOptions extends ConnectOptions {
  /** "embedded", or the address of a broker. */
  url: string;
  /** Where the embedded broker listens; port 0 takes a free one. */
  listen: { hostname: string; port: number };
}

/** The service of one site. Disposing it ends the connection, then the broker. */
export interface MqttService extends AsyncDisposable {
  readonly client: MqttClient;
  /** The embedded broker, with its real port. */
  readonly broker?: { readonly hostname: string; readonly port: number };
}

/** A client alone, as devices and simulators use it. */
export type MqttConnection = MqttClient & AsyncDisposable;

/**
 * Opens the MQTT service. It resolves when the first attempt to connect has ended, at most 10 s; a
 * broker elsewhere that is away is no error.
 * @throws MqttError "mqtt_url", "port_busy", "listen_failed"
 */
export async function openMqtt(options: MqttOptions): Promise<MqttService> {
  if (options.url !== "embedded") {
    const client = await connectMqtt(options);
    return { client, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
  }
  // The operator exists for this run only: nobody else needs it, so it is stored nowhere.
  const password = new Secret(toBase64url(crypto.getRandomValues(new Uint8Array(32))));
  const username = "operator";
  await using resources = new AsyncDisposableStack();
  const broker = resources.use(
    await startBroker({
      ...options.listen,
      operator: { username, password: password.reveal() },
      log: options.log,
    }),
  );
  const client = resources.use(
    await connected({ ...options, url: localBrokerUrl(broker), username, password }),
  );
  if (!client.connected) {
    throw new MqttError("listen_failed", "Cannot reach the embedded broker on its own address");
  }
  const kept = resources.move();
  const { hostname, port } = broker;
  return { client, broker: { hostname, port }, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/**
 * Connects to a broker and stays connected. It resolves when the first attempt has ended, at most
 * 10 s; look at `connected`. @throws MqttError "mqtt_url"
 */
export function connectMqtt(options: ConnectOptions): Promise<MqttConnection> {
  return connected({ ...options, url: parseBrokerUrl(options.url) });
}

async function connected(options: ClientOptions): Promise<ReconnectingClient> {
  const client = new ReconnectingClient(options);
  await client.settled;
  return client;
}
