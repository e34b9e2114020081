/**
 * The threshold evaluation against RFC 9497, Appendix A.1.2 (ristretto255-SHA512, VOPRF mode), against
 * Evaluate under the whole key, and against gateways that lie.
 */
import assert from "node:assert/strict";
import { ristretto255, ristretto255_oprf } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { fromHex, toHex, utf8 } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import type { Suite } from "../crypto.ts";
import { answerOf, groupOf, type TestGroup, wholeKey } from "./_test_group.ts";
import { deal, publicShare } from "./dealing.ts";
import type { Answer, Combiner, ShareErrorCode } from "./scheme.ts";
import { ShareError } from "./scheme.ts";
import { evaluate, volumeInput, voprfCombiner } from "./voprf.ts";

const suite = nativeSuite();
const { Point } = ristretto255;
const { voprf } = ristretto255_oprf;
const input = volumeInput(parseId("pi-1"), new Uint8Array(16).fill(7));

/** RFC 9497 A.1.2: the key pair and the vectors of batch size 1. */
const rfc = {
  skSm: "e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909",
  pkSm: "c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e",
  blind: "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706",
  proofRandomScalar: "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e",
  vectors: [{
    input: "00",
    blinded: "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945",
    evaluated: "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e",
    proof: "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd06" +
      "6d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
    output: "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7d" +
      "a4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c",
  }, {
    input: "5a".repeat(17),
    blinded: "cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c",
    evaluated: "60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468",
    proof: "401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a" +
      "67154fabf031fd936051dec80b0b6ae29c9503493dde7393b722eafdf5a50b02",
    output: "8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60" +
      "356f4610bf816f27afdd84f47719e480906d27ecd994985890e5f539e7ea74b6",
  }],
};

/** A Suite that draws what noble maps to this scalar: its 48 bytes modulo (order − 1), plus 1. */
function drawing(scalar: string): Suite {
  let one = Point.Fn.fromBytes(fromHex(scalar)) - 1n;
  const drawn = new Uint8Array(48);
  for (let i = 0; i < 32; i++, one >>= 8n) drawn[i] = Number(one & 255n);
  return { ...suite, randomBytes: (length) => drawn.slice(0, length) };
}

/** The element times the vectors' blind. */
function blinded(element: Uint8Array): string {
  const blind = Point.Fn.fromBytes(fromHex(rfc.blind));
  return Point.fromBytes(element).multiply(blind).toHex();
}

/** A group of one with a given key. */
function groupOfOne(share: string, key: string): TestGroup {
  return groupOf(suite, { shares: [fromHex(share)], commitments: [fromHex(key)] });
}

function codeOf(act: () => unknown): ShareErrorCode | "none" {
  try {
    act();
    return "none";
  } catch (error) {
    if (error instanceof ShareError) return error.code;
    throw error;
  }
}

for (const [i, vector] of rfc.vectors.entries()) {
  Deno.test(`a group of one is RFC 9497 A.1.2, test vector ${i + 1}`, async () => {
    const bytes = fromHex(vector.input);
    const group = groupOfOne(rfc.skSm, rfc.pkSm);
    const answer = answerOf(suite, group, { index: 1, input: bytes });
    assert.equal(blinded(answer.answer), vector.evaluated);
    const unproven = answerOf(suite, group, { index: 1, input: bytes, proof: false });
    assert.deepEqual(unproven, { answer: answer.answer, proof: null });
    for (const proofs of ["required", "later"] as const) {
      const combiner = voprfCombiner(suite, { roster: group.roster, input: bytes, proofs });
      combiner.take(1, answer);
      assert.equal(toHex((await combiner.result())!), vector.output);
    }
    // With the key 1 the answer is the hash itself.
    const unit = groupOfOne(`01${"00".repeat(31)}`, Point.BASE.toHex());
    const hash = answerOf(suite, unit, { index: 1, input: bytes, proof: false });
    assert.equal(blinded(hash.answer), vector.blinded);
  });

  Deno.test(`proofs are those of RFC 9497 A.1.2, test vector ${i + 1}`, () => {
    const { randomBytes } = drawing(rfc.proofRandomScalar);
    const [sk, pk, element] = [rfc.skSm, rfc.pkSm, vector.blinded].map(fromHex);
    const made = voprf.blindEvaluate(sk!, pk!, element!, (length = 32) => randomBytes(length));
    assert.equal(toHex(made.evaluated), vector.evaluated);
    assert.equal(toHex(made.proof), vector.proof);
  });
}

Deno.test("evaluate() draws the proof's nonce from the Suite, and no other chance", () => {
  const group = groupOfOne(rfc.skSm, rfc.pkSm);
  const [a, b] = [1, 2].map(() => {
    return answerOf(drawing(rfc.proofRandomScalar), group, { index: 1, input });
  });
  assert.deepEqual(a, b);
  assert.notDeepEqual(answerOf(suite, group, { index: 1, input }).proof, a!.proof);
});

Deno.test("volumeInput() says the device's length, so that no two pairs give the same", () => {
  const volume = fromHex("000102030405060708090a0b0c0d0e0f");
  assert.equal(
    toHex(volumeInput(parseId("pi-1"), volume)),
    `${toHex(utf8("edgeward/volume/1"))}04${toHex(utf8("pi-1"))}${toHex(volume)}`,
  );
  assert.equal(volumeInput(parseId("x".repeat(64)), volume)[17], 64);
  for (const length of [0, 15, 17]) {
    assert.equal(codeOf(() => volumeInput(parseId("a"), new Uint8Array(length))), "malformed");
  }
});

Deno.test("inputs are those of RFC 9497, at most 65535 bytes", () => {
  const group = groupOfOne(rfc.skSm, rfc.pkSm);
  for (const proof of [true, false]) {
    const of = (length: number) => () =>
      answerOf(suite, group, { index: 1, input: new Uint8Array(length), proof });
    assert.equal(codeOf(of(65_535)), "none");
    assert.equal(codeOf(of(65_536)), "malformed");
  }
});

Deno.test("evaluate() refuses a share or public share that is none", () => {
  const { shares: [share], commitments: [key] } = deal(suite, { k: 1, n: 1 }) as {
    shares: [Uint8Array];
    commitments: [Uint8Array];
  };
  const order = fromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  for (const bad of [new Uint8Array(32), order, share.slice(1), new Uint8Array(32).fill(255)]) {
    for (const proof of [true, false]) {
      const act = () => evaluate(suite, { share: bad, publicShare: key, input, proof });
      assert.equal(codeOf(act), "bad_share", toHex(bad));
    }
  }
  for (const bad of [new Uint8Array(32), key.slice(1), new Uint8Array(32).fill(255)]) {
    const act = () => evaluate(suite, { share, publicShare: bad, input, proof: true });
    assert.equal(codeOf(act), "bad_share", toHex(bad));
  }
});

/** Evaluate of the RFC (§3.3.2), by the whole protocol with a random blind. */
function evaluated(key: Uint8Array): Uint8Array {
  const publicKey = Point.BASE.multiply(Point.Fn.fromBytes(key)).toBytes();
  const { blind, blinded } = voprf.blind(input);
  const { evaluated, proof } = voprf.blindEvaluate(key, publicKey, blinded);
  return voprf.finalize(input, blind, evaluated, blinded, publicKey, proof);
}

/** A group with the proven answers of all its members, and what they must come to. */
function answered({ k, n }: { k: number; n: number }) {
  const group = groupOf(suite, deal(suite, { k, n }));
  const answers = group.roster.members.map(({ index }) => answerOf(suite, group, { index, input }));
  return { group, answers, expected: evaluated(wholeKey(group)) };
}

const groups = [[1, 1], [1, 3], [2, 3], [3, 5], [5, 5]].map(([k, n]) => {
  return { k: k!, n: n!, ...answered({ k: k!, n: n! }) };
});
const anyGroup = fc.constantFrom(...groups);
const runs = { numRuns: 40 };

function combinerOf({ roster }: TestGroup, proofs: "required" | "later" = "required"): Combiner {
  return voprfCombiner(suite, { roster, input, proofs });
}

Deno.test("every k of n combine to Evaluate under the whole key, in any order; fewer to null", async () => {
  for (const { k, n, group, answers, expected } of groups) {
    for (let subset = 0; subset < 1 << n; subset++) {
      const members = answers.keys().filter((i) => subset >> i & 1).map((i) => i + 1).toArray();
      if (members.length > k) continue;
      const combiner = combinerOf(group, "later");
      for (const index of subset % 2 ? members : members.toReversed()) {
        combiner.take(index, { answer: answers[index - 1]!.answer, proof: null });
      }
      assert.deepEqual(combiner.good, members);
      assert.equal(combiner.k, k);
      const result = await combiner.result();
      assert.deepEqual(result, members.length === k ? expected : null, `${k} of ${n}: ${members}`);
    }
  }
});

Deno.test("an altered answer is always named and never spoils the result", async () => {
  const altered = fc.tuple(
    anyGroup,
    fc.nat(),
    fc.nat(),
    fc.nat(7),
    fc.boolean(),
    fc.infiniteStream(
      fc.nat(),
    ),
  );
  await fc.assert(
    fc.asyncProperty(
      altered,
      async ([{ k, n, group, answers, expected }, who, at, bit, first, order]) => {
        const liar = who % n + 1;
        const bytes = new Uint8Array([...answers[liar - 1]!.answer, ...answers[liar - 1]!.proof!]);
        bytes[at % bytes.length]! ^= 1 << bit;
        const lie = { answer: bytes.slice(0, 32), proof: bytes.slice(32) };
        const members = group.roster.members.map(({ index }) => index)
          .map((index) => ({ index, key: order.next().value as number }))
          .sort((a, b) => a.key - b.key).map(({ index }) => index);
        const combiner = combinerOf(group);
        for (const index of members) {
          if (index === liar && first) {
            assert.match(codeOf(() => combiner.take(liar, lie)), /^bad_(proof|point)$/);
          }
          if (index !== liar) combiner.take(index, answers[index - 1]!);
        }
        assert.match(codeOf(() => combiner.take(liar, lie)), /^bad_(proof|point)$/);
        assert.ok(!combiner.good.includes(liar));
        assert.deepEqual(await combiner.result(), n - 1 >= k ? expected : null);
        combiner.take(liar, answers[liar - 1]!);
        assert.deepEqual(await combiner.result(), expected);
      },
    ),
    runs,
  );
});

const [, , twoOfThree] = groups as [unknown, unknown, typeof groups[number]];

/** Adds a polynomial that is 0 at 0: other shares of the same key. */
function refreshed({ shares, commitments }: TestGroup): TestGroup {
  const { Fn } = Point;
  const step = 12345n;
  return groupOf(suite, {
    shares: shares.map((share, i) => {
      return Fn.toBytes(Fn.add(Fn.fromBytes(share), Fn.mul(step, BigInt(i + 1))));
    }),
    commitments: commitments.map((bytes, j) => {
      return j === 1 ? Point.fromBytes(bytes).add(Point.BASE.multiply(step)).toBytes() : bytes;
    }),
  }, { epoch: 2 });
}

Deno.test("a stale share is named, though its proof holds under the commitments of its epoch", async () => {
  const { group, answers, expected } = twoOfThree;
  const next = refreshed(group);
  assert.deepEqual(next.commitments[0], group.commitments[0]);
  assert.deepEqual(evaluated(wholeKey(next)), expected);
  const combiner = combinerOf(next);
  assert.equal(codeOf(() => combiner.take(2, answers[1]!)), "bad_proof");
  for (const index of [1, 3]) combiner.take(index, answerOf(suite, next, { index, input }));
  assert.deepEqual(await combiner.result(), expected);
});

Deno.test("an answer for another input, or of another member, is named", () => {
  const { group, answers } = twoOfThree;
  const combiner = combinerOf(group);
  const other = volumeInput(parseId("pi-2"), new Uint8Array(16).fill(7));
  const foreign = answerOf(suite, group, { index: 1, input: other });
  assert.equal(codeOf(() => combiner.take(1, foreign)), "bad_proof");
  assert.equal(codeOf(() => combiner.take(1, answers[1]!)), "bad_proof");
  for (const index of [0, 4, -1, 1.5, NaN]) {
    assert.equal(codeOf(() => combiner.take(index, answers[0]!)), "member_unknown");
  }
  assert.deepEqual(combiner.good, []);
});

Deno.test("an answer must be the one encoding of an element, never the identity", () => {
  const { group, answers: [good] } = twoOfThree as { group: TestGroup; answers: Answer[] };
  const notCanonical = good!.answer.with(31, good!.answer[31]! | 0x80);
  const negative = good!.answer.with(0, good!.answer[0]! ^ 1);
  for (
    const answer of [
      ...[new Uint8Array(0), new Uint8Array(32), good!.answer.slice(1), new Uint8Array(33)],
      ...[notCanonical, negative, new Uint8Array(32).fill(255), group.shares[0]!.with(31, 0xff)],
    ]
  ) {
    for (const proof of [null, good!.proof]) {
      const act = () => combinerOf(group, "later").take(1, { answer, proof });
      assert.equal(codeOf(act), "bad_point", toHex(answer));
    }
  }
  for (const proof of [0, 63, 65, 128].map((length) => new Uint8Array(length))) {
    const act = () => combinerOf(group).take(1, { answer: good!.answer, proof });
    assert.equal(codeOf(act), "bad_proof");
  }
});

Deno.test("without proofs a liar spoils the result, and is named when proofs are asked for", async () => {
  const { group, answers, expected } = twoOfThree;
  const combiner = combinerOf(group, "later");
  const word = (answer: Answer) => ({ answer: answer.answer, proof: null });
  combiner.take(1, word(answers[1]!)); // a good element, but not its own
  combiner.take(2, word(answers[1]!));
  assert.notDeepEqual(await combiner.result(), expected);
  assert.equal(codeOf(() => combiner.take(1, answers[1]!)), "bad_proof");
  assert.deepEqual(combiner.good, [2], "its unproven answer is gone as well");
  combiner.take(2, answers[1]!);
  combiner.take(3, answers[2]!);
  assert.deepEqual(await combiner.result(), expected);
});

Deno.test("proven answers are used before unproven ones", async () => {
  const { group, answers, expected } = twoOfThree;
  const combiner = combinerOf(group, "later");
  combiner.take(1, { answer: answers[1]!.answer, proof: null });
  for (const index of [2, 3]) combiner.take(index, answers[index - 1]!);
  assert.deepEqual(combiner.good, [1, 2, 3]);
  assert.deepEqual(await combiner.result(), expected);
});

Deno.test("a member that repeats itself changes nothing; one that contradicts itself is named", async () => {
  const { group, answers, expected } = twoOfThree;
  const word = (index: number) => ({ answer: answers[index - 1]!.answer, proof: null });
  const combiner = combinerOf(group, "later");
  combiner.take(1, word(1));
  combiner.take(1, word(1));
  assert.deepEqual(combiner.good, [1]);
  assert.equal(codeOf(() => combiner.take(1, word(2))), "contradiction");
  assert.deepEqual(combiner.good, [], "neither of them can be told to be good");
  for (const index of [1, 2]) combiner.take(index, answers[index - 1]!);
  for (const index of [1, 2]) combiner.take(index, word(index));
  assert.equal(codeOf(() => combiner.take(1, word(2))), "contradiction");
  const again = answerOf(suite, group, { index: 1, input });
  combiner.take(1, again); // another proof of the same
  assert.deepEqual(combiner.good, [1, 2], "what was proven stays");
  assert.deepEqual(await combiner.result(), expected);

  const strict = combinerOf(group);
  assert.equal(codeOf(() => strict.take(1, word(1))), "proof_missing");
  strict.take(1, answers[0]!);
  strict.take(1, word(1));
  assert.deepEqual(strict.good, [1]);
});

Deno.test("answers that cancel each other out give another result, not an error", async () => {
  const { group, answers, expected } = twoOfThree;
  // λ1 = 2, λ2 = −1: the second answer is twice the first
  const double = Point.fromBytes(answers[0]!.answer).multiply(2n).toBytes();
  const combiner = combinerOf(group, "later");
  combiner.take(1, { answer: answers[0]!.answer, proof: null });
  combiner.take(2, { answer: double, proof: null });
  const result = await combiner.result();
  assert.equal(result!.length, 64);
  assert.notDeepEqual(result, expected);
});

Deno.test("a combiner keeps none of the bytes that it was given", async () => {
  const { group, answers, expected } = twoOfThree;
  const combiner = combinerOf(group);
  for (const index of [1, 3]) {
    const { answer, proof } = answers[index - 1]!;
    const given = { answer: answer.slice(), proof: proof!.slice() };
    combiner.take(index, given);
    given.answer.fill(0);
    given.proof.fill(0);
    combiner.take(index, { answer, proof: null }); // it still knows what it took
  }
  assert.deepEqual(await combiner.result(), expected);
});

Deno.test("proofs hold against publicShare() of the member, and of no other", () => {
  const { group, answers } = twoOfThree;
  const one = Point.Fn.toBytes(1n);
  const unit = groupOfOne(toHex(one), Point.BASE.toHex());
  const hash = answerOf(suite, unit, { index: 1, input, proof: false }).answer;
  for (const index of [1, 2, 3]) {
    for (const other of [1, 2, 3]) {
      const { answer, proof } = answers[index - 1]!;
      const key = publicShare(group.commitments, other);
      const verify = () => voprf.finalize(input, one, answer, hash, key, proof!);
      if (index === other) verify();
      else assert.throws(verify, /proof verification failed/);
    }
  }
});
