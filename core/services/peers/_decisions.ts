/**
 * How a decision about peers takes effect: on disk in one transaction with its record in the audit,
 * then for all to hear, and only then for whoever made it. What others read meanwhile, they read again.
 */
import type { Clock } from "../../base/clock.ts";
import type { Id } from "../../base/id.ts";
import type { PeerKind } from "../../wire/peer.ts";
import type { Audit, AuditEntry } from "../audit.ts";
import type { Database, Queries } from "../db/mod.ts";
import type { Log } from "../logging.ts";
import type { Sealer } from "../sealing.ts";
import { type Ban, openBans } from "./_bans.ts";
import { ClientIds, readShutIds, type ShutIds } from "./_client_ids.ts";
import { openRows } from "./_rows.ts";
import { type Name, type Peer, shutOut } from "./_states.ts";

export type Watcher = (kind: PeerKind, id: Id, peer: Peer | null) => void;

/** What is recorded of it, and the key that it lets in: null while that is to come. */
export interface Decision extends Omit<AuditEntry, "subject"> {
  readonly admits?: { readonly key: Uint8Array | null };
}

export type Decisions = ReturnType<typeof openDecisions>;

export function openDecisions(
  { db, audit, clock, log, sealer }: {
    db: Database;
    audit: Audit;
    clock: Clock;
    log: Log;
    sealer: Sealer;
  },
) {
  const rows = openRows({ sealer, clock });
  const bans = openBans({ clock });
  const clientIds = new ClientIds(clock);
  const watchers = new Set<Watcher>();
  let made = 0;

  const shutIdsIn = async (q: Queries) => await readShutIds(q, await bans.list(q));

  async function banOf(q: Queries, name: Name, peer: Peer | null): Promise<Ban | null> {
    return await bans.find(q, name, peer?.noiseKey ?? null);
  }

  /** A peer as those see it who let it in or not. */
  async function standing(q: Queries, name: Name): Promise<Peer | null> {
    const peer = await rows.find(q, name);
    return await banOf(q, name, peer) === null ? peer : shutOut(peer, name);
  }

  /** Now that it is on disk. */
  function takeEffect(
    peers: readonly (readonly [Name, Peer | null])[],
    shut: ShutIds | null,
    meanwhile: () => void,
  ): void {
    made++;
    if (shut !== null) clientIds.take(shut);
    meanwhile();
    for (const [{ kind, id }, peer] of peers) {
      for (const watcher of watchers) {
        try {
          watcher(kind, id, peer);
        } catch (error) {
          log.error("a session did not hear of a change", { peer: id, error });
        }
      }
    }
  }

  /** Reads what no decision has overtaken. */
  async function read<T>(query: (q: Queries) => Promise<T>): Promise<T> {
    while (true) {
      const seen = made;
      const found = await db.read(query);
      if (seen === made) return found;
    }
  }

  return {
    rows,
    bans,
    read,
    standing,

    /** Turns a peer into what `next` says. @throws PeerError "peer_banned" if that would let it in */
    async change<P extends Peer | null>(
      name: Name,
      next: (peer: Peer | null) => P,
      { admits, ...entry }: Decision,
    ): Promise<P> {
      const { peer, shut } = await db.write(async (tx) => {
        if (admits !== undefined) await bans.refuse(tx, name, admits.key);
        const peer = next(await rows.find(tx, name));
        await rows.put(tx, name, peer);
        const detail = { kind: name.kind, ...entry.detail };
        await audit.append(tx, { ...entry, subject: name.id, detail });
        return { peer, shut: clientIds.concerns(name.id) ? await shutIdsIn(tx) : null };
      });
      takeEffect([[name, peer]], shut, () => {});
      return peer;
    },

    /**
     * Bans, or lifts bans. @param act gives the names that it concerns
     * @param meanwhile what follows in memory, before anybody hears of it
     */
    async judge<T extends { readonly names: readonly Name[] }>(
      act: (tx: Queries) => Promise<T>,
      meanwhile: (judged: T) => void = () => {},
    ): Promise<T> {
      const { judged, peers, shut } = await db.write(async (tx) => {
        const judged = await act(tx);
        const peers: [Name, Peer | null][] = [];
        for (const name of judged.names) peers.push([name, await standing(tx, name)]);
        return { judged, peers, shut: await shutIdsIn(tx) };
      });
      takeEffect(peers, shut, () => meanwhile(judged));
      return judged;
    },

    append: (tx: Queries, entry: AuditEntry) => audit.append(tx, entry),

    watch(watcher: Watcher): () => void {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },

    /** What tells whether a client id of the embedded broker is let in. */
    async allowing(): Promise<(id: Id) => boolean> {
      clientIds.take(await read(shutIdsIn));
      return (id) => !clientIds.isShut(id);
    },
  };
}
