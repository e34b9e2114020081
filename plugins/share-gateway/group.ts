/**
 * The group that this gateway belongs to, at most one: its signed rosters and this gateway's share of
 * the key that nobody holds. The share is in memory while the role runs, and at rest under two locks:
 * the site's, and the operator's where there is a `seal_key_file`.
 *
 * Roster and share are written by one transaction, and so is the end of them: there is never the one
 * without the other.
 */
import { sql } from "drizzle-orm";
import { Secret } from "../../core/base/secret.ts";
import { type Host, type Services, Unavailable } from "../../core/host/plugin.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import { checkShare, publicShare } from "../../core/trust/share/dealing.ts";
import {
  decodeSignedRoster,
  type Roster,
  type SignedRoster,
} from "../../core/trust/share/roster.ts";
import { readSealKey, type Wrapper, wrapper, WrappingError } from "./wrapping.ts";

/** What this gateway evaluates with. */
export interface Keyshare {
  readonly roster: Roster;
  /** This gateway's place in the roster, from 1. */
  readonly index: number;
  /** 32 bytes, little-endian. Wiped when another one takes its place. */
  readonly share: Secret<Uint8Array>;
  readonly publicShare: Uint8Array;
}

export interface Group {
  /** Null before a deal. Cheap: kept in memory, opened once. */
  current(): Keyshare | null;
  /** Signed rosters with an epoch above `epoch`, oldest first, as bytes first stored; 64 at most. */
  chain(after: number): Promise<readonly Uint8Array[]>;
}

/** The group as the ceremonies change it. */
export interface OwnGroup extends Group {
  /** The operator's lock, for all that this gateway keeps secret. */
  readonly lock: Wrapper;
  /** Writes what `become` makes current, once it is on disk. @param signed an encoded signed roster */
  keep(
    tx: Queries,
    next: { readonly signed: Uint8Array; readonly share: Uint8Array },
  ): Promise<Keyshare>;
  /** Writes that there is no group; then `become(null)`. */
  erase(tx: Queries): Promise<void>;
  become(keyshare: Keyshare | null): void;
}

/** Of the role's table. */
export interface GroupConfig {
  readonly seal_key_file?: string | undefined;
}

const longestChain = 64;

/** @throws Unavailable when `seal_key_file` is missing or another one */
export async function openGroup(
  { db, secrets, site, suite }: Pick<Host & Services, "db" | "secrets" | "site" | "suite">,
  config: GroupConfig,
): Promise<OwnGroup> {
  const key = readSealKey(config.seal_key_file);
  const lock = wrapper(suite, key);
  key?.wipe();
  let current = await load();

  function keyshareOf(roster: Roster, share: Uint8Array): Keyshare {
    const member = roster.members.find(({ id }) => id === site);
    if (member === undefined) throw new Error(`Cannot use the roster: "${site}" is not in it`);
    const { index } = member;
    checkShare(share, { index, commitments: roster.commitments });
    return {
      ...{ roster, index, share: new Secret(share) },
      publicShare: publicShare(roster.commitments, index),
    };
  }

  async function load(): Promise<Keyshare | null> {
    const roster = await db.read(rosterIn).then((signed) => signed?.roster);
    if (roster === undefined) return null;
    const { epoch } = roster;
    const value = await db.read((q) => secrets.get(q, nameOf(epoch)));
    if (value === null) throw new Error(`Cannot use the roster: there is no share of its epoch`);
    const share = unwrapped(nameOf(epoch), value);
    if (!lock.isCurrent(value)) {
      await db.write((tx) => putShare(tx, epoch, share));
    }
    value.fill(0);
    return keyshareOf(roster, share);
  }

  function unwrapped(name: string, value: Uint8Array): Uint8Array {
    try {
      return lock.unwrap(name, value);
    } catch (error) {
      if (!(error instanceof WrappingError)) throw error;
      const hint = error.hint!;
      throw new Unavailable(error.message, { hint, cause: error });
    }
  }

  async function putShare(tx: Queries, epoch: number, share: Uint8Array): Promise<void> {
    const value = lock.wrap(nameOf(epoch), share);
    await secrets.put(tx, nameOf(epoch), value);
    value.fill(0);
  }

  return {
    lock,
    current: () => current,

    async chain(after) {
      const rows = await db.read((q) =>
        q.all<{ signed: ArrayBuffer }>(
          sql`SELECT signed FROM share_gateway_rosters WHERE epoch > ${after}
            ORDER BY epoch LIMIT ${longestChain}`,
        )
      );
      return rows.map(({ signed }) => new Uint8Array(signed));
    },

    async keep(tx, { signed, share }) {
      const { roster } = decodeSignedRoster(signed);
      const keyshare = keyshareOf(roster, share.slice());
      const { epoch } = roster;
      await tx.run(sql`INSERT INTO share_gateway_rosters (epoch, signed)
        VALUES (${epoch}, ${signed})`);
      await putShare(tx, epoch, share);
      if (current !== null) await secrets.delete(tx, nameOf(current.roster.epoch));
      return keyshare;
    },

    async erase(tx) {
      const rows = await tx.all<{ epoch: number }>(sql`SELECT epoch FROM share_gateway_rosters`);
      for (const { epoch } of rows) await secrets.delete(tx, nameOf(epoch));
      await tx.run(sql`DELETE FROM share_gateway_rosters`);
    },

    become(keyshare) {
      const before = current;
      current = keyshare;
      before?.share.wipe();
    },
  };
}

/** The roster that counts, within a transaction. */
export async function rosterIn(q: Queries): Promise<SignedRoster | null> {
  const [last] = await q.all<{ signed: ArrayBuffer }>(
    sql`SELECT signed FROM share_gateway_rosters ORDER BY epoch DESC LIMIT 1`,
  );
  return last === undefined ? null : decodeSignedRoster(new Uint8Array(last.signed));
}

/** Under which a share is kept. */
function nameOf(epoch: number): string {
  return `share/${epoch}`;
}
