/** What there is to do with peers: for the site, for its sessions, and for roles. */
import type { Id } from "../../base/id.ts";
import type { Applicant } from "../../trust/session/answerer.ts";
import type { Enrolment } from "../../wire/enrolment.ts";
import type { PeerKind } from "../../wire/peer.ts";
import type { Recognition, Waiting } from "./_applicants.ts";
import type { Ban } from "./_bans.ts";
import type { JoinState } from "./_join_window.ts";
import type { PeerRow } from "./_rows.ts";
import type { Peer } from "./_states.ts";

/** How an enrolment is made: where the peer finds the site, and how long its code works. */
export interface EnrolOptions {
  readonly url: string;
  /** Milliseconds. */
  readonly ttl: number;
  /** 16 bytes that the device was born with; new ones unless given. */
  readonly code?: Uint8Array;
}

export interface BanOptions {
  /** The key is banned, under whatever name: the only one that there is, or the one that is shown so. */
  readonly key?: true | { readonly fingerprint: string };
  /** Milliseconds; until somebody lifts it unless given. */
  readonly lasts?: number;
  /** At most 200 characters that can be seen. */
  readonly reason?: string;
}

/**
 * What became of somebody who asks to be let in: they wait; they wait, and their name belongs to
 * another key; or strangers cannot apply now, and nothing is known of them.
 */
export type Application = "pending" | "conflict" | "closed";

/** What sessions need of it. */
export type Admission = Pick<Peers, "find" | "bind" | "watch"> & {
  apply(kind: PeerKind, applicant: Applicant): Promise<Application>;
};

/** What a role may do with peers, besides serving them; its watchers end with it. */
export type RolePeers = Omit<Peers, "enrol" | "replaceByCode" | "bind" | "allowing">;

/**
 * Each change takes the name of whoever made it for the audit: "site" unless said. It resolves once
 * it is on disk together with its record, and everybody who watches has heard of it.
 */
export interface Peers {
  /** The peer as it stands now: one that is banned is as good as revoked, known or not. */
  find(kind: PeerKind, id: Id): Promise<Peer | null>;
  /** Every peer, by kind and id, as it is without its ban. */
  list(): Promise<readonly PeerRow[]>;
  /** Who waits for a decision, the best proven first. */
  waiting(): readonly Waiting[];
  /** Every ban in force. */
  bans(): Promise<readonly Ban[]>;
  /** Makes a code for a peer that is new or has not used its last code. @throws PeerError */
  enrol(kind: PeerKind, id: string, options: EnrolOptions, actor?: string): Promise<Enrolment>;
  /** Binds keys to a peer and uses its code up. @throws PeerError "peer_bound" when it has keys */
  bind(peer: Peer, keys: { noiseKey: Uint8Array; signKey: Uint8Array }): Promise<Peer>;
  /** Admits the key that a person has recognised. @throws PeerError */
  approve(kind: PeerKind, id: string, by: Recognition, actor?: string): Promise<Peer>;
  /** From now on the peer is refused. @throws PeerError "peer_unknown" */
  revoke(kind: PeerKind, id: string, actor?: string): Promise<void>;
  /** Forgets the peer, or whoever waits under its name. @throws PeerError "peer_unknown" */
  remove(kind: PeerKind, id: string, actor?: string): Promise<void>;
  /** The name goes to other hardware, recognised at the door. @throws PeerError */
  replace(kind: PeerKind, id: string, by: Recognition, actor?: string): Promise<Peer>;
  /** The name goes to whatever hardware comes with the new code. @throws PeerError */
  replaceByCode(
    kind: PeerKind,
    id: string,
    options: EnrolOptions,
    actor?: string,
  ): Promise<Enrolment>;
  /**
   * Refuses a name, or a key under whatever name, for a time: sessions end at once, and applications are
   * not noted. Afterwards the peer is what it was. The end of its time is told to nobody.
   * @returns the ban that holds: an earlier one, where that lasts longer
   * @throws PeerError "bans_full", "bad_text"; "key_unknown", "key_ambiguous", "applicant_unproven"
   */
  ban(kind: PeerKind, id: string, options?: BanOptions, actor?: string): Promise<Ban>;
  /** Lifts every ban that was made under this name. @throws PeerError "ban_unknown" */
  unban(kind: PeerKind, id: string, actor?: string): Promise<void>;
  /** Says what people call it, at most 64 characters; null for nothing. @throws PeerError */
  rename(kind: PeerKind, id: string, name: string | null, actor?: string): Promise<void>;
  /** Whether strangers may apply. */
  join(): JoinState;
  /** Lets strangers apply, an hour at most. @throws PeerError "bad_duration" */
  openJoin(milliseconds: number, actor?: string): Promise<JoinState>;
  closeJoin(actor?: string): Promise<JoinState>;
  /**
   * Notes that somebody asks to be let in, if strangers may now, or if they hold the code of the name
   * or wait already. @throws PeerError "peer_banned"
   */
  apply(kind: PeerKind, applicant: Applicant): Promise<Application>;
  /** Hears of every peer that is no longer what it was, until the returned function is called. */
  watch(listener: (kind: PeerKind, id: Id, peer: Peer | null) => void): () => void;
  /** What tells, from now on, whether the embedded broker lets in a client with this id. */
  allowing(): Promise<(id: Id) => boolean>;
}

/** A role's own door to them. @param role whose name its changes bear when nobody else's is given */
export function scopedPeers(
  peers: Peers,
  { role, defer }: { role: string; defer: (undo: () => void) => void },
): RolePeers {
  const actor = `role:${role}`;
  return {
    find: (kind, id) => peers.find(kind, id),
    list: () => peers.list(),
    waiting: () => peers.waiting(),
    bans: () => peers.bans(),
    join: () => peers.join(),
    apply: (kind, applicant) => peers.apply(kind, applicant),
    approve: (kind, id, by, who = actor) => peers.approve(kind, id, by, who),
    revoke: (kind, id, who = actor) => peers.revoke(kind, id, who),
    remove: (kind, id, who = actor) => peers.remove(kind, id, who),
    replace: (kind, id, by, who = actor) => peers.replace(kind, id, by, who),
    ban: (kind, id, options, who = actor) => peers.ban(kind, id, options, who),
    unban: (kind, id, who = actor) => peers.unban(kind, id, who),
    rename: (kind, id, name, who = actor) => peers.rename(kind, id, name, who),
    openJoin: (milliseconds, who = actor) => peers.openJoin(milliseconds, who),
    closeJoin: (who = actor) => peers.closeJoin(who),
    watch(listener) {
      const stop = peers.watch(listener);
      defer(stop);
      return stop;
    },
  };
}
