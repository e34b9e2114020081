/**
 * A broker elsewhere: whether it lets the site in with the credentials of the configuration, and does
 * what a site needs.
 */
import { CodedError } from "../../base/errors.ts";
import { logOf } from "../../services/logging.ts";
import { connectMqtt, lookAtBroker, shortcomingsOf } from "../../services/mqtt/mod.ts";
import { brokerAccess } from "../broker_access.ts";
import type { Finding } from "../plugin.ts";
import { isNeeded, type Patient } from "./_probe.ts";

export async function* broker({ config }: Patient): AsyncIterable<Finding> {
  const { url, password_file } = config.mqtt;
  if (url === "embedded" || !isNeeded(config, "mqtt")) return;
  let why = "";
  // never the site's own: a second connection under it would end the first
  const clientId = `edgeward-doctor-${crypto.randomUUID().slice(0, 8)}`;
  await using client = await connectMqtt({
    ...brokerAccess(config.mqtt),
    clientId,
    log: logOf(config.site, "doctor"),
    onState: (_, detail) => why = detail,
  });
  if (!client.connected) {
    throw new CodedError("unreachable", why, {
      hint: "look at url, username and password_file under [mqtt], and at the log of the broker",
    });
  }
  const isOpen = password_file !== undefined && /^(mqtt|ws):/.test(url) && !isLocal(url);
  yield isOpen
    ? {
      state: "degraded",
      what: `${why}, and the password crosses the network in the clear`,
      hint: "use mqtts:// or wss:// where the broker speaks TLS",
    }
    : { state: "ok", what: why };
  const facts = await lookAtBroker({ ...brokerAccess(config.mqtt), clientId, timeout: patience });
  for (const { what, hint } of shortcomingsOf(facts)) yield { state: "degraded", what, hint };
  if (facts.name !== null) yield { state: "ok", what: `it calls itself "${facts.name}"` };
}

/** Milliseconds for each message that the broker may have lost. */
const patience = 1_500;

function isLocal(url: string): boolean {
  return /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname);
}
