/**
 * The address of a broker, parsed once from the configuration. Credentials inside it are refused:
 * addresses are shown and logged, credentials never.
 */
import { MqttError } from "./_errors.ts";

/** Where a broker is, in parts; `text` is the form for people. */
export interface BrokerUrl {
  readonly protocol: "mqtt" | "mqtts" | "ws" | "wss";
  readonly host: string;
  readonly port: number;
  /** Path and query, of WebSocket addresses only. */
  readonly path?: string;
  readonly text: string;
}

const ports = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 } as const;

/** @throws MqttError "mqtt_url" */
export function parseBrokerUrl(text: string): BrokerUrl {
  if (!URL.canParse(text)) throw refusal("it is not a URL");
  const url = new URL(text);
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
  if (url.hash !== "") throw refusal("it has a fragment");
  const shown = `${protocol}://${url.hostname}:${port}`;
  return web
    ? { protocol, host, port, path, text: shown + url.pathname }
    : { protocol, host, port, text: shown };
}

/** The address of a broker that listens on this machine. */
export function localBrokerUrl(listen: { hostname: string; port: number }): BrokerUrl {
  // Wildcard addresses are for listening; a connection needs one that exists.
  const host = listen.hostname === "0.0.0.0"
    ? "127.0.0.1"
    : listen.hostname === "::"
    ? "::1"
    : listen.hostname;
  const shown = host.includes(":") ? `[${host}]` : host;
  return { protocol: "mqtt", host, port: listen.port, text: `mqtt://${shown}:${listen.port}` };
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
