/**
 * Somebody at the broker whom nobody knows: he publishes under a client id of his own what he likes, and
 * asks the broker to keep it. What the broker takes of that is the broker's affair.
 */
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { connect, type IClientOptions } from "mqtt";
import { toHex } from "../../core/base/bytes.ts";
import { withPrefix } from "../../core/wire/topic_prefix.ts";
import type { BrokerAccess } from "./sensor_connection.ts";
import type { SentFrame } from "./sensor_frames.ts";

/** Milliseconds for all of it. */
const patience = 5_000;

/** Publishes one message after the other, and gives how many of them the broker has taken. */
export async function publishAsStranger(
  { url, username, password, tls }: BrokerAccess,
  messages: readonly (SentFrame & { readonly retain?: boolean })[],
): Promise<number> {
  const options: IClientOptions = {
    clientId: `stranger-${toHex(crypto.getRandomValues(new Uint8Array(6)))}`,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password: password.reveal() }),
    ...(tls?.caFile !== undefined && { ca: readFileSync(tls.caFile, "utf8") }),
    ...{ protocolVersion: 4, clean: true, reconnectPeriod: 0, connectTimeout: patience },
  };
  const { hash, href } = new URL(url);
  const prefix = hash.slice(1); // of the site's topics
  const client = connect(href.slice(0, href.length - hash.length), options);
  client.on("error", () => {}); // its end says enough
  let taken = 0;
  try {
    const ended = new Promise<false>((resolve) => client.once("close", () => resolve(false)));
    const connected = new Promise<true>((resolve) => client.once("connect", () => resolve(true)));
    const late = AbortSignal.timeout(patience);
    late.addEventListener("abort", () => client.end(true));
    if (!await Promise.race([connected, ended])) return taken;
    for (const { topic, payload, retain = false } of messages) {
      const acknowledged = new Promise<boolean>((resolve) => {
        const packet = Buffer.from(payload);
        client.publish(
          withPrefix(prefix, topic),
          packet,
          { qos: 1, retain },
          (error) => resolve(!error),
        );
      });
      if (!await Promise.race([acknowledged, ended])) break;
      taken++;
    }
    return taken;
  } finally {
    client.end(true);
  }
}
