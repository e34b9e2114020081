/** The Merkle tree against a naive one, straight from the definitions of RFC 6962 §2.1. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "../../base/bytes.ts";
import { nobleSuite } from "../crypto_noble.ts";
import {
  consistencyNodes,
  emptyRoot,
  GrowingTree,
  type Hash,
  inclusionNodes,
  leafHash,
  type Node,
  nodeHash,
  nodesOf,
  provesConsistency,
  provesInclusion,
  rootOf,
} from "./merkle.ts";

const suite = nobleSuite((length) => new Uint8Array(length));
const leaves = Array.from({ length: 70 }, (_, i) => leafHash(suite, utf8(`entry ${i}`)));
const anySize = fc.integer({ min: 1, max: leaves.length });

/** MTH(D[n]). */
function naiveRoot(hashes: readonly Hash[]): Hash {
  if (hashes.length === 0) return emptyRoot(suite);
  if (hashes.length === 1) return hashes[0]!;
  const k = splitOf(hashes.length);
  return nodeHash(suite, naiveRoot(hashes.slice(0, k)), naiveRoot(hashes.slice(k)));
}

/** PATH(m, D[n]). */
function naivePath(m: number, hashes: readonly Hash[]): Hash[] {
  if (hashes.length === 1) return [];
  const k = splitOf(hashes.length);
  return m < k
    ? [...naivePath(m, hashes.slice(0, k)), naiveRoot(hashes.slice(k))]
    : [...naivePath(m - k, hashes.slice(k)), naiveRoot(hashes.slice(0, k))];
}

/** SUBPROOF(m, D[n], b). */
function naiveSubproof(m: number, hashes: readonly Hash[], b: boolean): Hash[] {
  if (m === hashes.length) return b ? [] : [naiveRoot(hashes)];
  const k = splitOf(hashes.length);
  return m <= k
    ? [...naiveSubproof(m, hashes.slice(0, k), b), naiveRoot(hashes.slice(k))]
    : [...naiveSubproof(m - k, hashes.slice(k), false), naiveRoot(hashes.slice(0, k))];
}

function splitOf(n: number): number {
  return 2 ** Math.floor(Math.log2(n - 1));
}

/** What a log that keeps the hash of every complete subtree gives out. */
function grown(size: number) {
  const tree = new GrowingTree(suite);
  const kept = new Map<string, Hash>();
  for (const leaf of leaves.slice(0, size)) {
    for (const { level, index, hash } of tree.append(leaf)) kept.set(`${level}/${index}`, hash);
  }
  const hashOf = ({ level, index }: Node) => kept.get(`${level}/${index}`)!;
  const proofOf = (nodes: Node[][]) => nodes.map((part) => rootOf(suite, part.map(hashOf)));
  return { tree, hashOf, proofOf };
}

Deno.test("the empty tree and single leaves hash as RFC 6962 says", () => {
  assert.deepEqual(emptyRoot(suite), suite.sha256(new Uint8Array()));
  assert.deepEqual(leafHash(suite, utf8("a")), suite.sha256(utf8("\0a")));
  assert.deepEqual(new GrowingTree(suite).root, emptyRoot(suite));
});

Deno.test("a GrowingTree has the root of the definition at every size, also when taken up again", () => {
  for (let size = 0; size <= leaves.length; size++) {
    const { tree, hashOf } = grown(size);
    assert.deepEqual(tree.root, naiveRoot(leaves.slice(0, size)));
    const again = new GrowingTree(suite, size, nodesOf(size).map(hashOf));
    assert.deepEqual([again.size, again.root], [size, tree.root]);
  }
});

Deno.test("proofs are those of the definition, and prove", () => {
  for (let size = 1; size <= 40; size++) {
    const { tree: { root }, proofOf } = grown(size);
    for (let index = 0; index < size; index++) {
      const proof = proofOf(inclusionNodes(index, size));
      assert.deepEqual(proof, naivePath(index, leaves.slice(0, size)));
      assert.ok(provesInclusion(suite, { index, size, leaf: leaves[index]!, proof, root }));
    }
    for (let old = 1; old <= size; old++) {
      const proof = proofOf(consistencyNodes(old, size));
      assert.deepEqual(proof, naiveSubproof(old, leaves.slice(0, size), true));
      const oldRoot = naiveRoot(leaves.slice(0, old));
      assert.ok(provesConsistency(suite, { old, size, oldRoot, root, proof }), `${old}, ${size}`);
    }
  }
});

Deno.test("a proof with anything changed proves nothing", () => {
  const change = fc.record({ hash: fc.nat(), byte: fc.nat(31), bit: fc.nat(7) });
  fc.assert(fc.property(anySize, fc.nat(), change, (size, any, { hash, byte, bit }) => {
    const { tree: { root }, proofOf } = grown(size);
    const index = any % size;
    const leaf = leaves[index]!;
    const flipped = (proof: Hash[]) =>
      proof.map((one, i) => i === hash % proof.length ? flip(one, byte, bit) : one);

    const path = proofOf(inclusionNodes(index, size));
    const included = { index, size, leaf, proof: path, root };
    const refused = (changed: object) =>
      assert.equal(provesInclusion(suite, { ...included, ...changed }), false);
    refused({ leaf: flip(leaf, byte, bit) });
    refused({ root: flip(root, byte, bit) });
    refused({ index: size });
    refused({ index: -1 });
    refused({ proof: [...path, root] });
    if (path.length > 0) {
      refused({ proof: flipped(path) });
      refused({ proof: path.slice(1) });
    }

    const old = index + 1;
    const oldRoot = naiveRoot(leaves.slice(0, old));
    const proof = proofOf(consistencyNodes(old, size));
    const grew = { old, size, oldRoot, root, proof };
    const denied = (changed: object) =>
      assert.equal(provesConsistency(suite, { ...grew, ...changed }), false);
    denied({ root: flip(root, byte, bit) });
    denied({ oldRoot: flip(oldRoot, byte, bit) });
    denied({ proof: [...proof, root] });
    denied({ old: size + 1 });
    if (proof.length > 0) {
      denied({ proof: flipped(proof) });
      denied({ proof: proof.slice(1) });
    }
  }));
});

function flip(hash: Hash, byte: number, bit: number): Hash {
  const changed = hash.slice();
  changed[byte]! ^= 1 << bit;
  return changed;
}
