/**
 * Who may log in to the embedded broker and what they may do then, as aedes' hooks.
 *
 * One login is known, the operator's; whoever shows a user name or password must show that one.
 * Everybody else comes without, and is confined by client id.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { AedesOptions, Client } from "aedes";
import { type Id, isId } from "../../base/id.ts";
import type { Log } from "../logging.ts";
import { mayPublish, maySubscribe } from "./_access.ts";

/** A user name and its password. */
export interface Credential {
  username: string;
  password: Uint8Array | string;
}

export interface AdmissionOptions {
  operator: Credential;
  log: Log;
  /** Whether another client would be one too many; not asked for the operator. */
  isFull: () => boolean;
}

type Hooks = Required<
  Pick<AedesOptions, "preConnect" | "authenticate" | "authorizePublish" | "authorizeSubscribe">
>;

/** Return codes of CONNACK (MQTT 3.1.1 §3.2.2.3). */
const badId = 2, unavailable = 3, badLogin = 4;

export function admission({ operator, log, isFull }: AdmissionOptions): Hooks {
  const username = digest(operator.username);
  const password = digest(operator.password);
  const operators = new WeakSet<Client>();
  const operatorIds = new Set<string>();
  const nameless = new WeakSet<Client>();

  /** The name that a client is confined to. */
  const confinedTo = (client: Client | null): Id | undefined =>
    client !== null && isId(client.id) ? client.id : undefined;

  return {
    preConnect(client, packet, done) {
      // A stored session would let strangers fill the memory with their queues; besides, aedes stores
      // every filter of a SUBSCRIBE, the refused ones too, as soon as one of them is granted.
      packet.clean = true;
      if (packet.clientId === "") nameless.add(client);
      done(null, true);
    },

    authenticate(client, name, secret, done) {
      const refuse = (returnCode: number, why: string) => {
        const refused = Object.assign(new Error(why), { returnCode });
        (returnCode === badLogin ? log.warn : log.debug).call(log, "MQTT login refused", { why });
        done(refused, false);
      };
      if (name !== undefined || secret !== undefined) {
        // Both are always compared, so that the time does not tell which one was wrong.
        const known = timingSafeEqual(digest(name ?? ""), username);
        if (!timingSafeEqual(digest(secret ?? ""), password) || !known) {
          return refuse(badLogin, "wrong user name or password");
        }
        operators.add(client);
        operatorIds.add(client.id);
        return done(null, true);
      }
      if (nameless.has(client) || confinedTo(client) === undefined) {
        return refuse(badId, "the client id is not a valid name");
      }
      // Logging in under an id ends the older connection of that id: nobody may do that to the site.
      if (operatorIds.has(client.id)) return refuse(badId, "the client id is the site's own");
      if (isFull()) return refuse(unavailable, "too many clients");
      done(null, true);
    },

    authorizePublish(client, packet, done) {
      if (packet.topic.startsWith("$SYS/")) return done(new Error("$SYS topics are reserved"));
      if (client !== null && operators.has(client)) return done(null);
      const id = confinedTo(client);
      if (id === undefined || !mayPublish(id, packet.topic)) {
        return done(new Error("not a topic that this client may publish to"));
      }
      // A retained message would be replayed to the site at each of its subscriptions and stay in
      // memory for good. The message itself is legitimate, and some firmware sets the flag without
      // thought, so the flag is dropped rather than the connection.
      packet.retain = false;
      done(null);
    },

    authorizeSubscribe(client, subscription, done) {
      const id = confinedTo(client);
      const granted = operators.has(client) ||
        (id !== undefined && maySubscribe(id, subscription.topic));
      done(null, granted ? subscription : null);
    },
  };
}

/** Equal lengths for `timingSafeEqual`, whatever was presented. */
function digest(value: Uint8Array | string): Uint8Array {
  return createHash("sha256").update(value).digest();
}
