/**
 * What a site tells about a peer, or about somebody who waits to become one: the JSON of
 * `edgeward peers … --json` and of the routes behind it. Instants are RFC 3339, absent ones null.
 */
import type { PeerKind } from "./peer.ts";

/**
 * `enrolled`: has a code that it has not used; `approved`; `revoked`; `pending`: waits for approval;
 * `conflict`: waits, and its name belongs to another key; `unproven`: says it has that key, and nothing
 * shows that it has.
 */
export type PeerStanding =
  | "enrolled"
  | "approved"
  | "revoked"
  | "pending"
  | "conflict"
  | "unproven";

export interface PeerStatus {
  readonly kind: PeerKind;
  readonly id: string;
  readonly state: PeerStanding;
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
}
