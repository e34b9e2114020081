/**
 * Sessions over MQTT: `edgeward/{purpose}/{connect|up|down}/{id}`, and for `rpc` the topics that it has
 * always had (protocols.md §1, §4). Whatever is refused is answered with silence: anyone may publish,
 * and an answer would tell who exists.
 */
import { CodedError } from "../../base/errors.ts";
import type { Id } from "../../base/id.ts";
import { headerLength } from "../../trust/session/frame.ts";
import type { Purpose } from "../../trust/session/hello.ts";
import { deviceOf, sessionTopics } from "../../wire/peer.ts";
import type { Log } from "../logging.ts";
import type { MqttClient, MqttConnection, MqttMessage } from "../mqtt/mod.ts";
import { ChannelError, type Remote, type Transport } from "./_channel.ts";
import type { Responder } from "./_responder.ts";

export interface MqttBinding {
  readonly log: Log;
  /** Takes what begins with `{` on the topics of `rpc`. */
  readonly legacy?: ((topic: string, payload: Uint8Array) => void) | undefined;
}

/** The largest frame of an `rpc` session: a Noise message behind its header. */
const largestFrame = headerLength + 65_535;
/** `{`: the first byte of profile v1. */
const brace = 0x7b;

/** Answers sessions that come over the site's broker. Returns what undoes it. */
export async function serveMqtt(
  mqtt: MqttClient,
  responder: Responder,
  { log, legacy }: MqttBinding,
): Promise<() => Promise<void>> {
  const { purpose } = responder;

  /** Whether the message is one of profile v1, or too large for any. */
  function isForeign({ topic, payload }: MqttMessage): boolean {
    if (payload.length > largestFrame) {
      responder.refuse("too_large");
      return true;
    }
    if (legacy === undefined || payload[0] !== brace) return false;
    try {
      legacy(topic, payload);
    } catch (error) {
      log.error("a message of profile v1 failed", { topic, error });
    }
    return true;
  }

  async function answer(payload: Uint8Array, device: Id): Promise<void> {
    try {
      const reply = await responder.receive(payload, device);
      if (reply === null) return;
      await mqtt.publish(sessionTopics(purpose, device).down, reply);
    } catch (error) {
      // refusals are counted and logged where they are decided
      if (!(error instanceof CodedError)) log.error("a session message failed", { device, error });
    }
  }

  function take(message: MqttMessage): void {
    const { topic, payload, retained } = message;
    // what a broker kept is old by definition, and who left it there is unknown
    if (retained) return responder.refuse("retained");
    if (purpose === "rpc" && isForeign(message)) return;
    const named = deviceOf(purpose, topic);
    const device = named === null ? responder.ownerOf(payload) : named;
    if (device !== undefined && device !== null) void answer(payload, device);
  }

  responder.onPush((device, frame) => {
    const sent = mqtt.publish(sessionTopics(purpose, device).down, frame);
    sent.catch((error) => log.debug("a frame was not sent: it will be repeated", { error }));
  });
  const { connect, up } = sessionTopics(purpose, "+");
  const undo = [await mqtt.subscribe(connect, take), await mqtt.subscribe(up, take)];
  return async () => {
    for (const unsubscribe of undo) await unsubscribe();
  };
}

/** What carries one device's frames over a broker. */
export type DeviceConnection =
  & Pick<MqttConnection, "publish" | "subscribe">
  & AsyncDisposable;

/** Carries one device's frames over a broker; the connection is the transport's own. */
export function mqttTransport(
  remote: Remote,
  purpose: Purpose,
  options: { device: string; connect: () => Promise<DeviceConnection> },
): Transport {
  const topics = sessionTopics(purpose, options.device);
  let receiver: ((bytes: Uint8Array) => void) | undefined;
  let connection: Promise<DeviceConnection> | undefined;

  async function connected(): Promise<DeviceConnection> {
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
