/**
 * What may happen to a peer, as plain functions from what it was to what it is: enrolled with a code,
 * approved with its keys, revoked. `null` is a peer that the site does not know.
 */
import { equalBytes } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import type { Id } from "../../base/id.ts";
import { zeroPsk } from "../../trust/session/handshake.ts";
import type { PeerKind } from "../../wire/peer.ts";

export type PeerState = "enrolled" | "approved" | "revoked";

export interface Peer {
  readonly kind: PeerKind;
  readonly id: Id;
  readonly state: PeerState;
  /** There from "approved" on. */
  readonly noiseKey: Uint8Array | null;
  /** Bound by the first data frame of the approved key; no call is taken before. */
  readonly signKey: Uint8Array | null;
  /** Zeros without a code. */
  readonly psk: Uint8Array;
  /** When an unused code stops working, Unix milliseconds; 0 without a code. */
  readonly codeExpires: number;
}

export type PeerErrorCode =
  | "peer_exists"
  | "peer_unknown"
  | "peer_bound"
  | "peer_revoked"
  | "applicant_unknown"
  | "words_differ"
  | "words_expired"
  | "applicant_unproven"
  | "peer_banned"
  | "ban_unknown"
  | "bans_full"
  | "key_unknown"
  | "key_ambiguous"
  | "bad_duration"
  | "bad_text";

export class PeerError extends CodedError<PeerErrorCode> {
  override readonly name = "PeerError";
}

/** Whom it is about. */
export interface Name {
  readonly kind: PeerKind;
  readonly id: Id;
}

/** A code for a peer that is new, or has not used its last one. */
export function enrolled(
  peer: Peer | null,
  name: Name,
  code: { psk: Uint8Array; expires: number },
): Peer {
  if (peer !== null && peer.state !== "enrolled") {
    throw new PeerError("peer_exists", `Cannot enrol the ${text(name)}: it is ${peer.state}`, {
      hint: "choose another id; or replace the peer's hardware, or remove the peer, first",
    });
  }
  return awaiting(name, code);
}

/** The keys of the one who came with the code, or the statement key of the approved one. */
export function bound(
  peer: Peer | null,
  name: Name,
  keys: { noiseKey: Uint8Array; signKey: Uint8Array },
): Peer {
  const open = peer?.state === "enrolled" ||
    peer?.state === "approved" && peer.signKey === null &&
      equalBytes(peer.noiseKey!, keys.noiseKey);
  if (!open) throw new PeerError("peer_bound", `Cannot bind the ${text(name)}: it has its keys`);
  return { ...peer, ...keys, state: "approved" };
}

/** The key that a person has recognised. */
export function approved(peer: Peer | null, name: Name, noiseKey: Uint8Array): Peer {
  if (peer?.state === "revoked") throw revokedError("approve", name);
  if (peer?.state === "approved") {
    throw new PeerError("peer_exists", `Cannot approve the ${text(name)}: it has another key`, {
      hint: `if its hardware was replaced: edgeward peers replace ${name.kind}/${name.id}`,
    });
  }
  return {
    ...name,
    ...{ state: "approved", noiseKey, signKey: null, psk: zeroPsk, codeExpires: 0 },
  };
}

/** New hardware under the same name: its key, or a code with which it will come. */
export function replaced(
  peer: Peer | null,
  name: Name,
  by: { noiseKey: Uint8Array; holdsCode: boolean } | { psk: Uint8Array; expires: number },
): Peer {
  if (peer === null) throw unknownError("replace", name);
  if (peer.state === "revoked") throw revokedError("replace", name);
  if ("psk" in by) return awaiting(name, by);
  const psk = by.holdsCode ? peer.psk : zeroPsk;
  return { ...peer, state: "approved", noiseKey: by.noiseKey, signKey: null, psk };
}

/** Refused from now on. Its psk is forgotten, its keys are kept for the record. */
export function revoked(peer: Peer | null, name: Name): Peer {
  if (peer === null) throw unknownError("revoke", name);
  return { ...peer, state: "revoked", psk: zeroPsk, codeExpires: 0 };
}

/** What a peer is while its ban lasts, for all who let peers in: as good as revoked. */
export function shutOut(peer: Peer | null, name: Name): Peer {
  const { noiseKey = null, signKey = null } = peer ?? {};
  return { ...name, state: "revoked", noiseKey, signKey, psk: zeroPsk, codeExpires: 0 };
}

/** Gone: the name is free again. */
export function removed(peer: Peer | null, name: Name): null {
  if (peer === null) throw unknownError("remove", name);
  return null;
}

function awaiting(name: Name, { psk, expires }: { psk: Uint8Array; expires: number }): Peer {
  return {
    ...name,
    ...{ state: "enrolled", noiseKey: null, signKey: null, psk, codeExpires: expires },
  };
}

export function unknownError(what: string, name: Name): PeerError {
  return new PeerError("peer_unknown", `Cannot ${what} the ${text(name)}: it is unknown`, {
    hint: "`edgeward peers list` shows who is known",
  });
}

function revokedError(what: string, name: Name): PeerError {
  return new PeerError("peer_revoked", `Cannot ${what} the ${text(name)}: it is revoked`, {
    hint: `to let it in again, first: edgeward peers remove ${name.kind}/${name.id}`,
  });
}

/** A name as messages say it. */
export function text({ kind, id }: Name): string {
  return `${kind} "${id}"`;
}
