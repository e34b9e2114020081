/**
 * The Merkle tree of a log (RFC 6962 §2.1): how entries are hashed into one root, which other hashes
 * prove that an entry is in it (§2.1.1), and which prove that one tree grew out of another (§2.1.2).
 * A verifier walks the definitions backwards, so that both sides read alike.
 *
 * A tree of any size consists of complete subtrees. A node is one of them: at level L it holds 2^L
 * leaves, and node i of a level begins with leaf i·2^L. Sizes are below 2^53.
 */
import { equalBytes } from "../../base/bytes.ts";
import type { Suite } from "../crypto.ts";

export type Hash = Uint8Array;

/** A complete subtree. */
export interface Node {
  readonly level: number;
  readonly index: number;
}

export interface HashedNode extends Node {
  readonly hash: Hash;
}

/** Leaves `[from, to)` that hang together in the tree: a subtree, complete or at the right edge. */
interface Span {
  readonly from: number;
  readonly to: number;
}

type Sha256 = Pick<Suite, "sha256">;

const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

export function leafHash({ sha256 }: Sha256, entry: Uint8Array): Hash {
  return sha256(leafPrefix, entry);
}

export function nodeHash({ sha256 }: Sha256, left: Hash, right: Hash): Hash {
  return sha256(nodePrefix, left, right);
}

export function emptyRoot({ sha256 }: Sha256): Hash {
  return sha256();
}

/** The complete subtrees of a tree from left to right, the largest first. */
export function nodesOf(size: number): Node[] {
  return nodesIn({ from: 0, to: size });
}

/** The root of a tree, or of a part of it, from the hashes of its complete subtrees. */
export function rootOf(suite: Sha256, hashes: readonly Hash[]): Hash {
  return hashes.length === 0
    ? emptyRoot(suite)
    : hashes.reduceRight((right, left) => nodeHash(suite, left, right));
}

/** For each hash of the proof that leaf `index` is in the tree, leaf side first, what it is made of. */
export function inclusionNodes(index: number, size: number): Node[][] {
  return inclusionSpans(index, { from: 0, to: size }).map(nodesIn);
}

/** For each hash of the proof that the tree grew from its first `old` leaves, what it is made of. */
export function consistencyNodes(old: number, size: number): Node[][] {
  if (old === 0) return [];
  return consistencySpans(old, size).map(nodesIn);
}

/** Whether a leaf is at a place in the tree with this root. */
export function provesInclusion(
  suite: Sha256,
  { index, size, leaf, proof, root }: {
    readonly index: number;
    readonly size: number;
    readonly leaf: Hash;
    readonly proof: readonly Hash[];
    readonly root: Hash;
  },
): boolean {
  if (!isSize(size) || !isSize(index) || index >= size) return false;
  const spans = inclusionSpans(index, { from: 0, to: size });
  if (proof.length !== spans.length) return false;
  const computed = spans.reduce(
    (hash, { from }, i) =>
      from <= index ? nodeHash(suite, proof[i]!, hash) : nodeHash(suite, hash, proof[i]!),
    leaf,
  );
  return equalBytes(computed, root);
}

/** Whether a tree is the beginning of another. The empty tree begins any other: no proof says more. */
export function provesConsistency(
  suite: Sha256,
  { old, size, oldRoot, root, proof }: {
    readonly old: number;
    readonly size: number;
    readonly oldRoot: Hash;
    readonly root: Hash;
    readonly proof: readonly Hash[];
  },
): boolean {
  if (!isSize(old) || !isSize(size) || old === 0 || old > size) return false;
  const spans = consistencySpans(old, size);
  if (proof.length !== spans.length) return false;
  // both roots grow from the last part that the trees share, which may be the old tree itself
  const isOldTree = spans.length === 0 || spans[0]!.from >= old;
  const shared = isOldTree ? oldRoot : proof[0]!;
  let [before, after] = [shared, shared];
  for (let i = isOldTree ? 0 : 1; i < spans.length; i++) {
    if (spans[i]!.from >= old) after = nodeHash(suite, after, proof[i]!);
    else {
      before = nodeHash(suite, proof[i]!, before);
      after = nodeHash(suite, proof[i]!, after);
    }
  }
  return equalBytes(before, oldRoot) && equalBytes(after, root);
}

/** Appends leaves and tells every complete subtree that comes to be, so that its hash can be kept. */
export class GrowingTree {
  readonly #suite: Sha256;
  /** The complete subtrees of the tree, the largest first. */
  readonly #edge: HashedNode[];
  #size: number;

  /** @param hashes of `nodesOf(size)`, in their order */
  constructor(suite: Sha256, size = 0, hashes: readonly Hash[] = []) {
    this.#suite = suite;
    this.#size = size;
    this.#edge = nodesOf(size).map((node, i) => ({ ...node, hash: hashes[i]! }));
  }

  get size(): number {
    return this.#size;
  }

  get root(): Hash {
    return rootOf(this.#suite, this.#edge.map(({ hash }) => hash));
  }

  /** The new complete subtrees, the leaf first. */
  append(leaf: Hash): HashedNode[] {
    let node: HashedNode = { level: 0, index: this.#size++, hash: leaf };
    const complete = [node];
    for (let left = this.#edge.at(-1); left?.level === node.level; left = this.#edge.at(-1)) {
      this.#edge.pop();
      node = {
        level: node.level + 1,
        index: left.index / 2,
        hash: nodeHash(this.#suite, left.hash, node.hash),
      };
      complete.push(node);
    }
    this.#edge.push(node);
    return complete;
  }
}

/** PATH(index, D[from:to]), from the leaf to the root. */
function inclusionSpans(index: number, { from, to }: Span): Span[] {
  const siblings: Span[] = [];
  while (to - from > 1) {
    const middle = from + largestPowerBelow(to - from);
    if (index < middle) {
      siblings.push({ from: middle, to });
      to = middle;
    } else {
      siblings.push({ from, to: middle });
      from = middle;
    }
  }
  return siblings.reverse();
}

/** SUBPROOF(old, D[0:size], true), from the smallest part to the largest. */
function consistencySpans(old: number, size: number): Span[] {
  const spans: Span[] = [];
  let [from, to] = [0, size];
  while (to !== old) {
    const middle = from + largestPowerBelow(to - from);
    if (old <= middle) {
      spans.push({ from: middle, to });
      to = middle;
    } else {
      spans.push({ from, to: middle });
      from = middle;
    }
  }
  if (from > 0) spans.push({ from, to });
  return spans.reverse();
}

/** Cuts a span that begins where a subtree of its size may begin into complete subtrees. */
function nodesIn({ from, to }: Span): Node[] {
  const nodes: Node[] = [];
  while (from < to) {
    let level = 0;
    let leaves = 1;
    while (leaves * 2 <= to - from) {
      leaves *= 2;
      level++;
    }
    nodes.push({ level, index: from / leaves });
    from += leaves;
  }
  return nodes;
}

/** The largest power of two below n, for n > 1. */
function largestPowerBelow(n: number): number {
  let power = 1;
  while (power * 2 < n) power *= 2;
  return power;
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
