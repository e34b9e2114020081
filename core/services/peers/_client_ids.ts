/**
 * Which client ids of the embedded broker are shut out. A client id is a claim and proves nothing; the
 * sessions of whoever is banned are refused in any case. It spares the broker their traffic. An id
 * that some other kind of peer has, which is not banned, is left alone.
 */
import { sql } from "drizzle-orm";
import { toHex } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import type { Id } from "../../base/id.ts";
import type { PeerKind } from "../../wire/peer.ts";
import type { Queries } from "../db/mod.ts";
import type { Ban } from "./_bans.ts";
import type { PeerState } from "./_states.ts";

/** What a peer's id is judged by. */
export interface Namesake {
  readonly kind: PeerKind;
  readonly id: Id;
  readonly state: PeerState;
  readonly noiseKey: Uint8Array | null;
}

/** Until when each id is shut out, Infinity for good; 0 when a peer needs it that is not banned. */
export type ShutIds = ReadonlyMap<Id, number>;

export class ClientIds {
  readonly #clock: Clock;
  #shut: ShutIds = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isShut(id: Id): boolean {
    return (this.#shut.get(id) ?? 0) > this.#clock();
  }

  /** Whether a change of a peer with this id may matter here. */
  concerns(id: Id): boolean {
    return this.#shut.has(id);
  }

  take(shut: ShutIds): void {
    this.#shut = shut;
  }
}

/** Reads what matters of the peers and judges by it. @param bans those in force */
export async function readShutIds(q: Queries, bans: readonly Ban[]): Promise<ShutIds> {
  if (bans.length === 0) return new Map();
  const rows = await q.all<Omit<Namesake, "noiseKey"> & { noise_key: ArrayBuffer | null }>(sql`
    SELECT kind, id, state, noise_key FROM peers WHERE id IN (
      SELECT id FROM peer_bans WHERE key IS NULL
      UNION SELECT peers.id FROM peer_bans JOIN peers ON noise_key = key)`);
  return shutIds(
    bans,
    rows.map(({ noise_key, ...row }) => {
      return { ...row, noiseKey: noise_key === null ? null : new Uint8Array(noise_key) };
    }),
  );
}

/**
 * An id that known peers have is shut out as long as all of them are; one that nobody has, as long as
 * a name with it is. @param peers all that have an id of somebody who is banned
 */
export function shutIds(bans: readonly Ban[], peers: readonly Namesake[]): ShutIds {
  const ends = new Map<string, number>();
  const shut = new Map<Id, number>();
  for (const { kind, id, key, until } of bans) {
    ends.set(key === null ? `${kind}/${id}` : toHex(key), until ?? Infinity);
    if (key === null) shut.set(id, Math.max(shut.get(id) ?? 0, until ?? Infinity));
  }
  const known = new Map<Id, number>();
  for (const { kind, id, state, noiseKey } of peers) {
    if (state === "revoked") continue;
    const byKey = noiseKey === null ? 0 : ends.get(toHex(noiseKey)) ?? 0;
    const end = Math.max(ends.get(`${kind}/${id}`) ?? 0, byKey);
    known.set(id, Math.min(known.get(id) ?? Infinity, end));
  }
  return new Map([...shut, ...known]);
}
