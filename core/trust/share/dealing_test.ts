/** Dealing: shares on a polynomial, commitments that tell which, and what is refused. */
import assert from "node:assert/strict";
import { ristretto255, ristretto255_FROST } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { concat, fromHex, toHex } from "../../base/bytes.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import type { Suite } from "../crypto.ts";
import { wholeKey } from "./_test_group.ts";
import { checkShare, deal, publicShare } from "./dealing.ts";
import { ShareError } from "./scheme.ts";

const suite = nativeSuite();
const { Point } = ristretto255;

function refuses(code: string, act: () => unknown): void {
  assert.throws(act, (error) => error instanceof ShareError && error.code === code);
}

const thresholds = fc.integer({ min: 1, max: 8 }).chain((n) =>
  fc.record({ n: fc.constant(n), k: fc.integer({ min: 1, max: n }) })
);

Deno.test("deal() gives shares that its commitments vouch for, and nobody else's", () => {
  fc.assert(
    fc.property(thresholds, ({ k, n }) => {
      const { shares, commitments } = deal(suite, { k, n });
      assert.deepEqual([shares.length, commitments.length], [n, k]);
      for (const [i, share] of shares.entries()) {
        checkShare(share, { index: i + 1, commitments });
        const key = Point.BASE.multiply(Point.Fn.fromBytes(share)).toBytes();
        assert.deepEqual(publicShare(commitments, i + 1), key);
        if (k > 1) {
          refuses("bad_share", () => checkShare(share, { index: i + 2, commitments }));
        }
      }
      const key = Point.BASE.multiply(Point.Fn.fromBytes(wholeKey({ shares, commitments })));
      assert.deepEqual(key.toBytes(), commitments[0]);
    }),
    { numRuns: 15 },
  );
});

Deno.test("any k shares of a dealing give the one key that C0 commits to", () => {
  const { shares, commitments } = deal(suite, { k: 3, n: 5 });
  const keys = new Set<string>();
  for (const members of [[1, 2, 3], [5, 4, 3], [1, 3, 5], [4, 2, 1]]) {
    const key = ristretto255_FROST.combineSecret(
      members.map((i) => ({
        identifier: ristretto255_FROST.Identifier.fromNumber(i),
        signingShare: shares[i - 1]!,
      })),
      { min: 3, max: 5 },
    );
    keys.add(toHex(key));
    assert.deepEqual(Point.BASE.multiply(Point.Fn.fromBytes(key)).toBytes(), commitments[0]);
  }
  assert.equal(keys.size, 1);
});

Deno.test("deal() draws each coefficient from 64 bytes of the Suite, never zero, and wipes them", () => {
  const drawn: Uint8Array[] = [];
  const order = fromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  const [zero, alsoZero] = [new Uint8Array(64), concat(order, new Uint8Array(32))];
  const draws = [zero, suite.randomBytes(64), alsoZero];
  const scripted: Suite = {
    ...suite,
    randomBytes(length) {
      const bytes = draws.shift() ?? suite.randomBytes(length);
      assert.equal(length, 64);
      drawn.push(bytes);
      return bytes;
    },
  };
  const { shares, commitments } = deal(scripted, { k: 2, n: 3 });
  assert.equal(drawn.length, 4);
  for (const bytes of drawn) assert.deepEqual(bytes, new Uint8Array(64));
  for (const [i, share] of shares.entries()) checkShare(share, { index: i + 1, commitments });
});

Deno.test("deal() deals anew when a member would get nothing", () => {
  // a(x) = 3 − x is zero at 3
  const scalar = (value: bigint) => concat(Point.Fn.toBytes(value), new Uint8Array(32));
  const minusOne = Point.Fn.ORDER - 1n;
  const draws = [3n, minusOne, 4n, minusOne].map(scalar);
  const { shares } = deal({ ...suite, randomBytes: () => draws.shift()! }, { k: 2, n: 3 });
  assert.deepEqual(shares.map((share) => Point.Fn.fromBytes(share)), [3n, 2n, 1n]);
});

Deno.test("deal() refuses thresholds that are none", () => {
  for (const [k, n] of [[0, 1], [2, 1], [1, 0], [1, 33], [33, 33], [1.5, 2], [NaN, 2], [1, NaN]]) {
    refuses("bad_threshold", () => deal(suite, { k: k!, n: n! }));
  }
  assert.equal(deal(suite, { k: 32, n: 32 }).shares.length, 32);
});

Deno.test("checkShare() refuses what is no scalar, and commitments that are no elements", () => {
  const { shares: [share, second], commitments } = deal(suite, { k: 2, n: 2 });
  const check = (share: Uint8Array, commitments: readonly Uint8Array[], index = 1) => () =>
    checkShare(share, { index, commitments });
  const past = Point.Fn.toBytes(Point.Fn.ORDER - 1n).with(0, 0xed); // the order itself
  for (const bad of [new Uint8Array(32), past, share!.slice(1), concat(share!, share!)]) {
    refuses("bad_share", check(bad, commitments));
  }
  refuses("bad_share", check(share!.with(0, share![0]! ^ 1), commitments));
  refuses("bad_share", check(second!, commitments.toReversed(), 2));
  for (const bad of [new Uint8Array(32), new Uint8Array(32).fill(255), new Uint8Array(31)]) {
    refuses("bad_commitments", check(share!, commitments.with(0, bad)));
    refuses("bad_commitments", check(share!, commitments.with(1, bad)));
  }
  refuses("bad_commitments", check(share!, []));
  refuses("bad_commitments", check(share!, Array(33).fill(commitments[0])));
  for (const index of [0, -1, 33, 1.5, NaN]) {
    refuses("member_unknown", check(share!, commitments, index));
    refuses("member_unknown", () => publicShare(commitments, index));
  }
});

Deno.test("publicShare() refuses a polynomial that is zero at the member", () => {
  const commitment = (value: bigint) => Point.BASE.multiply(value).toBytes();
  const commitments = [commitment(3n), commitment(Point.Fn.ORDER - 1n)];
  assert.deepEqual(publicShare(commitments, 2), Point.BASE.toBytes());
  refuses("bad_commitments", () => publicShare(commitments, 3));
});
