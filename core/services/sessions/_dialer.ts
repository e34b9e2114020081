/** From an address to a channel: the URL's scheme chooses the binding. */
import { connectMqtt, type ConnectOptions } from "../mqtt/mod.ts";
import {
  type Caller,
  type Channel,
  ChannelError,
  type Remote,
  SessionChannel,
} from "./_channel.ts";
import { httpTransport } from "./_http_binding.ts";
import { type DeviceConnection, mqttTransport } from "./_mqtt_binding.ts";

/**
 * Opens a channel to a site; nothing is sent before the first call.
 * @param options.connect connects to the broker where that takes more than its address: a user's name
 * and password, for instance
 * @throws ChannelError "unreachable" when the address is of no known kind
 */
export function dial(
  remote: Remote,
  caller: Caller,
  { connect = connectMqtt }: { connect?: (to: ConnectOptions) => Promise<DeviceConnection> } = {},
): Channel {
  const { protocol } = URL.canParse(remote.url) ? new URL(remote.url) : { protocol: "" };
  if (protocol === "http:" || protocol === "https:") {
    return new SessionChannel(remote, caller, httpTransport(remote, caller.purpose));
  }
  if (["mqtt:", "mqtts:", "ws:", "wss:"].includes(protocol)) {
    const transport = mqttTransport(remote, caller.purpose, {
      device: caller.device,
      connect: () => connect({ url: remote.url, clientId: caller.device, log: caller.log }),
    });
    return new SessionChannel(remote, caller, transport);
  }
  throw new ChannelError("unreachable", `Cannot dial the site "${remote.site}": unknown address`, {
    hint: "an address begins with https://, http://, mqtts:// or mqtt://",
  });
}
