/**
 * How a volume's key is spread over gateways, and what a device collects to have it back, whatever the
 * scheme (protocols.md §5): `voprf`, where gateways evaluate with shares of a key that nobody holds, or
 * `shamir` (k of n) and `xor` (all n), where each keeps a piece of a secret made for this volume.
 */
import { CodedError } from "../../base/errors.ts";

export const schemes = ["voprf", "shamir", "xor"] as const;
export type Scheme = typeof schemes[number];

export function isScheme(value: unknown): value is Scheme {
  return (schemes as readonly unknown[]).includes(value);
}

/** Gateways in a group, and pieces of a secret, at the most. */
export const maxMembers = 32;

/** What one gateway gives to one device for one volume. */
export interface Answer {
  /** Of `voprf` a point, 32 bytes; else the piece. */
  readonly answer: Uint8Array;
  /** Of `voprf` 64 bytes: that the point was made with the member's share. */
  readonly proof: Uint8Array | null;
}

/** What a device collects for one volume. */
export interface Combiner {
  /** How many good answers it takes. */
  readonly k: number;
  /** Indices of the members with good answers, ascending. */
  readonly good: readonly number[];
  /**
   * Judges and keeps an answer. The same one again changes nothing.
   * @throws ShareError the culprit is this member; what it said is not used
   */
  take(index: number, answer: Answer): void;
  /** What the volume's key is made from, or null while fewer than k answers are good. */
  result(): Promise<Uint8Array | null>;
}

export type ShareErrorCode =
  | "malformed" // not in its one encoding, or out of its bounds
  | "bad_threshold" // no such k and n
  | "member_unknown" // no member has this index
  | "proof_missing"
  | "bad_proof" // another share than the roster's, or another input
  | "bad_point" // no element of the group, or the identity
  | "bad_piece" // not what was dealt
  | "contradiction" // two unproven answers of one member differ
  | "bad_share" // does not lie on the committed polynomial
  | "bad_commitments"
  | "roster_unsigned" // signatures are missing or wrong
  | "roster_foreign" // another group
  | "roster_stale"; // not newer than the one that is held

/** Something about shares that must not be used. */
export class ShareError extends CodedError<ShareErrorCode> {
  override readonly name = "ShareError";
}

/**
 * Throws unless there can be n members of whom k are enough.
 * @throws ShareError "bad_threshold"
 */
export function requireThreshold(scheme: Scheme, { k, n }: { k: number; n: number }): void {
  const least = scheme === "voprf" ? 1 : scheme === "shamir" ? 2 : Math.max(n, 2);
  if (Number.isInteger(k) && Number.isInteger(n) && least <= k && k <= n && n <= maxMembers) return;
  const rule = {
    voprf: `1 ≤ k ≤ n ≤ ${maxMembers}`,
    shamir: `2 ≤ k ≤ n ≤ ${maxMembers}`,
    xor: `2 ≤ k = n ≤ ${maxMembers}`,
  }[scheme];
  throw new ShareError("bad_threshold", `Cannot share ${k} of ${n} by ${scheme}: ${rule}`);
}
