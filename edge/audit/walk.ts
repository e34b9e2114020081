/**
 * Goes through a log from its first entry to its last: hashes every entry, compares every hash of every
 * tile with those beneath it, and the root with the one that was signed. It holds one tile of each level
 * at a time, whatever the size of the log.
 */
import { equalBytes } from "../../core/base/bytes.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { GrowingTree, type Hash, type HashedNode, leafHash } from "../../core/trust/log/merkle.ts";
import {
  encodeBundle,
  isInTile,
  placeOf,
  type Tile,
  tilePath,
  tileWidth,
  widthOf,
} from "../../core/trust/log/tile.ts";
import { decodeLogEntry, type LogEntry, LogEntryError } from "../../core/wire/log_entry.ts";
import { rightOne } from "./blame.ts";
import type { SignedCheckpoint } from "./signatures.ts";
import { type LogSource, readBundle, readHashes, wrong } from "./source.ts";

export interface WalkOptions {
  readonly suite: Suite;
  readonly source: LogSource;
  /** What it must come to, and what messages call it. */
  readonly checkpoint: SignedCheckpoint;
  readonly path: string;
  /** Whether the entries are read as well, and not their hashes only. */
  readonly withEntries: boolean;
  /** Earlier checkpoints that the log must have grown from, the smallest first. */
  readonly since: readonly { readonly size: number; readonly root: Hash; readonly path: string }[];
  /** Takes a tile or bundle that was found right. */
  readonly keep: (tile: Tile, bytes: Uint8Array) => Promise<void>;
  readonly progress: (entries: number) => void;
}

export interface Walked {
  /** Tiles of hashes, and on how many levels they lie. */
  readonly tiles: number;
  readonly levels: number;
  readonly bundles: number;
  /** When the first and the last entry were made, Unix milliseconds. */
  readonly first: number | null;
  readonly last: number | null;
}

/** Bundles that are fetched ahead of the one that is looked at. */
const ahead = 4;
const hashLength = 32;

/** @throws FindingError for the first thing that is wrong */
export async function walk(options: WalkOptions): Promise<Walked> {
  const { suite, checkpoint: { size, root }, path, keep, progress } = options;
  const tree = new GrowingTree(suite);
  /** Of each level above the leaves, the hashes of the tile that is being filled. */
  const open = new Map<number, HashedNode[]>();
  const earlier = [...options.since];
  const count = { tiles: 0, levels: 0, bundles: 0 };
  let first: number | null = null;
  let last: number | null = null;

  const check = async (nodes: readonly HashedNode[]) => {
    await checkTile(options, nodes);
    count.tiles++;
  };
  checkEarlier(tree, { path, earlier });
  for await (const { leaves, hashes, entries, index } of bundlesOf(options)) {
    const tile: Tile = { level: 0, index, width: leaves.length };
    const from = index * tileWidth;
    for (const [i, leaf] of leaves.entries()) {
      if (!equalBytes(leaf, hashAt(hashes, i))) {
        throw await wrongLeaf(options, { index: from + i, leaf, logged: hashAt(hashes, i), tile });
      }
      if (entries !== null) {
        const { t } = readEntry(entries[i]!, { index: from + i, tile });
        first ??= t;
        last = t;
      }
      for (const node of tree.append(leaf)) {
        if (node.level === 0 || !isInTile(node)) continue;
        const nodes = open.get(node.level) ?? [];
        nodes.push(node);
        open.set(node.level, nodes);
        if (nodes.length === tileWidth) await check(nodes.splice(0));
      }
      checkEarlier(tree, { path, earlier });
    }
    await keep(tile, hashes);
    count.tiles++;
    if (entries !== null) {
      await keep({ ...tile, level: "entries" }, encodeBundle(entries));
      count.bundles++;
    }
    progress(tree.size);
  }
  for (const nodes of open.values()) if (nodes.length > 0) await check(nodes);
  if (!equalBytes(tree.root, root)) {
    throw wrong(path, `its root is not that of the ${size} entries`, {
      hint: "every tile agrees with those below it: they are of another log, or made up together",
    });
  }
  count.levels = size === 0 ? 0 : open.size + 1;
  return { ...count, first, last };
}

interface Bundle {
  readonly index: number;
  /** Hashes of the entries, or where those are not read, what the tile says. */
  readonly leaves: readonly Hash[];
  readonly hashes: Uint8Array;
  readonly entries: readonly Uint8Array[] | null;
}

/** The tiles of leaves in their order, with their entries. */
async function* bundlesOf({ suite, source, checkpoint, withEntries }: WalkOptions) {
  const { size } = checkpoint;
  const read = async (index: number): Promise<Bundle> => {
    const width = widthOf({ level: 0, index }, size);
    const [hashes, entries] = await Promise.all([
      readHashes(source, { level: 0, index, width }),
      withEntries ? readBundle(source, { index, width }) : null,
    ]);
    const leaves = entries?.map((entry) => leafHash(suite, entry)) ??
      Array.from({ length: width }, (_, i) => hashAt(hashes, i));
    return { index, leaves, hashes, entries };
  };
  const total = Math.ceil(size / tileWidth);
  const coming: Promise<Bundle>[] = [];
  for (let index = 0, next = 0; index < total; index++) {
    for (; next < Math.min(total, index + ahead); next++) {
      const bundle = read(next);
      bundle.catch(() => {}); // its turn comes, or something before it was wrong
      coming.push(bundle);
    }
    yield await coming.shift()!;
  }
}

/** Compares a tile above the leaves, hash by hash, with what was computed from below. */
async function checkTile(
  { suite, source, checkpoint, keep }: WalkOptions,
  nodes: readonly HashedNode[],
): Promise<void> {
  const { tile: place } = placeOf(nodes[0]!);
  const tile: Tile = { ...place, width: nodes.length };
  const path = tilePath(tile);
  const hashes = await readHashes(source, tile);
  for (const [i, { hash, ...node }] of nodes.entries()) {
    const theirs = hashAt(hashes, i);
    if (equalBytes(hash, theirs)) continue;
    const right = await rightOne(suite, { source, checkpoint, node, hashes: [hash, theirs] });
    const below = tilePath({ level: place.level - 1, index: node.index, width: tileWidth });
    if (right === theirs) {
      throw wrong(below, `it is not what was logged: hash ${i} of ${path} is of another`);
    }
    throw wrong(path, `its hash ${i} is not that of ${below}`);
  }
  await keep(tile, hashes);
}

async function wrongLeaf(
  { suite, source, checkpoint }: WalkOptions,
  { index, leaf, logged, tile }: { index: number; leaf: Hash; logged: Hash; tile: Tile },
) {
  const node = { level: 0, index };
  const right = await rightOne(suite, { source, checkpoint, node, hashes: [leaf, logged] });
  const [path, bundle] = [tilePath(tile), tilePath({ ...tile, level: "entries" })];
  const at = index % tileWidth;
  if (right === leaf) return wrong(path, `its hash ${at} is not that of entry ${index}`);
  const hint = "neither it nor the hash leads to the signed root: more than this is wrong";
  return wrong(
    bundle,
    `entry ${index}, number ${at} in it, is not the one whose hash is in ${path}`,
    right === null ? { hint } : {},
  );
}

function readEntry(entry: Uint8Array, { index, tile }: { index: number; tile: Tile }): LogEntry {
  try {
    return decodeLogEntry(entry);
  } catch (error) {
    if (!(error instanceof LogEntryError)) throw error;
    const path = tilePath({ ...tile, level: "entries" });
    throw wrong(path, `entry ${index} was logged like this, but it is no entry of a site`);
  }
}

/** Where the tree is as large as it was then, it must be the same. */
function checkEarlier(
  tree: GrowingTree,
  { path, earlier }: { path: string; earlier: WalkOptions["since"][number][] },
): void {
  while (earlier[0]?.size === tree.size) {
    const then = earlier.shift()!;
    if (!equalBytes(tree.root, then.root)) {
      throw wrong(
        path,
        `its first ${tree.size} entries are not those that ${then.path} was made of`,
        { hint: "the log was rewritten: keep both checkpoints, together they prove it" },
      );
    }
  }
}

function hashAt(hashes: Uint8Array, index: number): Hash {
  return hashes.subarray(index * hashLength, (index + 1) * hashLength);
}
