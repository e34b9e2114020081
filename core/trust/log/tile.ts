/**
 * How a log is laid out for reading (C2SP tlog-tiles): hashes in tiles of 256, which never change once
 * they are full, and entries in bundles of as many. Tile N of level L holds nodes `256·N …` of tree
 * level 8·L; one that is not full yet is named with its width. Everything is a file that can be cached.
 */
import { concat, viewOf } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import { type Hash, type HashedNode, type Node, nodeHash } from "./merkle.ts";
import type { Suite } from "../crypto.ts";

/** Hashes of a full tile, entries of a full bundle. */
export const tileWidth = 256;
/** Levels of the tree that one tile stands for. */
const tileHeight = 8;
const hashLength = 32;

/** A tile of hashes, or a bundle of entries. */
export interface Tile {
  readonly level: number | "entries";
  readonly index: number;
  /** From 1 to 256. */
  readonly width: number;
}

export class TileError extends CodedError<"malformed"> {
  override readonly name = "TileError";
}

/** `tile/L/N` and, when it is not full, `.p/W`; N in groups of three digits: `x001/x234/067`. */
export function tilePath({ level, index, width }: Tile): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/\d{3}/g)!;
  const path = groups.map((group, i) => i < groups.length - 1 ? `x${group}` : group).join("/");
  return `tile/${level}/${path}${width < tileWidth ? `.p/${width}` : ""}`;
}

/** Null when it is no path of a tile in its one form. */
export function parseTilePath(path: string): Tile | null {
  const [, level, groups, width] =
    /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path) ?? [];
  if (level === undefined) return null;
  const tile: Tile = {
    level: level === "entries" ? level : Number(level),
    index: Number(groups!.replace(/[x/]/g, "")),
    width: width === undefined ? tileWidth : Number(width),
  };
  const isOne = Number.isSafeInteger(tile.index) && tile.width > 0 && tilePath(tile) === path;
  return isOne ? tile : null;
}

/** How wide a tile is in a log of this size; 0 when there is none yet. */
export function widthOf({ level, index }: Omit<Tile, "width">, size: number): number {
  const each = level === "entries" ? 1 : 2 ** (tileHeight * level);
  return Math.max(0, Math.min(tileWidth, Math.floor(size / each) - index * tileWidth));
}

/** The tile that a node's hash is made of, and which of its hashes: `[from, to)`. */
export function placeOf({ level, index }: Node): {
  readonly tile: Omit<Tile, "width"> & { readonly level: number };
  readonly from: number;
  readonly to: number;
} {
  const tileLevel = Math.floor(level / tileHeight);
  const count = 2 ** (level - tileLevel * tileHeight);
  const first = index * count;
  const tileIndex = Math.floor(first / tileWidth);
  const from = first - tileIndex * tileWidth;
  return { tile: { level: tileLevel, index: tileIndex }, from, to: from + count };
}

/** Whether a new node is one of those that tiles hold. */
export function isInTile({ level }: HashedNode): boolean {
  return level % tileHeight === 0;
}

/** A node's hash from its tile's. @throws TileError when the tile is too short */
export function hashIn(
  suite: Pick<Suite, "sha256">,
  tile: Uint8Array,
  { from, to }: { from: number; to: number },
): Hash {
  if (tile.length % hashLength !== 0 || tile.length < to * hashLength) {
    throw new TileError("malformed", "Cannot read the tile: hashes are missing");
  }
  let hashes: Hash[] = [];
  for (let i = from; i < to; i++) hashes.push(tile.slice(i * hashLength, (i + 1) * hashLength));
  while (hashes.length > 1) {
    const pairs = Array.from({ length: hashes.length / 2 }, (_, i) => i * 2);
    hashes = pairs.map((i) => nodeHash(suite, hashes[i]!, hashes[i + 1]!));
  }
  return hashes[0]!;
}

/** A bundle: each entry behind its length in two bytes. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  return concat(...entries.flatMap((entry) => {
    const length = new Uint8Array(2);
    viewOf(length).setUint16(0, entry.length);
    return [length, entry];
  }));
}

/** @throws TileError */
export function decodeBundle(bytes: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length;) {
    const end = at + 2 <= bytes.length ? at + 2 + view.getUint16(at) : Infinity;
    if (end > bytes.length || entries.length >= tileWidth) {
      throw new TileError(
        "malformed",
        "Cannot read the entries: they do not end where they should",
      );
    }
    entries.push(bytes.slice(at + 2, end));
    at = end;
  }
  return entries;
}
