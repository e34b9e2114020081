/** A broker elsewhere: whether it lets the site in with the credentials of the configuration. */
import { CodedError } from "../../base/errors.ts";
import { logOf } from "../../services/logging.ts";
import { connectMqtt } from "../../services/mqtt/mod.ts";
import { brokerAccess } from "../broker_access.ts";
import type { Finding } from "../plugin.ts";
import { isNeeded, type Patient } from "./_probe.ts";

export async function* broker({ config }: Patient): AsyncIterable<Finding> {
  const { url, password_file } = config.mqtt;
  if (url === "embedded" || !isNeeded(config, "mqtt")) return;
  let why = "";
  await using client = await connectMqtt({
    ...brokerAccess(config.mqtt),
    // never the site's own: a second connection under it would end the first
    clientId: `edgeward-doctor-${crypto.randomUUID().slice(0, 8)}`,
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
}

function isLocal(url: string): boolean {
  return /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname);
}
