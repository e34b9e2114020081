/** Who may log in to the embedded broker and what they may do then, as aedes' hooks. */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import type { AedesOptions, Client } from "aedes";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../logging.ts";
import { mayPublish, maySubscribe } from "./_access.ts";
import type { Connection } from "./_connection.ts";
import type { BrokerLimits, Refused } from "./_limits.ts";
import { type LoginOptions, LoginRefusal, recogniser } from "./_login.ts";
import type { Registry } from "./_registry.ts";
import { TokenBucket } from "./_token_bucket.ts";

export interface AdmissionOptions extends LoginOptions {
  /** Before every topic of peers; "" for none. */
  readonly prefix: string;
  readonly log: Log;
  readonly limits: BrokerLimits;
  readonly registry: Registry;
  readonly refused: Refused;
  readonly connectionOf: (client: Client) => Connection;
}

type Hooks = Required<
  Pick<
    AedesOptions,
    "preConnect" | "authenticate" | "authorizePublish" | "authorizeSubscribe" | "published"
  >
>;

/** The client id of whoever gives none: no valid name. */
const nameless = "?";

export function admission(options: AdmissionOptions): Hooks {
  const { operator, prefix, log, limits, registry, refused, connectionOf } = options;
  const recognise = recogniser(options);
  const keepAlive = limits.keepAlive / 1_000;
  // Ten a minute are news; anybody can cause more.
  const warnings = new TokenBucket({ rate: 10 / 60, size: 10 }, performance.now());

  async function login(client: Client, username?: string, password?: Uint8Array): Promise<void> {
    const connection = connectionOf(client);
    const { address } = connection;
    const party = await recognise({ clientId: client.id, address, username, password });
    if (party.kind === "peer" && registry.isSites(client.id)) {
      // Logging in under an id ends the older connection of that id: nobody may do that to the site.
      throw new LoginRefusal("client_id", 2, "the client id is the site's own");
    }
    if (party.kind !== "site" && registry.isFull(client.id)) {
      throw new LoginRefusal("full", 3, "too many clients");
    }
    await registry.claim(client.id, connection, party);
  }

  return {
    preConnect(_client, packet, done) {
      // aedes would store the queues and filters of sessions that outlive their connection.
      packet.clean = true;
      packet.keepalive = Math.min(packet.keepalive || keepAlive, keepAlive);
      if (packet.will !== undefined) {
        // It stays as long as the client, so it must not hold on to the buffer it came in.
        packet.will.payload = Buffer.from(packet.will.payload);
        if (packet.will.qos === 2) packet.will.qos = 1;
      }
      if (packet.username !== undefined && packet.username !== operator.username) {
        // Out of the way of the peers' ids: a user must not end their connections by using one.
        packet.clientId = `${packet.username}/${packet.clientId || randomUUID()}`;
      } else if (packet.clientId === "") {
        packet.clientId = nameless;
      }
      done(null, true);
    },

    authenticate(client, username, password, done) {
      login(client, username, password).then(
        () => done(null, true),
        (error: unknown) => {
          const refusal = error instanceof LoginRefusal
            ? error
            : new LoginRefusal("login", 3, messageOf(error));
          if (refusal !== error) log.error("MQTT login failed inside", { error });
          refused(refusal.reason);
          const isNews = refusal.reason === "login" && warnings.wait(performance.now()) === 0;
          if (isNews) warnings.take(1);
          log[isNews ? "warn" : "debug"]("MQTT login refused", { why: refusal.message });
          done(refusal, false);
        },
      );
    },

    authorizePublish(client, packet, done) {
      const connection = client === null ? undefined : connectionOf(client);
      const party = connection?.party;
      const isWelcome = party?.kind !== "peer" || options.allows(party.id);
      if (party === undefined || !isWelcome || !mayPublish(party, packet.topic, { prefix })) {
        const why = "not a topic that this client may publish to";
        connection?.cut("topic", why);
        return done(new Error(why));
      }
      connection!.gate.begin(asBytes(packet.payload));
      done(null);
    },

    published(packet, client, done) {
      // Messages of aedes itself have no client, in spite of the type.
      if (client) connectionOf(client).gate.end(asBytes(packet.payload));
      done(null);
    },

    authorizeSubscribe(client, subscription, done) {
      const { party, filters } = connectionOf(client);
      const { topic } = subscription;
      const hasRoom = party?.kind === "site" || filters.has(topic) ||
        filters.size < limits.subscriptions;
      if (party === undefined || !hasRoom || !maySubscribe(party, topic, { prefix })) {
        refused("subscription");
        return done(null, null);
      }
      filters.add(topic);
      done(null, subscription);
    },
  };
}

function asBytes(payload: string | Buffer): Uint8Array {
  return typeof payload === "string" ? Buffer.from(payload) : payload;
}
