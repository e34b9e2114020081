/** A group as a dealer would make it, for tests: shares, keys and a roster that everyone signed. */
import { utf8 } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import type { Signer, Suite } from "../crypto.ts";
import { decodeScalar, Fn, lagrangeAtZero } from "./_group.ts";
import { type Dealing, publicShare } from "./dealing.ts";
import { encodeRoster, type Roster, type SignedRoster, signRoster } from "./roster.ts";
import type { Answer } from "./scheme.ts";
import { evaluate } from "./voprf.ts";

export interface TestGroup extends Dealing {
  readonly roster: Roster;
  readonly signers: readonly Signer[];
  readonly signed: SignedRoster;
}

/** @param signers of members 1 to n; the first ones of them are always the same */
export function groupOf(
  suite: Suite,
  dealing: Dealing,
  { epoch = 1, signers = signersOf(suite, dealing.shares.length), name = "test" } = {},
): TestGroup {
  const { shares, commitments } = dealing;
  const roster: Roster = {
    group: parseId(name),
    epoch,
    k: commitments.length,
    n: shares.length,
    members: signers.map((signer, i) => ({
      index: i + 1,
      id: parseId(`gw-${i + 1}`),
      url: `https://gw-${i + 1}.example:8443/a?b=c`,
      noiseKey: suite.sha256(utf8(`noise key`), signer.publicKey),
      signKey: signer.publicKey,
    })),
    commitments,
    dealers: [suite.sha256(...commitments)],
  };
  return { ...dealing, roster, signers, signed: signedBy(suite, roster, signers) };
}

export function signersOf(suite: Suite, n: number, from = 1): Signer[] {
  return Array.from({ length: n }, (_, i) => {
    return suite.ed25519.signer(suite.sha256(utf8(`gateway ${i + from}`)));
  });
}

export function signedBy(
  suite: Suite,
  roster: Roster,
  signers: readonly Signer[],
): SignedRoster {
  const payload = encodeRoster(roster);
  return { roster, payload, statements: signers.map((one) => signRoster(suite, one, payload)) };
}

/** What member `index` answers. */
export function answerOf(
  suite: Suite,
  { shares, commitments }: Dealing,
  { index, input, proof = true }: { index: number; input: Uint8Array; proof?: boolean },
): Answer {
  const share = shares[index - 1]!;
  return evaluate(suite, { share, publicShare: publicShare(commitments, index), input, proof });
}

/** The key that nobody should hold, from the first k shares. */
export function wholeKey({ shares, commitments }: Dealing): Uint8Array {
  const weights = lagrangeAtZero(commitments.map((_, i) => i + 1));
  const key = weights.reduce((sum, weight, i) => {
    return Fn.add(sum, Fn.mul(weight, decodeScalar(shares[i]!)));
  }, 0n);
  return Fn.toBytes(key);
}
