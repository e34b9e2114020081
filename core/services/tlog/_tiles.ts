/** The tiles of the tree in the database, and the hashes of its nodes read from them. */
import { sql } from "drizzle-orm";
import { concat } from "../../base/bytes.ts";
import type { Suite } from "../../trust/crypto.ts";
import { type Hash, type HashedNode, type Node, nodeHash, rootOf } from "../../trust/log/merkle.ts";
import { isInTile, placeOf, TileError } from "../../trust/log/tile.ts";
import type { Queries } from "../db/mod.ts";

/** The hashes of a tile, as many as there are; null when there are none. */
export async function readTile(
  q: Queries,
  { level, index }: { level: number; index: number },
): Promise<Uint8Array | null> {
  const [row] = await q.all<{ hashes: ArrayBuffer }>(
    sql`SELECT hashes FROM log_tiles WHERE level = ${level} AND tile = ${index}`,
  );
  return row === undefined ? null : new Uint8Array(row.hashes);
}

/** Tiles that are kept with what has been computed from them: about 2 MB. */
const keptTiles = 64;

/** The hashes of nodes, computed from tiles; those used last are kept, inner nodes and all. */
export class NodeHashes {
  readonly #suite: Pick<Suite, "sha256">;
  readonly #kept = new Map<string, TileTree>();

  constructor(suite: Pick<Suite, "sha256">) {
    this.#suite = suite;
  }

  /** The hash of a span for each list of nodes that it is made of. @throws TileError */
  async ofSpans(q: Queries, spans: readonly (readonly Node[])[]): Promise<Hash[]> {
    const hashes: Hash[] = [];
    for (const nodes of spans) {
      const parts: Hash[] = [];
      for (const node of nodes) {
        const { tile, from, to } = placeOf(node);
        parts.push((await this.#tree(q, { ...tile, width: to })).hash({ from, to }));
      }
      hashes.push(rootOf(this.#suite, parts));
    }
    return hashes;
  }

  /** Tiles are not what they were. */
  forget(): void {
    this.#kept.clear();
  }

  async #tree(
    q: Queries,
    { level, index, width }: { level: number; index: number; width: number },
  ): Promise<TileTree> {
    const name = `${level}/${index}`;
    let tree = this.#kept.get(name);
    if (tree === undefined || tree.width < width) {
      tree = new TileTree(this.#suite, await readTile(q, { level, index }) ?? new Uint8Array());
    }
    // the one used last is the last to go
    this.#kept.delete(name);
    this.#kept.set(name, tree);
    if (this.#kept.size > keptTiles) this.#kept.delete(this.#kept.keys().next().value!);
    return tree;
  }
}

/** A tile, and the inner nodes of its tree that somebody has asked for. */
class TileTree {
  readonly #suite: Pick<Suite, "sha256">;
  readonly #bytes: Uint8Array;
  readonly #inner = new Map<number, Hash>();

  constructor(suite: Pick<Suite, "sha256">, bytes: Uint8Array) {
    this.#suite = suite;
    this.#bytes = bytes;
  }

  get width(): number {
    return this.#bytes.length / 32;
  }

  hash({ from, to }: { from: number; to: number }): Hash {
    if (to > this.width) throw new TileError("malformed", "Cannot read the tile: it is too short");
    if (to - from === 1) return this.#bytes.subarray(32 * from, 32 * to);
    const name = from * 512 + to;
    let hash = this.#inner.get(name);
    if (hash === undefined) {
      const middle = (from + to) / 2;
      const [left, right] = [{ from, to: middle }, { from: middle, to }];
      hash = nodeHash(this.#suite, this.hash(left), this.hash(right));
      this.#inner.set(name, hash);
    }
    return hash;
  }
}

/** Adds new nodes, in the order in which they came to be, to the tiles that they belong to. */
export async function addToTiles(tx: Queries, nodes: readonly HashedNode[]): Promise<void> {
  const additions = new Map<string, { level: number; index: number; from: number; new: Hash[] }>();
  for (const node of nodes) {
    if (!isInTile(node)) continue;
    const { tile: { level, index }, from } = placeOf(node);
    const name = `${level}/${index}`;
    const addition = additions.get(name);
    if (addition === undefined) additions.set(name, { level, index, from, new: [node.hash] });
    else addition.new.push(node.hash);
  }
  for (const { level, index, from, new: hashes } of additions.values()) {
    const bytes = concat(...hashes);
    // what lies behind `from` is of a tree that was never signed
    await tx.run(
      sql`INSERT INTO log_tiles (level, tile, hashes) VALUES (${level}, ${index}, ${bytes})
      ON CONFLICT (level, tile) DO UPDATE
      SET hashes = CAST(substr(hashes, 1, ${from * 32}) || excluded.hashes AS BLOB)`,
    );
  }
}
