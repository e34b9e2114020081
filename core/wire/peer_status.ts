/**
 * What a site tells about a peer, about somebody who waits to become one, and about whoever is kept
 * out: the JSON of `edgeward peers … --json` and of the routes behind it. Instants are RFC 3339, what
 * is absent is null.
 */
import type { PeerKind } from "./peer.ts";

/**
 * `enrolled`: has a code that it has not used; `approved`; `revoked`; `pending`: waits for approval;
 * `conflict`: waits, and its name belongs to another key; `unproven`: says it has that key, and nothing
 * shows that it has; `banned`: refused for a time, and then what it was.
 */
export type PeerStanding =
  | "enrolled"
  | "approved"
  | "revoked"
  | "pending"
  | "conflict"
  | "unproven"
  | "banned";

export interface PeerStatus {
  readonly kind: PeerKind;
  readonly id: string;
  readonly state: PeerStanding;
  /** What people call it. */
  readonly name: string | null;
  /** Of its session key, as people see it; null before it has come. */
  readonly fingerprint: string | null;
  /** Of its statement key; null before it is bound. */
  readonly statement_fingerprint: string | null;
  /** What the device shows too, in a first contact. */
  readonly words: string | null;
  /** "code", "key" or "none" of who waits. */
  readonly proof: "code" | "key" | "none" | null;
  /** Of who waits. */
  readonly first_seen: string | null;
  readonly last_seen: string | null;
  readonly enrolled: string | null;
  /** When it got its keys. */
  readonly bound: string | null;
  readonly code_expires: string | null;
  readonly ban: BanStatus | null;
}

/** Why somebody is kept out. */
export interface BanStatus {
  /** The name, or the key under whatever name. */
  readonly by: "name" | "key";
  readonly reason: string | null;
  readonly actor: string;
  readonly since: string;
  /** Null until somebody lifts it. */
  readonly until: string | null;
  /** What the peer is again afterwards; null when the site knows no such peer. */
  readonly before: PeerStanding | null;
}

/** Whether devices without a code may apply. */
export interface JoinStatus {
  readonly open: boolean;
  /** When that ends; null when it is closed, or open until somebody closes it. */
  readonly until: string | null;
}
