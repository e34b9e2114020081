/**
 * The table of bans: names, or keys under whatever name, that are refused for a time or until a person
 * lifts it. What a peer was is left alone, so that it is that again afterwards. A ban that is over is
 * as good as none; it is swept out with the next one.
 */
import { sql } from "drizzle-orm";
import type { Clock } from "../../base/clock.ts";
import type { Id } from "../../base/id.ts";
import type { PeerKind } from "../../wire/peer.ts";
import type { Migration, Queries } from "../db/mod.ts";
import { type Name, PeerError, text } from "./_states.ts";

export const banMigrations: readonly Migration[] = [{
  sql: `CREATE TABLE peer_bans (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    key BLOB,
    reason TEXT,
    actor TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX peer_bans_of_names ON peer_bans (kind, id) WHERE key IS NULL;
  CREATE UNIQUE INDEX peer_bans_of_keys ON peer_bans (key) WHERE key IS NOT NULL;
  CREATE INDEX peers_by_key ON peers (noise_key)`,
}];

export interface Ban extends Name {
  /** The session key that is banned under whatever name, and not the name under which it came. */
  readonly key: Uint8Array | null;
  readonly reason: string | null;
  /** Who has decided it. */
  readonly actor: string;
  /** Unix milliseconds. */
  readonly since: number;
  /** Null until somebody lifts it. */
  readonly until: number | null;
}

interface Row extends Omit<Ban, "key"> {
  readonly kind: PeerKind;
  readonly id: Id;
  readonly key: ArrayBuffer | null;
}

export const mostBans = 10_000;

const columns = sql.raw("kind, id, key, reason, actor, since, until");

export function openBans({ clock }: { clock: Clock }) {
  const inForce = () => sql`(until IS NULL OR until > ${clock()})`;

  async function find(q: Queries, { kind, id }: Name, key: Uint8Array | null): Promise<Ban | null> {
    const [row] = await q.all<Row>(sql`SELECT ${columns} FROM peer_bans
      WHERE (kind = ${kind} AND id = ${id} AND key IS NULL OR key = ${key}) AND ${inForce()}
      ORDER BY key IS NOT NULL`);
    return row === undefined ? null : banOf(row);
  }

  return {
    /** What keeps this name, or this key, out. */
    find,

    /** Every ban in force, by name. */
    async list(q: Queries): Promise<readonly Ban[]> {
      const rows = await q.all<Row>(sql`SELECT ${columns} FROM peer_bans WHERE ${inForce()}
        ORDER BY kind, id, key`);
      return rows.map(banOf);
    },

    /** @throws PeerError "peer_banned" when the name, or the key, is */
    async refuse(q: Queries, name: Name, key: Uint8Array | null): Promise<void> {
      const ban = await find(q, name, key);
      if (ban !== null) throw bannedError(ban);
    },

    /** Writes a ban, unless the same is banned for longer already. Returns which one holds. */
    async put(q: Queries, ban: Ban): Promise<Ban> {
      const { kind, id, key, reason, actor, since, until } = ban;
      const same = key === null
        ? sql`kind = ${kind} AND id = ${id} AND key IS NULL`
        : sql`key = ${key}`;
      const [before] = await q.all<Row>(
        sql`SELECT ${columns} FROM peer_bans WHERE ${same} AND ${inForce()}`,
      );
      const isLonger = before !== undefined && (before.until ?? Infinity) >= (until ?? Infinity);
      if (isLonger) return banOf(before);
      await q.run(sql`DELETE FROM peer_bans WHERE ${same} OR NOT ${inForce()}`);
      const [{ n } = { n: 0 }] = await q.all<{ n: number }>(
        sql`SELECT count(*) AS n FROM peer_bans`,
      );
      if (n >= mostBans) {
        throw new PeerError("bans_full", `Cannot ban the ${text(ban)}: ${mostBans} are banned`, {
          hint: "lift bans that are no longer needed: edgeward peers unban KIND/ID",
        });
      }
      await q.run(sql`INSERT INTO peer_bans (${columns})
        VALUES (${kind}, ${id}, ${key}, ${reason}, ${actor}, ${since}, ${until})`);
      return ban;
    },

    /** Takes away what was banned under this name. @throws PeerError "ban_unknown" */
    async lift(q: Queries, name: Name): Promise<readonly Ban[]> {
      const { kind, id } = name;
      const rows = await q.all<Row>(sql`SELECT ${columns} FROM peer_bans
        WHERE kind = ${kind} AND id = ${id} AND ${inForce()}`);
      if (rows.length === 0) {
        throw new PeerError("ban_unknown", `Cannot unban the ${text(name)}: it is not banned`, {
          hint: "`edgeward peers list --state banned` shows who is",
        });
      }
      await q.run(sql`DELETE FROM peer_bans WHERE kind = ${kind} AND id = ${id}`);
      return rows.map(banOf);
    },
  };
}

/** That somebody is not let in for this. */
export function bannedError(ban: Ban): PeerError {
  const whom = ban.key === null ? `The ${text(ban)}` : `The key that came as ${text(ban)}`;
  return new PeerError("peer_banned", `${whom} is banned`, {
    hint: `to lift that: edgeward peers unban ${ban.kind}/${ban.id}`,
  });
}

function banOf({ key, ...row }: Row): Ban {
  return { ...row, key: key === null ? null : new Uint8Array(key) };
}
