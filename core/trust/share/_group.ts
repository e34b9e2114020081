/**
 * ristretto255 (RFC 9496) and its scalars, as the schemes need them: decoding that takes one encoding
 * only, never the identity, never zero. The curve itself is noble's.
 */
import { ristretto255 } from "@noble/curves/ed25519.js";
import type { Suite } from "../crypto.ts";
import { ShareError } from "./scheme.ts";

export const { Point } = ristretto255;
export type Element = InstanceType<typeof Point>;

/** Whole numbers below the group's order; 32 bytes little-endian. */
export const { Fn } = Point;

/** The element, or null for anything but the encoding of one that is not the identity. */
export function decodeElement(bytes: Uint8Array): Element | null {
  if (bytes.length !== 32) return null;
  try {
    const element = Point.fromBytes(bytes);
    return element.equals(Point.ZERO) ? null : element;
  } catch {
    return null;
  }
}

export function isElement(bytes: Uint8Array): boolean {
  return decodeElement(bytes) !== null;
}

/** A scalar that is not zero. @throws ShareError "bad_share" */
export function decodeScalar(bytes: Uint8Array): bigint {
  if (bytes.length === 32) {
    try {
      const scalar = Fn.fromBytes(bytes);
      if (scalar !== 0n) return scalar;
    } catch { /* noble refuses what is not below the order */ }
  }
  throw new ShareError("bad_share", "Cannot use the share: it is no scalar of ristretto255");
}

/** Uniform but for 2^-128, never zero (RFC 9497 §4.7.2): wider than the order, then reduced. */
export function randomScalar(suite: Pick<Suite, "randomBytes">): bigint {
  for (;;) {
    const wide = suite.randomBytes(64);
    let scalar = 0n;
    for (let i = wide.length; i-- > 0;) scalar = scalar << 8n | BigInt(wide[i]!);
    wide.fill(0);
    const reduced = Fn.create(scalar);
    if (reduced !== 0n) return reduced;
  }
}

/**
 * What to multiply each value with, so that the sum is the polynomial's value at 0, by index.
 * @param indices different whole numbers from 1
 */
export function lagrangeAtZero(indices: readonly number[]): bigint[] {
  return indices.map((i) => {
    let [numerator, denominator] = [1n, 1n];
    for (const j of indices) {
      if (j === i) continue;
      numerator = Fn.mul(numerator, BigInt(j));
      denominator = Fn.mul(denominator, Fn.create(BigInt(j - i)));
    }
    return Fn.mul(numerator, Fn.inv(denominator));
  });
}
