/**
 * Schemes `shamir` (any k of n pieces, over GF(2^8)) and `xor` (all n): a secret made for one volume,
 * of which each gateway keeps a piece and hands it out. A SHA-256 commitment to every piece stands in
 * the volume's header, so a wrong one is named and the others still open the volume. Pieces are
 * uniformly random, 32 bytes and more, so their hashes give nothing away.
 */
import { combine, split } from "shamir-secret-sharing";
import { equalBytes, toHex } from "../../base/bytes.ts";
import type { Suite } from "../crypto.ts";
import { type Answer, type Combiner, requireThreshold, ShareError } from "./scheme.ts";

export type PieceScheme = "shamir" | "xor";

export interface SplitSecret {
  /** 32 bytes. Wipe it once the volume's key is made. */
  readonly secret: Uint8Array;
  /** For gateway 1 to n: of `xor` 32 bytes, of `shamir` 33, the last one its place. */
  readonly pieces: Uint8Array[];
  /** SHA-256 of each piece. */
  readonly commitments: Uint8Array[];
}

const secretLength = 32;

/**
 * Makes a secret and splits it. Polynomials and places of `shamir` come from the library's own source
 * of chance, the runtime's; the Suite gives all else.
 * @throws ShareError "bad_threshold"
 */
export async function splitSecret(
  suite: Suite,
  { scheme, k, n }: { scheme: PieceScheme; k: number; n: number },
): Promise<SplitSecret> {
  requireThreshold(scheme, { k, n });
  const secret = Uint8Array.from(suite.randomBytes(secretLength));
  const pieces = scheme === "shamir"
    ? await split(secret, n, k)
    : splitByXor(secret, Array.from({ length: n - 1 }, () => suite.randomBytes(secretLength)));
  return { secret, pieces, commitments: pieces.map((piece) => suite.sha256(piece)) };
}

/** The random pieces, and one that makes their sum the secret. */
function splitByXor(secret: Uint8Array, random: readonly Uint8Array[]): Uint8Array[] {
  return [...random, xor([secret, ...random])];
}

function xor(parts: readonly Uint8Array[]): Uint8Array {
  const sum = new Uint8Array(secretLength);
  for (const part of parts) {
    for (let i = 0; i < secretLength; i++) sum[i]! ^= part[i]!;
  }
  return sum;
}

/**
 * What a device collects.
 * @param options.commitments one for each gateway, in the order of their indices
 * @throws ShareError "bad_threshold", "bad_commitments"
 */
export function pieceCombiner(
  suite: Suite,
  options: { scheme: PieceScheme; k: number; commitments: readonly Uint8Array[] },
): Combiner {
  return new PieceCombiner(suite, options);
}

class PieceCombiner implements Combiner {
  readonly k: number;
  readonly #suite: Suite;
  readonly #scheme: PieceScheme;
  readonly #commitments: readonly Uint8Array[];
  readonly #pieces = new Map<number, Uint8Array>();

  constructor(suite: Suite, { scheme, k, commitments }: Parameters<typeof pieceCombiner>[1]) {
    requireThreshold(scheme, { k, n: commitments.length });
    // One piece in two places would count twice and help once.
    const different = new Set(commitments.map((one) => toHex(one)));
    if (different.size !== commitments.length || commitments.some((one) => one.length !== 32)) {
      const message = "Cannot use the commitments: they are not different hashes";
      throw new ShareError("bad_commitments", message);
    }
    this.k = k;
    this.#suite = suite;
    this.#scheme = scheme;
    this.#commitments = commitments;
  }

  get good(): readonly number[] {
    return [...this.#pieces.keys()].sort((a, b) => a - b);
  }

  take(index: number, { answer }: Answer): void {
    const commitment = this.#commitments[index - 1];
    if (commitment === undefined) {
      throw new ShareError(
        "member_unknown",
        `Cannot take the piece of member ${index}: no such one`,
      );
    }
    const length = this.#scheme === "shamir" ? secretLength + 1 : secretLength;
    if (answer.length !== length || !equalBytes(this.#suite.sha256(answer), commitment)) {
      const message = `Cannot take the piece of member ${index}: it is not what was dealt`;
      throw new ShareError("bad_piece", message);
    }
    this.#pieces.set(index, Uint8Array.from(answer));
  }

  async result(): Promise<Uint8Array | null> {
    const pieces = [...this.#pieces.values()];
    if (pieces.length < this.k) return null;
    if (this.#scheme === "xor") return xor(pieces);
    try {
      return await combine(pieces);
    } catch (error) {
      // Two pieces in one place: no dealer of ours makes such.
      const message = "Cannot combine the pieces: they are not of one secret";
      throw new ShareError("bad_commitments", message, { cause: error });
    }
  }
}
