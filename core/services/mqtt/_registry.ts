/**
 * Who is logged in to the embedded broker, one connection to a client id.
 *
 * A new connection under an id ends the older one (MQTT 3.1.1 §3.1.4). aedes does that too, but when a
 * third one comes meanwhile it takes the wrong one from its list and loses count. So each waits here
 * until all before it are gone, and aedes never sees two at once.
 */
import type { Id } from "../../base/id.ts";
import type { Party } from "./_access.ts";
import type { Connection } from "./_connection.ts";
import type { User } from "./_users_file.ts";

interface Holder {
  readonly connection: Connection;
  /** Resolves when it and all before it are gone. */
  readonly clear: Promise<void>;
}

export class Registry {
  readonly #holders = new Map<string, Holder>();
  readonly #siteIds = new Set<string>();
  readonly #limit: number;
  readonly #onCount: (clients: number) => void;
  #clients = 0;

  /** @param onCount hears how many clients there are, the site's own not counted */
  constructor({ limit, onCount }: { limit: number; onCount: (clients: number) => void }) {
    this.#limit = limit;
    this.#onCount = onCount;
  }

  /** Whether there is no room for one more under this id. */
  isFull(id: string): boolean {
    return this.#clients >= this.#limit && !this.#holders.has(id);
  }

  /** Whether the id is one of the site's own. */
  isSites(id: string): boolean {
    return this.#siteIds.has(id);
  }

  /** Gives the id to the connection. Resolves when nobody else has it any more. */
  async claim(id: string, connection: Connection, party: Party): Promise<void> {
    // Who has left while its password was checked takes nothing from anybody.
    if (connection.stream.destroyed) return;
    if (party.kind === "site") this.#siteIds.add(id);
    const before = this.#holders.get(id);
    const earlier = before?.clear ?? Promise.resolve();
    const holder = { connection, clear: earlier.then(() => connection.gone) };
    this.#holders.set(id, holder);
    holder.clear.then(() => {
      if (this.#holders.get(id) === holder) this.#holders.delete(id);
    });
    before?.connection.cut("takeover", "another connection has come under its client id");
    await earlier;
    connection.party = party;
    if (party.kind !== "site") this.#count(connection);
  }

  /** Ends the connection of a peer. */
  cutPeer(id: Id): void {
    if (this.isSites(id)) return;
    this.#holders.get(id)?.connection.cut("revoked", "it may no longer connect");
  }

  /** Ends the connections of users that are not as they were. */
  cutUsers(isSame: (user: User) => boolean): void {
    for (const { connection } of this.#holders.values()) {
      const { party } = connection;
      if (party?.kind !== "user" || isSame(party.user)) continue;
      connection.cut("revoked", "its user was changed");
    }
  }

  #count(connection: Connection): void {
    if (connection.stream.destroyed) return;
    this.#onCount(++this.#clients);
    connection.stream.once("close", () => this.#onCount(--this.#clients));
  }
}
