/** The table of peers. The psk is sealed; what can be read from it is not a secret. */
import { sql } from "drizzle-orm";
import type { Clock } from "../../base/clock.ts";
import type { Id } from "../../base/id.ts";
import type { PeerKind } from "../../wire/peer.ts";
import type { Migration, Queries } from "../db/mod.ts";
import type { SealedColumn, Sealer } from "../sealing.ts";
import type { Name, Peer, PeerState } from "./_states.ts";

export const peerTableMigrations: readonly Migration[] = [{
  sql: `CREATE TABLE peers (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('enrolled', 'approved', 'revoked')),
    noise_key BLOB,
    sign_key BLOB,
    psk BLOB NOT NULL,
    code_expires INTEGER NOT NULL,
    enrolled_at INTEGER NOT NULL,
    bound_at INTEGER,
    PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID`,
}];

/** Came later, after other tables of the core. */
export const peerNameMigrations: readonly Migration[] = [{
  sql: `ALTER TABLE peers ADD COLUMN name TEXT`,
}];

/** What is sealed here, for the rotation of the key. */
export const sealedPsk: SealedColumn = {
  table: "peers",
  column: "psk",
  row: "kind || '/' || id",
};

/** A peer as a list shows it: without its psk. Times are Unix milliseconds. */
export interface PeerRow extends Omit<Peer, "psk"> {
  readonly enrolledAt: number;
  /** When it last got the keys that it has. */
  readonly boundAt: number | null;
  /** What people call it; it stays with the id when the hardware is replaced. */
  readonly name: string | null;
}

interface Row {
  readonly kind: PeerKind;
  readonly id: Id;
  readonly state: PeerState;
  readonly noise_key: ArrayBuffer | null;
  readonly sign_key: ArrayBuffer | null;
  readonly psk: ArrayBuffer;
  readonly code_expires: number;
  readonly enrolled_at: number;
  readonly bound_at: number | null;
  readonly name: string | null;
}

const columns = sql.raw(
  "kind, id, state, noise_key, sign_key, psk, code_expires, enrolled_at, bound_at",
);

export function openRows({ sealer, clock }: { sealer: Sealer; clock: Clock }) {
  const place = ({ kind, id }: Name) => ({ table: "peers", column: "psk", row: `${kind}/${id}` });

  return {
    async find(q: Queries, name: Name): Promise<Peer | null> {
      const [row] = await q.all<Row>(
        sql`SELECT ${columns}, name FROM peers WHERE kind = ${name.kind} AND id = ${name.id}`,
      );
      if (row === undefined) return null;
      const { enrolledAt: _, boundAt: __, name: ___, ...peer } = rowOf(row);
      return { ...peer, psk: sealer.open(place(name), new Uint8Array(row.psk)) };
    },

    async list(q: Queries): Promise<readonly PeerRow[]> {
      const rows = await q.all<Row>(sql`SELECT ${columns}, name FROM peers ORDER BY kind, id`);
      return rows.map(rowOf);
    },

    /** Every name that has this session key. */
    async withKey(q: Queries, key: Uint8Array): Promise<readonly Name[]> {
      return await q.all<Name>(sql`SELECT kind, id FROM peers WHERE noise_key = ${key}`);
    },

    /** Returns whether there is such a peer. */
    async rename(q: Queries, { kind, id }: Name, name: string | null): Promise<boolean> {
      const { rowsAffected } = await q.run(
        sql`UPDATE peers SET name = ${name} WHERE kind = ${kind} AND id = ${id}`,
      );
      return rowsAffected > 0;
    },

    /** Writes what the peer now is; null takes it away. */
    async put(q: Queries, name: Name, peer: Peer | null): Promise<void> {
      const { kind, id } = name;
      if (peer === null) {
        await q.run(sql`DELETE FROM peers WHERE kind = ${kind} AND id = ${id}`);
        return;
      }
      const { state, noiseKey, signKey, codeExpires } = peer;
      const psk = sealer.seal(place(name), peer.psk);
      const boundAt = state === "enrolled" ? null : clock();
      await q.run(sql`INSERT INTO peers (${columns})
        VALUES (${kind}, ${id}, ${state}, ${noiseKey}, ${signKey}, ${psk}, ${codeExpires},
          ${clock()}, ${boundAt})
        ON CONFLICT (kind, id) DO UPDATE SET state = excluded.state, psk = excluded.psk,
          code_expires = excluded.code_expires,
          enrolled_at = iif(excluded.state = 'enrolled', excluded.enrolled_at, enrolled_at),
          bound_at = iif(noise_key IS excluded.noise_key AND sign_key IS excluded.sign_key,
            bound_at, excluded.bound_at),
          noise_key = excluded.noise_key, sign_key = excluded.sign_key`);
    },
  };
}

function rowOf(row: Row): PeerRow {
  return {
    kind: row.kind,
    id: row.id,
    state: row.state,
    noiseKey: bytesOrNull(row.noise_key),
    signKey: bytesOrNull(row.sign_key),
    codeExpires: row.code_expires,
    enrolledAt: row.enrolled_at,
    boundAt: row.bound_at,
    name: row.name,
  };
}

function bytesOrNull(value: ArrayBuffer | null): Uint8Array | null {
  return value === null ? null : new Uint8Array(value);
}
