/**
 * Strangers at a broker, as many as it takes: some with keys that they really have, most with nothing but
 * bytes. They know the site's name and public key, which are no secrets, and nothing else.
 */
import { connectAsync, type MqttClient } from "mqtt";
import { Buffer } from "node:buffer";
import { toHex, utf8 } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import { encodeFrame, FrameType } from "../../core/trust/session/frame.ts";
import { zeroPsk } from "../../core/trust/session/handshake.ts";
import { encodeOpening, encodePrologue, type Purpose } from "../../core/trust/session/hello.ts";
import type { Enrolment } from "../../core/wire/enrolment.ts";
import { sessionTopics } from "../../core/wire/peer.ts";
import { RawPeer, suite } from "./_raw_peer.ts";

interface Credential {
  readonly username: string;
  readonly password: string;
}

/** Something to be published. */
export interface Knock {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain?: boolean;
}

export const connectTopic = "jrpc/connect/request";
export const messageTopic = sessionTopics("rpc", "+").up;

/** What no device is called, or what programs stumble over. */
export const oddIds: readonly string[] = [
  ...["#", "+", "a/b", "../x", "", " ", "a\u0000b", "é", "x".repeat(65)],
  ...["__proto__", "constructor", "toString", "hasOwnProperty"],
];

/** A first message of profile v2 with a key that is really somebody's. */
export function realKnock(id: string, site: Enrolment): Knock {
  const deviation = { psk: zeroPsk };
  const peer = new RawPeer(id as Id, site, { purpose: "rpc", deviation });
  return { topic: sessionTopics("rpc", id).connect, payload: peer.begin().message1 };
}

/** A first message that is one as far as anybody can see who does not calculate. */
export function emptyKnock(id: string, { site }: Enrolment, purpose: Purpose = "rpc"): Knock {
  const hello = { purpose, site, device: id as Id, versions: [2] };
  const body = encodeOpening(encodePrologue(hello), suite.randomBytes(32 + 48 + 16));
  const payload = encodeFrame(FrameType.message1, suite.randomBytes(8), 0, body);
  return { topic: sessionTopics("rpc", id).connect, payload };
}

/** A connect of profile v1, with a proof that proves nothing. */
export function v1Knock(id: unknown): Knock {
  const [pubkey, psk_proof] = [toHex(suite.randomBytes(32)), toHex(suite.randomBytes(32))];
  return {
    topic: connectTopic,
    payload: utf8(JSON.stringify({ device_id: id, pubkey, psk_proof })),
  };
}

/** A message of profile v1 that no key has sealed. */
export function v1Message(id: unknown): Knock {
  const payload = utf8(JSON.stringify({
    ...{ device_id: id, nonce: "0000000f0000000000000001" },
    ...{ ciphertext: "00".repeat(40), hmac: "00".repeat(32) },
  }));
  return { topic: messageTopic, payload };
}

/** One of them at the broker, under a client id of its own. */
export class Stranger implements AsyncDisposable {
  readonly #client: MqttClient;

  private constructor(client: MqttClient) {
    this.#client = client;
  }

  /** @param user who it is to the broker: nobody unless given */
  static async at(
    port: number,
    clientId: string,
    user: Partial<Credential> = {},
  ): Promise<Stranger> {
    const client = await connectAsync(`mqtt://127.0.0.1:${port}`, {
      ...{ clientId, protocolVersion: 4, reconnectPeriod: 0, keepalive: 20, ...user },
    });
    client.on("error", () => {}); // whoever is thrown out has been heard
    return new Stranger(client);
  }

  /** Hears everything from now on that the broker lets it hear. */
  async overhears(filter: string): Promise<readonly Knock[]> {
    const heard: Knock[] = [];
    this.#client.on("message", (topic, payload) => {
      heard.push({ topic, payload: new Uint8Array(payload) });
    });
    await this.#client.subscribeAsync(filter, { qos: 1 });
    return heard;
  }

  /** Rejects when the broker hangs up instead of taking it. */
  async publish({ topic, payload, retain = false }: Knock): Promise<void> {
    const client = this.#client;
    const { promise: lost, reject } = Promise.withResolvers<never>();
    const onClose = () => reject(new Error("The broker has hung up"));
    client.once("close", onClose);
    try {
      if (!client.connected) onClose();
      const taken = client.publishAsync(topic, Buffer.from(payload), { qos: 1, retain });
      taken.catch(() => {});
      await Promise.race([taken, lost]);
    } finally {
      client.off("close", onClose);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(true);
  }
}

/** Publishes each knock under a client id of its own, as embedded brokers want it, some at a time. */
export async function knockApart(
  port: number,
  knocks: Iterable<readonly [id: string, knock: Knock]>,
): Promise<void> {
  const rest = knocks[Symbol.iterator]();
  const worker = async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) {
      const [id, knock] = next.value;
      await using stranger = await Stranger.at(port, id);
      await stranger.publish(knock);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}
