/**
 * Everyone the site talks to: devices, meters, fogs, gateways, witnesses, keychains. A peer is enrolled
 * with a one-time code, bound to its keys when it first opens a session with it, and revoked by an
 * operator. Codes are kept only as the psk derived from them, sealed.
 */
import { sql } from "drizzle-orm";
import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import { type Id, parseId } from "../../base/id.ts";
import { pskFromCode } from "../../trust/session/handshake.ts";
import type { Suite } from "../../trust/crypto.ts";
import type { Enrolment } from "../../wire/enrolment.ts";
import type { PeerKind } from "../../wire/peer.ts";
import type { Audit } from "../audit.ts";
import type { Database, Migration } from "../db/mod.ts";
import type { Sealer } from "../sealing.ts";

export type PeerState = "enrolled" | "approved" | "revoked";

/** A row of `peers`. `noiseKey` and `signKey` are there from "approved" on. */
export interface Peer {
  readonly kind: PeerKind;
  readonly id: Id;
  readonly state: PeerState;
  readonly noiseKey: Uint8Array | null;
  readonly signKey: Uint8Array | null;
  readonly psk: Uint8Array;
  /** When an unused code stops working, Unix milliseconds. */
  readonly codeExpires: number;
}

export class PeerError extends CodedError<"peer_exists" | "peer_unknown" | "peer_bound"> {
  override readonly name = "PeerError";
}

export interface Peers {
  /** Makes a code for a peer that is new or has not used its last code. @throws PeerError */
  enrol(kind: PeerKind, id: string, options: { url: string; ttl: number }): Promise<Enrolment>;
  find(kind: PeerKind, id: Id): Promise<Peer | null>;
  /** Binds both keys to a peer and uses its code up. @throws PeerError "peer_bound" when it has keys */
  bind(peer: Peer, keys: { noiseKey: Uint8Array; signKey: Uint8Array }): Promise<Peer>;
  /** From now on the peer is refused. @throws PeerError "peer_unknown" */
  revoke(kind: PeerKind, id: string): Promise<void>;
  /** Hears of every peer that is no longer what it was, until the returned function is called. */
  watch(listener: (kind: PeerKind, id: Id) => void): () => void;
}

export const peerMigrations: readonly Migration[] = [{
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

export function openPeers(options: {
  suite: Suite;
  site: Id;
  noiseKey: Uint8Array;
  db: Database;
  sealer: Sealer;
  audit: Audit;
  clock: Clock;
}): Peers {
  const { suite, site, db, sealer, audit, clock } = options;
  const watchers = new Set<(kind: PeerKind, id: Id) => void>();
  const place = (kind: PeerKind, id: string) => ({
    table: "peers",
    column: "psk",
    row: `${kind}/${id}`,
  });

  async function find(kind: PeerKind, id: Id): Promise<Peer | null> {
    const [row] = await db.read((q) =>
      q.all<Row>(sql`SELECT state, noise_key, sign_key, psk, code_expires FROM peers
        WHERE kind = ${kind} AND id = ${id}`)
    );
    if (row === undefined) return null;
    return {
      kind,
      id,
      state: row.state,
      noiseKey: bytesOrNull(row.noise_key),
      signKey: bytesOrNull(row.sign_key),
      psk: sealer.open(place(kind, id), new Uint8Array(row.psk)),
      codeExpires: row.code_expires,
    };
  }

  return {
    find,

    async enrol(kind, text, { url, ttl }) {
      const id = parseId(text);
      const code = suite.randomBytes(16);
      const expires = clock() + ttl;
      const psk = sealer.seal(place(kind, id), pskFromCode(suite, code, { site, device: id }));
      await db.write(async (tx) => {
        const { rowsAffected } = await tx.run(sql`
          INSERT INTO peers (kind, id, state, psk, code_expires, enrolled_at)
          VALUES (${kind}, ${id}, 'enrolled', ${psk}, ${expires}, ${clock()})
          ON CONFLICT (kind, id) DO UPDATE SET psk = excluded.psk,
            code_expires = excluded.code_expires, enrolled_at = excluded.enrolled_at
          WHERE state = 'enrolled'`);
        if (rowsAffected === 0) {
          throw new PeerError("peer_exists", `Cannot enrol the ${kind} "${id}": it is enrolled`, {
            hint: "choose another id, or revoke and remove the old one first",
          });
        }
        await audit.append(tx, {
          type: "peer.enrolled",
          actor: "site",
          subject: id,
          detail: { kind },
        });
      });
      for (const watcher of watchers) watcher(kind, id);
      return { code, site, url, noiseKey: options.noiseKey, expires };
    },

    async bind(peer, { noiseKey, signKey }) {
      await db.write(async (tx) => {
        const { rowsAffected } = await tx.run(sql`
          UPDATE peers SET state = 'approved', noise_key = ${noiseKey}, sign_key = ${signKey},
            bound_at = ${clock()}
          WHERE kind = ${peer.kind} AND id = ${peer.id} AND state = 'enrolled'`);
        if (rowsAffected === 0) {
          throw new PeerError("peer_bound", `Cannot bind the ${peer.kind}: its code was used`);
        }
        await audit.append(tx, {
          type: "device.approved",
          actor: peer.id,
          subject: peer.id,
          detail: { kind: peer.kind, by: "code" },
        });
      });
      return { ...peer, state: "approved", noiseKey, signKey };
    },

    async revoke(kind, text) {
      const id = parseId(text);
      await db.write(async (tx) => {
        const { rowsAffected } = await tx.run(
          sql`UPDATE peers SET state = 'revoked' WHERE kind = ${kind} AND id = ${id}`,
        );
        if (rowsAffected === 0) {
          throw new PeerError("peer_unknown", `Cannot revoke the ${kind} "${id}": it is unknown`);
        }
        await audit.append(tx, {
          type: "device.revoked",
          actor: "site",
          subject: id,
          detail: { kind },
        });
      });
      for (const watcher of watchers) watcher(kind, id);
    },

    watch(listener) {
      watchers.add(listener);
      return () => watchers.delete(listener);
    },
  };
}

interface Row {
  readonly state: PeerState;
  readonly noise_key: ArrayBuffer | null;
  readonly sign_key: ArrayBuffer | null;
  readonly psk: ArrayBuffer;
  readonly code_expires: number;
}

function bytesOrNull(value: ArrayBuffer | null): Uint8Array | null {
  return value === null ? null : new Uint8Array(value);
}
