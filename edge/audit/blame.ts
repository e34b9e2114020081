/**
 * Which of two hashes for one place in the tree is the right one: the one from which the other hashes
 * of the log lead to the signed root. Two that differ cannot both, so what is wrong can be named.
 */
import { equalBytes } from "../../core/base/bytes.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import {
  type Hash,
  type HashedNode,
  inclusionNodes,
  type Node,
  nodeHash,
  rootOf,
} from "../../core/trust/log/merkle.ts";
import { hashIn, placeOf, widthOf } from "../../core/trust/log/tile.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { SignedCheckpoint } from "./signatures.ts";
import { type LogSource, readHashes } from "./source.ts";

/** The hash that leads to the root, or null when neither does. */
export async function rightOne(
  suite: Suite,
  { source, checkpoint: { size, root }, node, hashes }: {
    readonly source: LogSource;
    readonly checkpoint: SignedCheckpoint;
    readonly node: Node;
    readonly hashes: readonly Hash[];
  },
): Promise<Hash | null> {
  let siblings: { isLeft: boolean; hash: Hash }[];
  try {
    siblings = await siblingsOf(suite, { source, size, node });
  } catch (error) {
    // what the other tiles are worth is not the question here
    if (error instanceof CodedError) return null;
    throw error;
  }
  const leads = (hash: Hash) =>
    equalBytes(
      siblings.reduce(
        (below, { isLeft, hash }) =>
          isLeft ? nodeHash(suite, hash, below) : nodeHash(suite, below, hash),
        hash,
      ),
      root,
    );
  return hashes.find(leads) ?? null;
}

/** What the node is hashed with on the way to the root. */
async function siblingsOf(
  suite: Suite,
  { source, size, node }: { source: LogSource; size: number; node: Node },
): Promise<{ isLeft: boolean; hash: Hash }[]> {
  const first = node.index * 2 ** node.level;
  const siblings: { isLeft: boolean; hash: Hash }[] = [];
  // the first ones lie within the node
  for (const parts of inclusionNodes(first, size).slice(node.level)) {
    const hashed: HashedNode[] = [];
    for (const part of parts) {
      const { tile, ...span } = placeOf(part);
      const bytes = await readHashes(source, { ...tile, width: widthOf(tile, size) });
      hashed.push({ ...part, hash: hashIn(suite, bytes, span) });
    }
    siblings.push({
      isLeft: parts[0]!.index * 2 ** parts[0]!.level < first,
      hash: rootOf(suite, hashed.map(({ hash }) => hash)),
    });
  }
  return siblings;
}
