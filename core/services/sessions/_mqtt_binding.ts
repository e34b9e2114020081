/**
 * Sessions over MQTT: `edgeward/{purpose}/{connect|up|down}/{id}` (protocols.md §1). Whatever is
 * refused is answered with silence: anyone may publish, and an answer would tell who exists.
 */
import { isId } from "../../base/id.ts";
import { CodedError } from "../../base/errors.ts";
import type { Purpose } from "../../trust/session/hello.ts";
import { sessionTopics } from "../../wire/peer.ts";
import type { Log } from "../logging.ts";
import { type MqttClient, type MqttConnection, type MqttMessage } from "../mqtt/mod.ts";
import { ChannelError, type Remote, type Transport } from "./_channel.ts";
import type { Responder } from "./_responder.ts";

/** Answers sessions that come over the site's broker. Returns what undoes it. */
export async function serveMqtt(
  mqtt: MqttClient,
  responder: Responder,
  { log }: { log: Log },
): Promise<() => Promise<void>> {
  const { connect, up } = sessionTopics(responder.purpose, "+");
  const take = async ({ topic, payload, retained }: MqttMessage) => {
    const device = topic.slice(topic.lastIndexOf("/") + 1);
    // a retained message is an old one by definition, and who left it there is unknown
    if (retained || !isId(device)) return;
    try {
      const reply = await responder.receive(payload, device);
      if (reply === null) return;
      await mqtt.publish(sessionTopics(responder.purpose, device).down, reply);
    } catch (error) {
      // refusals are counted and logged where they are decided
      if (!(error instanceof CodedError)) log.error("a session message failed", { device, error });
    }
  };
  responder.onPush((device, frame) => {
    const sent = mqtt.publish(sessionTopics(responder.purpose, device).down, frame);
    sent.catch((error) => log.debug("message 2 not sent: the device will ask again", { error }));
  });
  const handler = (message: MqttMessage) => void take(message);
  const undo = [await mqtt.subscribe(connect, handler), await mqtt.subscribe(up, handler)];
  return async () => {
    for (const unsubscribe of undo) await unsubscribe();
  };
}

/** Carries one device's frames over a broker; the connection is the transport's own. */
export function mqttTransport(
  remote: Remote,
  purpose: Purpose,
  options: { device: string; connect: () => Promise<MqttConnection> },
): Transport {
  const topics = sessionTopics(purpose, options.device);
  let receiver: ((bytes: Uint8Array) => void) | undefined;
  let connection: Promise<MqttConnection> | undefined;

  async function connected(): Promise<MqttConnection> {
    const client = await options.connect();
    try {
      await client.subscribe(topics.down, ({ payload, retained }) => {
        if (!retained) receiver?.(payload);
      });
      return client;
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw error;
    }
  }

  return {
    async send(frame, receive) {
      receiver = receive;
      try {
        connection ??= connected().catch((error) => {
          connection = undefined; // the next send tries anew
          throw error;
        });
        const client = await connection;
        await client.publish(frame[1] === 4 ? topics.up : topics.connect, frame);
      } catch (error) {
        throw new ChannelError(
          "unreachable",
          `Cannot reach the site "${remote.site}" through its broker`,
          { hint: "is the broker running, and is the address right?", cause: error },
        );
      }
    },
    async [Symbol.asyncDispose]() {
      const client = await connection?.catch(() => undefined);
      await client?.[Symbol.asyncDispose]();
    },
  };
}
