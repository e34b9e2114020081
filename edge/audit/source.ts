/**
 * Where a log is read from: the files of C2SP tlog-tiles behind an address, or the same files in a
 * folder. What comes is untrusted: its size is bounded before it is read, its form is checked here, and
 * whether it is what was signed is another question (walk.ts).
 */
import { CodedError } from "../../core/base/errors.ts";
import {
  decodeBundle,
  type Tile,
  TileError,
  tilePath,
  tileWidth,
} from "../../core/trust/log/tile.ts";
import { maxEntry } from "../../core/wire/log_entry.ts";
import { FindingError } from "./finding.ts";

export interface LogSource extends Disposable {
  /** An address or a folder, for messages. */
  readonly name: string;
  /**
   * One file, or null when there is none of this name.
   * @throws FindingError "log_wrong" when it is larger than that; CodedError "not_allowed", "unreachable"
   */
  read(path: string, maxBytes: number): Promise<Uint8Array | null>;
}

/** Room for a checkpoint with as many cosignatures as a note may have. */
export const maxCheckpoint = 64 * 1024;
const hashLength = 32;
/** Of a bundle of entries, which is the larger kind. */
export const maxTile = tileWidth * (2 + maxEntry);

/** The note. @throws FindingError "log_incomplete", "log_wrong" */
export async function readCheckpoint(source: LogSource): Promise<string> {
  const bytes = await source.read("checkpoint", maxCheckpoint);
  if (bytes === null) {
    throw new FindingError("log_incomplete", `Cannot find a checkpoint in ${source.name}`, {
      where: "checkpoint",
      hint: "the address of a log ends before /checkpoint; a new site has one with its first entry",
    });
  }
  return textOf(bytes, "checkpoint");
}

/** The hashes of a tile. @throws FindingError "log_incomplete", "log_wrong" */
export async function readHashes(source: LogSource, tile: Tile): Promise<Uint8Array> {
  const { path, bytes, width } = await readTile(source, tile, tileWidth * hashLength);
  if (bytes.length !== width * hashLength) {
    throw wrong(path, `it is ${bytes.length} bytes long and not ${width * hashLength}`);
  }
  return bytes.slice(0, tile.width * hashLength);
}

/** The entries of a bundle. @throws FindingError "log_incomplete", "log_wrong" */
export async function readBundle(
  source: LogSource,
  tile: Omit<Tile, "level">,
): Promise<Uint8Array[]> {
  const { path, bytes, width } = await readTile(source, { ...tile, level: "entries" }, maxTile);
  let entries: Uint8Array[];
  try {
    entries = decodeBundle(bytes);
  } catch (error) {
    if (error instanceof TileError) throw wrong(path, "its entries do not end where they should");
    throw error;
  }
  if (entries.length !== width) {
    throw wrong(path, `it holds ${entries.length} entries and not ${width}`);
  }
  return entries.slice(0, tile.width);
}

/** Bytes as text. @throws FindingError "log_wrong" when they are none */
export function textOf(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw wrong(path, "it is no text");
    throw error;
  }
}

/** A file of the log that is not as it must be. */
export function wrong(path: string, why: string, options: { hint?: string } = {}): FindingError {
  return new FindingError("log_wrong", `Cannot accept ${path}: ${why}`, {
    where: path,
    ...options,
  });
}

/** A tile that has filled up meanwhile need not be there in its earlier width. */
async function readTile(source: LogSource, tile: Tile, maxBytes: number) {
  const widths = tile.width < tileWidth ? [tile.width, tileWidth] : [tileWidth];
  for (const width of widths) {
    const path = tilePath({ ...tile, width });
    const bytes = await source.read(path, maxBytes);
    if (bytes !== null) return { path, bytes, width };
  }
  const path = tilePath(tile);
  throw new FindingError("log_incomplete", `Cannot find ${path} in ${source.name}`, {
    where: path,
    hint: "the checkpoint says that it is there: whoever keeps the log has lost or withheld it",
  });
}

/** Joins what a stream gives, if that is not more than `maxBytes`; null when it is. */
export async function readBounded(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array | null> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > maxBytes) return null; // leaving the loop cancels the stream
    parts.push(part);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** What is too large is not read to its end. */
export function tooLarge(path: string, maxBytes: number): FindingError {
  return wrong(path, `it is larger than ${maxBytes} bytes`);
}

/** A file or folder of this machine that cannot be read, for a reason other than that it is not there. */
export function unreadable(path: string, cause: unknown): CodedError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CodedError("log_unreadable", `Cannot read "${path}": ${why}`, {
    hint: "name what this user may read",
    cause,
  });
}
