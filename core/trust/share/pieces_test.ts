/** Pieces of a secret: who has enough opens, who lies is named. */
import assert from "node:assert/strict";
import { combine } from "shamir-secret-sharing";
import fc from "fast-check";
import { fromHex } from "../../base/bytes.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import { pieceCombiner, type PieceScheme, splitSecret } from "./pieces.ts";
import { type Answer, ShareError } from "./scheme.ts";

const suite = nativeSuite();
const said = (answer: Uint8Array): Answer => ({ answer, proof: null });

function refuses(code: string, act: () => unknown): void {
  assert.throws(act, (error) => error instanceof ShareError && error.code === code);
}

const split = fc.integer({ min: 2, max: 8 }).chain((n) =>
  fc.record({
    scheme: fc.constantFrom<PieceScheme>("shamir", "xor"),
    n: fc.constant(n),
    k: fc.integer({ min: 2, max: n }),
  })
).map((one) => one.scheme === "xor" ? { ...one, k: one.n } : one);

const order = fc.infiniteStream(fc.nat());

Deno.test("any k pieces give the secret, in any order; fewer give null", async () => {
  await fc.assert(
    fc.asyncProperty(split, order, async ({ scheme, k, n }, keys) => {
      const { secret, pieces, commitments } = await splitSecret(suite, { scheme, k, n });
      assert.deepEqual([secret.length, pieces.length, commitments.length], [32, n, n]);
      const members = pieces.map((piece, i) => ({ piece, index: i + 1, key: keys.next().value }))
        .sort((a, b) => a.key - b.key);
      const combiner = pieceCombiner(suite, { scheme, k, commitments });
      assert.equal(combiner.k, k);
      for (const [taken, { index, piece }] of members.entries()) {
        assert.deepEqual(await combiner.result(), taken < k ? null : secret);
        combiner.take(index, said(piece));
        combiner.take(index, said(piece)); // again: nothing changes
        assert.equal(combiner.good.length, taken + 1);
        assert.ok(combiner.good.includes(index));
      }
      assert.deepEqual(await combiner.result(), secret);
    }),
    { numRuns: 60 },
  );
});

Deno.test("an altered piece is always named and never spoils the result", async () => {
  await fc.assert(
    fc.asyncProperty(
      split,
      fc.nat(),
      fc.nat(),
      fc.nat(7),
      async ({ scheme, k, n }, who, at, bit) => {
        const { secret, pieces, commitments } = await splitSecret(suite, { scheme, k, n });
        const liar = who % n + 1;
        const piece = pieces[liar - 1]!;
        const lie = piece.with(at % piece.length, piece[at % piece.length]! ^ 1 << bit);
        const combiner = pieceCombiner(suite, { scheme, k, commitments });
        for (const [i, piece] of pieces.entries()) {
          if (i + 1 === liar) refuses("bad_piece", () => combiner.take(liar, said(lie)));
          else combiner.take(i + 1, said(piece));
        }
        assert.ok(!combiner.good.includes(liar));
        assert.deepEqual(await combiner.result(), n - 1 >= k ? secret : null);
        combiner.take(liar, said(piece));
        refuses("bad_piece", () => combiner.take(liar, said(lie)));
        assert.deepEqual(await combiner.result(), secret, "a good one stays");
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("a piece of another member, of another length or of nobody is refused", async () => {
  for (const scheme of ["shamir", "xor"] as const) {
    const { pieces, commitments } = await splitSecret(suite, { scheme, k: 3, n: 3 });
    const combiner = pieceCombiner(suite, { scheme, k: 3, commitments });
    const [piece, other] = pieces as [Uint8Array, Uint8Array];
    for (const bad of [other, piece.slice(1), new Uint8Array(0), new Uint8Array(4096)]) {
      refuses("bad_piece", () => combiner.take(1, said(bad)));
    }
    const cut = commitments.with(0, suite.sha256(piece.slice(1))); // as no dealer of ours makes it
    const misled = pieceCombiner(suite, { scheme, k: 3, commitments: cut });
    refuses("bad_piece", () => misled.take(1, said(piece.slice(1))));
    for (const index of [0, 4, -1, 0.5, NaN]) {
      refuses("member_unknown", () => combiner.take(index, said(piece)));
    }
    assert.deepEqual(combiner.good, []);
  }
});

Deno.test("a combiner keeps none of the bytes that it was given", async () => {
  const { secret, pieces, commitments } = await splitSecret(suite, { scheme: "xor", k: 2, n: 2 });
  const combiner = pieceCombiner(suite, { scheme: "xor", k: 2, commitments });
  for (const [i, piece] of pieces.entries()) {
    combiner.take(i + 1, said(piece));
    piece.fill(0);
  }
  assert.deepEqual(await combiner.result(), secret);
});

Deno.test("splitSecret() of shamir is the library's: combine() opens it", async () => {
  const { secret, pieces } = await splitSecret(suite, { scheme: "shamir", k: 2, n: 3 });
  assert.deepEqual(await combine([pieces[2]!, pieces[0]!]), secret);
  assert.equal(pieces[0]!.length, 33);
});

Deno.test("splitSecret() of xor sums to the secret, and no piece is the secret", async () => {
  const { secret, pieces } = await splitSecret(suite, { scheme: "xor", k: 4, n: 4 });
  const sum = new Uint8Array(32);
  for (const piece of pieces) for (let i = 0; i < 32; i++) sum[i]! ^= piece[i]!;
  assert.deepEqual(sum, secret);
  for (const piece of pieces) assert.notDeepEqual(piece, secret);
});

Deno.test("thresholds that are none are refused, at splitting and at combining", async () => {
  const bad: [PieceScheme, number, number][] = [
    ...[["shamir", 1, 3], ["shamir", 4, 3], ["shamir", 2, 33], ["shamir", 1.5, 3]],
    ...[["xor", 1, 1], ["xor", 2, 3], ["xor", 3, 2], ["xor", 33, 33]],
  ] as [PieceScheme, number, number][];
  const hashes = (n: number) =>
    Array.from({ length: Math.floor(n) }, (_, i) => new Uint8Array(32).fill(i));
  for (const [scheme, k, n] of bad) {
    await assert.rejects(splitSecret(suite, { scheme, k, n }), { code: "bad_threshold" });
    refuses("bad_threshold", () => pieceCombiner(suite, { scheme, k, commitments: hashes(n) }));
  }
  pieceCombiner(suite, { scheme: "xor", k: 32, commitments: hashes(32) });
});

Deno.test("commitments that are not different hashes are refused", () => {
  const [a, b] = [1, 2].map((n) => new Uint8Array(32).fill(n)) as [Uint8Array, Uint8Array];
  for (const commitments of [[a, a, b], [a, b, b.slice(1)], [a, b, new Uint8Array(33)]]) {
    refuses("bad_commitments", () => pieceCombiner(suite, { scheme: "shamir", k: 2, commitments }));
  }
});

Deno.test("two pieces in one place are refused as a whole: no dealer of ours makes such", async () => {
  const pieces = [1, 2].map((n) => fromHex(`${"00".repeat(31)}0${n}07`));
  const commitments = pieces.map((piece) => suite.sha256(piece));
  const combiner = pieceCombiner(suite, { scheme: "shamir", k: 2, commitments });
  for (const [i, piece] of pieces.entries()) combiner.take(i + 1, said(piece));
  await assert.rejects(combiner.result(), { code: "bad_commitments" });
});
