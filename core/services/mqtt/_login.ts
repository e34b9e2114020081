/**
 * Who a client of the embedded broker is, by what its CONNECT says.
 *
 * Whoever shows a user name or password is the site itself or someone from the users file, or is
 * refused. Everybody else is a peer by its client id, which proves nothing yet: strangers must be
 * able to knock, unless the host says no.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { type Id, isId } from "../../base/id.ts";
import type { Party } from "./_access.ts";
import type { Reason } from "./_limits.ts";
import { dummyHash, isPassword } from "./_password.ts";
import type { TurnLimits, Turns } from "./_turns.ts";
import type { Users } from "./_users_file.ts";

/** A user name and its password. */
export interface Credential {
  username: string;
  password: Uint8Array | string;
}

export interface LoginOptions {
  /** The site's own client. */
  readonly operator: Credential;
  /** Those who are neither the site nor peers. */
  readonly users: () => Users;
  /** Checks of passwords, in their turn. */
  readonly checks: Turns;
  /** Whether a peer, known or not, may connect. */
  readonly allows: (id: Id) => boolean;
}

export interface Login {
  readonly clientId: string;
  readonly address: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
}

/** Why a client is not let in, with its CONNACK code (MQTT 3.1.1 §3.2.2.3). */
export class LoginRefusal extends Error {
  readonly reason: Reason;
  readonly returnCode: number;

  constructor(reason: Reason, returnCode: number, why: string) {
    super(why);
    this.reason = reason;
    this.returnCode = returnCode;
  }
}

/** A check of a password takes 32 MiB and a tenth of a second, and anybody can ask for one. */
export const checkLimits: TurnLimits = { atOnce: 2, waiting: 16, perParty: 4 };

/** Makes the function that recognises a client. It throws LoginRefusal. */
export function recogniser(options: LoginOptions): (login: Login) => Promise<Party> {
  const username = digest(options.operator.username);
  const password = digest(options.operator.password);
  const wrong = () => new LoginRefusal("login", 4, "wrong user name or password");

  async function user(name: string, secret: Uint8Array, address: string): Promise<Party> {
    const users = options.users();
    if (users.size === 0) throw wrong();
    const user = users.get(name);
    const hash = user?.hash ?? dummyHash([...users.values()][0]!.hash);
    const checked = options.checks.take(address, () => isPassword(hash, secret));
    if (checked === undefined) {
      throw new LoginRefusal("busy", 3, "too many passwords are being checked");
    }
    const isRight = await checked;
    // The file may have changed meanwhile.
    const isStill = options.users().get(name)?.line === user?.line;
    if (!isRight || user === undefined || !isStill) throw wrong();
    return { kind: "user", user };
  }

  return async ({ clientId, address, username: name, password: secret }) => {
    if (name !== undefined || secret !== undefined) {
      // Both are always compared, so that the time does not tell which one was wrong.
      const isName = timingSafeEqual(digest(name ?? ""), username);
      const isSecret = timingSafeEqual(digest(secret ?? ""), password);
      if (isName && isSecret) return { kind: "site" };
      if (isName || name === undefined) throw wrong();
      return await user(name, secret ?? new Uint8Array(), address);
    }
    if (!isId(clientId)) {
      throw new LoginRefusal("client_id", 2, "the client id is not a valid name");
    }
    if (!options.allows(clientId)) {
      throw new LoginRefusal("stranger", 5, "the host does not let this peer in");
    }
    return { kind: "peer", id: clientId };
  };
}

/** Equal lengths for `timingSafeEqual`, whatever was presented. */
function digest(value: Uint8Array | string): Uint8Array {
  return createHash("sha256").update(value).digest();
}
