/** Proofs of one entry, with the entry in them or beside them, and what is wrong with others. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, toBase64, utf8 } from "../../core/base/bytes.ts";
import { inclusionNodes, leafHash, rootOf as rootOfNodes } from "../../core/trust/log/merkle.ts";
import { GrowingTree, type Hash } from "../../core/trust/log/merkle.ts";
import { formatProof } from "../../core/trust/log/proof_file.ts";
import { entryOf, noteOf, rootOf, suite, trust } from "./_test_log.ts";
import { type Check, FindingError } from "./finding.ts";
import { type ProofOptions, verifyProof } from "./proof.ts";

const size = 21;
const index = 13;
const entries = Array.from({ length: size }, (_, i) => entryOf(i));
const statement = utf8(`statement ${index}`);
const checkpoint = noteOf({ size, root: rootOf(entries) });
const bare = { index, path: pathOf(index), checkpoint };

function pathOf(index: number): Hash[] {
  const tree = new GrowingTree(suite);
  const hashes = new Map(
    entries.flatMap((entry) => tree.append(leafHash(suite, entry)))
      .map(({ level, index, hash }) => [`${level}/${index}`, hash]),
  );
  return inclusionNodes(index, size)
    .map((nodes) =>
      rootOfNodes(suite, nodes.map((one) => hashes.get(`${one.level}/${one.index}`)!))
    );
}

/** What is found; `null` for nothing beside the proof. */
function check(
  text: string,
  given: Uint8Array | null = null,
  options: Partial<ProofOptions> = {},
): Record<string, unknown> {
  const checks: Check[] = [];
  verifyProof({
    ...{ suite, text, path: "a.tlog-proof", trust, found: (check) => checks.push(check) },
    given: given && { bytes: given, path: "given" },
    ...options,
  });
  return Object.assign(
    { parts: checks.map(({ part }) => part) },
    ...checks.map((one) => one.facts),
  );
}

Deno.test("verifyProof() finds the entry, in the proof or beside it, and the statement", () => {
  const extra = entries[index]!;
  const parts = ["checkpoint", "signature", "witness", "witness", "quorum", "entry"];
  const within = check(formatProof({ ...bare, extra }));
  assert.deepEqual(within.parts, parts);
  assert.equal((within.entry as { subject: string }).subject, "s-13");
  assert.deepEqual(check(formatProof(bare), extra), within);
  assert.deepEqual(check(formatProof({ ...bare, extra }), extra), within);
  const named = check(formatProof({ ...bare, extra }), statement);
  assert.deepEqual(named.parts, [...parts, "statement"]);
});

Deno.test("verifyProof() refuses what it cannot lead to the signed root, and names it", () => {
  const extra = entries[index]!;
  const cases: [string, Uint8Array | null, RegExp, string][] = [
    [formatProof({ ...bare, extra: entries[12]! }), null, /does not lead from the entry/, ""],
    [formatProof({ ...bare, extra, index: 12 }), null, /does not lead from the entry/, ""],
    [formatProof({ ...bare, extra, index: 99 }), null, /does not lead from the entry/, ""],
    [formatProof(bare), entries[12]!, /does not lead from the entry/, ""],
    [
      formatProof({ ...bare, extra }),
      utf8("another"),
      /neither the entry nor the statement/,
      "given",
    ],
    ["c2sp.org/tlog-proof@v2\n\n", null, /it is no \.tlog-proof/, ""],
    [formatProof({ ...bare, extra, checkpoint: "no note" }), null, /it is no signed note/, ""],
  ];
  for (const [text, given, message, where] of cases) {
    assert.throws(() => check(text, given), (error) => {
      assert.ok(error instanceof FindingError);
      assert.match(error.message, message);
      assert.equal(error.where, where || "a.tlog-proof");
      return true;
    });
  }
  assert.throws(() => check(formatProof(bare)), { code: "usage" });
  const text = formatProof({ ...bare, extra });
  assert.throws(() => check(text, null, { trust: { ...trust, key: null } }), {
    code: "key_missing",
  });
});

Deno.test("verifyProof() notices every flipped bit of a proof", () => {
  const bytes = utf8(formatProof({ ...bare, extra: entries[index]! }));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: bytes.length * 8 - 1 }), (bit) => {
      const changed = concat(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      let text: string;
      try {
        text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(changed);
      } catch {
        return;
      }
      assert.throws(() => check(text), (error) => error instanceof FindingError, toBase64(changed));
    }),
    { seed: 7, numRuns: 1_000 },
  );
});
