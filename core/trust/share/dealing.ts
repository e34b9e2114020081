/**
 * Shamir's sharing of a key over the scalar field of ristretto255, with Feldman's commitments: a
 * polynomial of degree k−1 whose value at 0 is the key and at i the share of member i. The commitments
 * show whether a share lies on it, and give away the key times the generator, nothing else that helps.
 *
 * What it does not promise: whoever deals knows the key while dealing. Scalars are bigints then, which
 * no runtime can wipe; what leaves as bytes can be.
 */
import type { Suite } from "../crypto.ts";
import { decodeElement, decodeScalar, type Element, Fn, Point, randomScalar } from "./_group.ts";
import { maxMembers, requireThreshold, ShareError } from "./scheme.ts";

export interface Dealing {
  /** Of member 1 to n: scalars, 32 bytes little-endian. Wipe them once they are delivered. */
  readonly shares: Uint8Array[];
  /** C0 … C(k−1), elements of 32 bytes. */
  readonly commitments: Uint8Array[];
}

/** Deals a fresh key that nobody holds afterwards. @throws ShareError "bad_threshold" */
export function deal(suite: Suite, { k, n }: { k: number; n: number }): Dealing {
  requireThreshold("voprf", { k, n });
  // None is zero: with C0 there would be no key, and with another a commitment that no roster takes.
  const coefficients = Array.from({ length: k }, () => randomScalar(suite));
  const shares: bigint[] = [];
  for (let index = 1; index <= n; index++) shares.push(valueAt(coefficients, index));
  // Once in 2^247 times a member would get nothing.
  if (shares.includes(0n)) return deal(suite, { k, n });
  return {
    shares: shares.map((share) => Fn.toBytes(share)),
    commitments: coefficients.map((one) => Point.BASE.multiply(one).toBytes()),
  };
}

function valueAt(coefficients: readonly bigint[], index: number): bigint {
  return coefficients.reduceRight((sum, c) => Fn.add(Fn.mul(sum, BigInt(index)), c), 0n);
}

/**
 * Throws unless the share is what the commitments say: s·G = ΣC_j·i^j.
 * @throws ShareError "bad_share", "bad_commitments", "member_unknown"
 */
export function checkShare(
  share: Uint8Array,
  { index, commitments }: { index: number; commitments: readonly Uint8Array[] },
): void {
  const expected = publicElement(decodeCommitments(commitments), index);
  if (Point.BASE.multiply(decodeScalar(share)).equals(expected)) return;
  const message = `Cannot use the share of member ${index}: it is not on the committed polynomial`;
  throw new ShareError("bad_share", message);
}

/**
 * What the proofs of a member are checked with: P_i = ΣC_j·i^j, 32 bytes.
 * @throws ShareError "bad_commitments", "member_unknown"
 */
export function publicShare(commitments: readonly Uint8Array[], index: number): Uint8Array {
  return publicShares(commitments)(index);
}

/** The same for many members: the commitments are decoded once. */
export function publicShares(commitments: readonly Uint8Array[]): (index: number) => Uint8Array {
  const elements = decodeCommitments(commitments);
  return (index) => publicElement(elements, index).toBytes();
}

/** @throws ShareError "bad_commitments" */
function decodeCommitments(commitments: readonly Uint8Array[]): Element[] {
  const elements = commitments.map((one) => decodeElement(one));
  if (elements.length >= 1 && elements.length <= maxMembers && !elements.includes(null)) {
    return elements as Element[];
  }
  throw badCommitments("they are not elements of ristretto255");
}

function publicElement(commitments: readonly Element[], index: number): Element {
  if (!Number.isInteger(index) || index < 1 || index > maxMembers) {
    throw new ShareError("member_unknown", `Cannot tell the public share: no member ${index}`);
  }
  // All of this is public, so it may take as long as the numbers want.
  const element = commitments.reduceRight(
    (sum, c) => sum.multiplyUnsafe(BigInt(index)).add(c),
    Point.ZERO,
  );
  if (element.equals(Point.ZERO)) throw badCommitments(`member ${index} would have no share`);
  return element;
}

function badCommitments(why: string): ShareError {
  return new ShareError("bad_commitments", `Cannot use the commitments: ${why}`);
}
