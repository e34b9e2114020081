/** Tiles: their names, what is in them, and that a log read through them proves as the tree itself. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, utf8 } from "../../base/bytes.ts";
import { nobleSuite } from "../crypto_noble.ts";
import {
  GrowingTree,
  type Hash,
  inclusionNodes,
  leafHash,
  type Node,
  provesInclusion,
  rootOf,
} from "./merkle.ts";
import {
  decodeBundle,
  encodeBundle,
  hashIn,
  isInTile,
  parseTilePath,
  placeOf,
  type Tile,
  tilePath,
  widthOf,
} from "./tile.ts";

const suite = nobleSuite((length) => new Uint8Array(length));

Deno.test("tilePath() names tiles as the standard does", () => {
  const names: [Tile, string][] = [
    [{ level: 0, index: 0, width: 256 }, "tile/0/000"],
    [{ level: 0, index: 1_234_067, width: 256 }, "tile/0/x001/x234/067"],
    [{ level: 1, index: 999, width: 1 }, "tile/1/999.p/1"],
    [{ level: "entries", index: 1_000, width: 255 }, "tile/entries/x001/000.p/255"],
  ];
  for (const [tile, path] of names) {
    assert.equal(tilePath(tile), path);
    assert.deepEqual(parseTilePath(path), tile);
  }
  for (
    const path of [
      ...["tile/0/0", "tile/0/x000/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01"],
      ...["tile/00/000", "tile/-1/000", "tile/0/001/000", "tile/data/000", "/tile/0/000"],
      ...["tile/0/x999/x999/x999/x999/x999/999"],
    ]
  ) assert.equal(parseTilePath(path), null, path);
});

Deno.test("widthOf() says how much of a tile is there", () => {
  assert.equal(widthOf({ level: 0, index: 0 }, 0), 0);
  assert.equal(widthOf({ level: 0, index: 1 }, 300), 44);
  assert.equal(widthOf({ level: 0, index: 0 }, 300), 256);
  assert.equal(widthOf({ level: 1, index: 0 }, 300), 1);
  assert.equal(widthOf({ level: 1, index: 0 }, 255), 0);
  assert.equal(widthOf({ level: "entries", index: 3 }, 1_000), 232);
});

Deno.test("every proof can be made from tiles alone", () => {
  const size = 1_000;
  const tree = new GrowingTree(suite);
  const tiles = new Map<string, Hash[]>();
  const leaves = Array.from({ length: size }, (_, i) => leafHash(suite, utf8(`${i}`)));
  for (const leaf of leaves) {
    for (const node of tree.append(leaf)) {
      if (!isInTile(node)) continue;
      const { tile: { level, index }, from } = placeOf(node);
      const name = `${level}/${index}`;
      const hashes = tiles.get(name) ?? [];
      assert.equal(hashes.length, from);
      tiles.set(name, [...hashes, node.hash]);
    }
  }
  for (const [name, hashes] of tiles) {
    const [level, index] = name.split("/").map(Number) as [number, number];
    assert.equal(hashes.length, widthOf({ level, index }, size));
  }
  const hashOf = (node: Node) => {
    const { tile: { level, index }, from, to } = placeOf(node);
    return hashIn(suite, concat(...tiles.get(`${level}/${index}`)!), { from, to });
  };
  for (const index of [0, 1, 255, 256, 511, 767, 768, 998, 999]) {
    const proof = inclusionNodes(index, size).map((part) => rootOf(suite, part.map(hashOf)));
    const leaf = leaves[index]!;
    assert.ok(provesInclusion(suite, { index, size, leaf, proof, root: tree.root }), `${index}`);
  }
  assert.throws(() => hashIn(suite, new Uint8Array(64), { from: 0, to: 4 }), { code: "malformed" });
});

Deno.test("bundles hold entries as they are, and nothing else is a bundle", () => {
  const entries = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 });
  fc.assert(fc.property(entries, (all) => {
    const bundle = encodeBundle(all);
    assert.deepEqual(decodeBundle(bundle), all);
    if (bundle.length > 0) {
      assert.throws(() => decodeBundle(concat(bundle, Uint8Array.of(0))), { code: "malformed" });
    }
  }));
  assert.throws(() => decodeBundle(new Uint8Array(2 * 257)), { code: "malformed" });
});
