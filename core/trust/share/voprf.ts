/**
 * Scheme `voprf`: a threshold evaluation of the verifiable pseudorandom function of RFC 9497,
 * ristretto255-SHA512 in VOPRF mode. Gateway i answers k_i·X with its share k_i of a key that nobody
 * holds; the device combines any k answers by Lagrange to K·X and finalizes that, so the result is what
 * the RFC's Evaluate gives under K. A DLEQ proof against P_i shows that an answer was made with the
 * roster's share: who fails it is named, and the others still open the volume.
 *
 * The input is not blinded: the session hides it, and a gateway must know what it evaluates
 * (protocols.md §5). Toward the RFC's functions the device's blind is 1.
 */
import { ristretto255_hasher, ristretto255_oprf } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concat, equalBytes, utf8, viewOf } from "../../base/bytes.ts";
import type { Id } from "../../base/id.ts";
import type { Suite } from "../crypto.ts";
import {
  decodeElement,
  decodeScalar,
  type Element,
  Fn,
  isElement,
  lagrangeAtZero,
  Point,
} from "./_group.ts";
import { publicShares } from "./dealing.ts";
import type { Roster } from "./roster.ts";
import { type Answer, type Combiner, ShareError } from "./scheme.ts";

const one = Fn.toBytes(1n);
const { voprf } = ristretto255_oprf;

/** "HashToGroup-" and the context string of VOPRF mode (RFC 9497 §3.1, §4.1). */
const hashToGroupTag = concat(
  utf8("HashToGroup-OPRFV1-"),
  Uint8Array.of(1),
  utf8("-ristretto255-SHA512"),
);

/**
 * What gateways evaluate for a device's volume: "edgeward/volume/1" | u8 length | device | volume.
 * @param device who the session says it is, never what the request says
 * @param volume 16 bytes
 */
export function volumeInput(device: Id, volume: Uint8Array): Uint8Array {
  if (volume.length !== 16) throw malformed("a volume's id is 16 bytes");
  const name = utf8(device);
  return concat(utf8("edgeward/volume/1"), Uint8Array.of(name.length), name, volume);
}

/**
 * A gateway's answer. That share and public share belong together is the caller's to know: otherwise
 * every proof is wrong (`checkShare`).
 * @throws ShareError "bad_share"
 */
export function evaluate(
  suite: Suite,
  { share, publicShare, input, proof }: {
    share: Uint8Array;
    publicShare: Uint8Array;
    input: Uint8Array;
    proof: boolean;
  },
): Answer {
  const scalar = decodeScalar(share);
  const element = hashToGroup(input);
  if (!proof) return { answer: element.multiply(scalar).toBytes(), proof: null };
  try {
    const random = (length = 32) => suite.randomBytes(length);
    const made = voprf.blindEvaluate(share, publicShare, element.toBytes(), random);
    return { answer: made.evaluated, proof: made.proof };
  } catch (error) {
    if (isElement(publicShare)) throw error;
    throw new ShareError("bad_share", "Cannot evaluate: the public share is no element");
  }
}

/**
 * What a device collects. With proofs `required` an answer is proven or refused. With `later` it may
 * come without: a liar then goes unnoticed until the result does not open the volume. Ask again with
 * proofs and take those answers, here or in a new combiner; proven answers are used first.
 */
export function voprfCombiner(
  _suite: Suite,
  options: { roster: Roster; input: Uint8Array; proofs: "required" | "later" },
): Combiner {
  return new VoprfCombiner(options);
}

interface Taken {
  readonly bytes: Uint8Array;
  readonly element: Element;
  readonly proven: boolean;
}

class VoprfCombiner implements Combiner {
  readonly k: number;
  readonly #roster: Roster;
  readonly #input: Uint8Array;
  readonly #required: boolean;
  readonly #blinded: Uint8Array;
  readonly #publicShare: (index: number) => Uint8Array;
  readonly #taken = new Map<number, Taken>();

  constructor({ roster, input, proofs }: Parameters<typeof voprfCombiner>[1]) {
    this.k = roster.k;
    this.#roster = roster;
    this.#input = input;
    this.#required = proofs === "required";
    this.#blinded = hashToGroup(input).toBytes();
    this.#publicShare = publicShares(roster.commitments);
  }

  get good(): readonly number[] {
    return [...this.#taken.keys()].sort((a, b) => a - b);
  }

  take(index: number, answer: Answer): void {
    if (!this.#roster.members.some((member) => member.index === index)) {
      throw new ShareError(
        "member_unknown",
        `Cannot take an answer of member ${index}: no such one`,
      );
    }
    const before = this.#taken.get(index);
    try {
      this.#taken.set(index, this.#judge(index, answer, before));
    } catch (error) {
      // What it said before is worth no more than its word, unless it was proven.
      if (before?.proven === false) this.#taken.delete(index);
      throw error;
    }
  }

  #judge(index: number, { answer, proof }: Answer, before: Taken | undefined): Taken {
    const same = before !== undefined && equalBytes(before.bytes, answer);
    if (same && (before.proven || proof === null)) return before;
    if (proof === null && this.#required) throw refused(index, "proof_missing", "it has no proof");
    const element = decodeElement(answer);
    if (element === null) throw refused(index, "bad_point", "it is no element of ristretto255");
    if (proof === null && before !== undefined) {
      throw refused(index, "contradiction", "it gave another one before");
    }
    if (proof !== null) this.#verify(index, answer, proof);
    return { bytes: answer.slice(), element, proven: proof !== null };
  }

  #verify(index: number, answer: Uint8Array, proof: Uint8Array): void {
    const key = this.#publicShare(index);
    try {
      voprf.finalize(this.#input, one, answer, this.#blinded, key, proof);
    } catch {
      throw refused(index, "bad_proof", "its proof is wrong");
    }
  }

  // deno-lint-ignore require-await -- the schemes with pieces have something to wait for
  async result(): Promise<Uint8Array | null> {
    const [proven, word] = [true, false].map((proven) =>
      this.good.filter((index) => this.#taken.get(index)!.proven === proven)
    ) as [number[], number[]];
    const indices = [...proven, ...word].slice(0, this.k);
    return indices.length < this.k ? null : this.#combine(indices);
  }

  #combine(indices: readonly number[]): Uint8Array {
    const weights = lagrangeAtZero(indices);
    const sum = indices.reduce(
      // the weights are public: only they decide how long it takes
      (sum, index, i) => sum.add(this.#taken.get(index)!.element.multiplyUnsafe(weights[i]!)),
      Point.ZERO,
    );
    return finalize(this.#input, sum.toBytes());
  }
}

function hashToGroup(input: Uint8Array): Element {
  if (input.length > 0xffff) throw malformed("an input is at most 65535 bytes");
  return ristretto255_hasher.hashToCurve(input, { DST: hashToGroupTag });
}

/** The output for an evaluated element, the blind being 1 (RFC 9497 §3.3.1), 64 bytes. */
function finalize(input: Uint8Array, element: Uint8Array): Uint8Array {
  return sha512(concat(prefixed(input), prefixed(element), utf8("Finalize")));
}

/** Two bytes of length before it. */
function prefixed(bytes: Uint8Array): Uint8Array {
  const length = new Uint8Array(2);
  viewOf(length).setUint16(0, bytes.length);
  return concat(length, bytes);
}

function refused(index: number, code: ShareError["code"], why: string): ShareError {
  return new ShareError(code, `Cannot take the answer of member ${index}: ${why}`);
}

function malformed(why: string): ShareError {
  return new ShareError("malformed", `Cannot evaluate: ${why}`);
}
