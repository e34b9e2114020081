/**
 * Keeps what was found right, in the layout of the log, so that it can be checked again offline. The
 * checkpoint comes last: a copy that was interrupted is still the earlier one. And a copy only ever grows:
 * its checkpoint is one that the log must have grown from.
 */
import { dirname, join } from "node:path";
import { equalBytes } from "../../core/base/bytes.ts";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import { formatNote } from "../../core/trust/log/note.ts";
import { type Tile, tilePath, tileWidth, widthOf } from "../../core/trust/log/tile.ts";
import { writeDurably } from "../../core/services/durable_file.ts";
import { folderSource, readFile } from "./folder_source.ts";
import { openCheckpoint, type SignedCheckpoint } from "./signatures.ts";
import { maxCheckpoint, maxTile, textOf, wrong } from "./source.ts";

export class FolderCopy {
  readonly folder: string;
  /** The checkpoint that it holds; null when it is new. */
  readonly earlier: SignedCheckpoint | null;

  private constructor(folder: string, earlier: SignedCheckpoint | null) {
    this.folder = folder;
    this.earlier = earlier;
  }

  /** @throws FindingError when the folder holds a checkpoint that is none */
  static async open(folder: string): Promise<FolderCopy> {
    using source = folderSource(folder);
    const bytes = await source.read("checkpoint", maxCheckpoint);
    const path = join(folder, "checkpoint");
    return new FolderCopy(folder, bytes && openCheckpoint(textOf(bytes, path), path));
  }

  /**
   * Keeps a file. What the copy holds by the word of its checkpoint is not replaced: it would be the
   * proof that the log was rewritten.
   * @throws FindingError "log_wrong", CodedError "copy_unwritable"
   */
  async keep(tile: Tile, bytes: Uint8Array): Promise<void> {
    const path = tilePath(tile);
    const file = join(this.folder, path);
    if (widthOf(tile, this.earlier?.size ?? 0) === tile.width) {
      const held = readFile(file, { path: file, maxBytes: maxTile });
      if (held !== null && equalBytes(held, bytes)) return;
      if (held !== null) {
        throw wrong(path, `the copy in ${this.folder} holds another`, {
          hint: "verify the copy: if it is still whole, it proves that the log was rewritten",
        });
      }
    }
    await written(file, async () => {
      await Deno.mkdir(dirname(file), { recursive: true });
      await Deno.writeFile(file, bytes);
    });
  }

  /** Ends with the checkpoint, and forgets what only the earlier one needed. */
  async finish({ note, size }: SignedCheckpoint): Promise<void> {
    const file = join(this.folder, "checkpoint");
    await written(file, async () => {
      await Deno.mkdir(this.folder, { recursive: true });
      writeDurably(file, formatNote(note), 0o644);
      for (const path of partialTiles(this.earlier?.size ?? 0)) {
        if (partialTiles(size).includes(path)) continue;
        await Deno.remove(join(this.folder, path)).catch(() => {});
      }
    });
  }
}

/** The tiles at the right edge of a log that are not full. */
function partialTiles(size: number): string[] {
  const paths: string[] = [];
  for (let level = 0, nodes = size; nodes > 0; level++, nodes = Math.floor(nodes / tileWidth)) {
    const tile = { level, index: Math.floor(nodes / tileWidth) };
    const width = widthOf(tile, size);
    if (width === 0) continue;
    paths.push(tilePath({ ...tile, width }));
    if (level === 0) paths.push(tilePath({ ...tile, level: "entries", width }));
  }
  return paths;
}

async function written(file: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    throw new CodedError("copy_unwritable", `Cannot write "${file}": ${messageOf(cause)}`, {
      hint: "name a folder with room that this user may write",
      cause,
    });
  }
}
