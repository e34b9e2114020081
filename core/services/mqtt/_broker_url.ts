/**
 * The address of a broker, parsed once from the configuration. Credentials inside it are refused:
 * addresses are shown and logged, credentials never. Its fragment is the prefix of the site's topics.
 */
import { isTopicPrefix } from "../../wire/topic_prefix.ts";
import { MqttError } from "./_errors.ts";

/** Where a broker is, in parts; `text` is the form for people. */
export interface BrokerUrl {
  readonly protocol: "mqtt" | "mqtts" | "ws" | "wss";
  readonly host: string;
  readonly port: number;
  /** Path and query, of WebSocket addresses only. */
  readonly path?: string;
  /** Before every topic; "" for none. */
  readonly prefix: string;
  readonly text: string;
}

const ports = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 } as const;

/** @throws MqttError "mqtt_url" */
export function parseBrokerUrl(given: string): BrokerUrl {
  if (!URL.canParse(given)) throw refusal("it is not a URL");
  const url = new URL(given);
  const protocol = url.protocol.slice(0, -1);
  if (!isProtocol(protocol)) throw refusal(`${url.protocol}// is not a way to reach a broker`);
  if (url.username !== "" || url.password !== "") {
    throw refusal("it carries a user name or password", "use username and password_file instead");
  }
  if (url.hostname === "") throw refusal("it names no host");
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? ports[protocol] : Number(url.port);
  if (port === 0) throw refusal("its port is 0");
  const path = url.pathname + url.search;
  const web = protocol === "ws" || protocol === "wss";
  if (!web && path !== "" && path !== "/") throw refusal(`${protocol}:// takes no path`);
  const prefix = url.hash.slice(1);
  if (!isTopicPrefix(prefix)) {
    throw refusal("its fragment is no prefix of topics", "write it as #site or #plant/site");
  }
  const shown = `${protocol}://${url.hostname}:${port}${web ? url.pathname : ""}`;
  const text = withFragment(shown, prefix);
  return web
    ? { protocol, host, port, prefix, path, text }
    : { protocol, host, port, prefix, text };
}

/** The address of a broker that listens on this machine. */
export function localBrokerUrl(
  listen: { hostname: string; port: number },
  { prefix = "" }: { prefix?: string } = {},
): BrokerUrl {
  // Wildcard addresses are for listening; a connection needs one that exists.
  const host = listen.hostname === "0.0.0.0"
    ? "127.0.0.1"
    : listen.hostname === "::"
    ? "::1"
    : listen.hostname;
  const shown = host.includes(":") ? `[${host}]` : host;
  const { port } = listen;
  const text = withFragment(`mqtt://${shown}:${port}`, prefix);
  return { protocol: "mqtt", host, port, prefix, text };
}

function withFragment(shown: string, prefix: string): string {
  return prefix === "" ? shown : `${shown}#${prefix}`;
}

function isProtocol(text: string): text is BrokerUrl["protocol"] {
  return text in ports;
}

function refusal(
  why: string,
  hint = 'use "embedded", mqtt://, mqtts://, ws:// or wss://',
): MqttError {
  return new MqttError("mqtt_url", `Cannot use the MQTT URL: ${why}`, { hint });
}
