/**
 * Volumes on the disk: read in order, a few chunks at a time, whatever their size. What `chunks` gives
 * is authentic, each chunk for itself; that nothing is missing is known when it has come to its end.
 */
import { messageOf } from "../../core/base/errors.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import {
  decodeVolumeHead,
  prefixLength,
  VolumeError,
  type VolumeHead,
  volumeHeadLength,
} from "../../core/wire/volume.ts";
import {
  chunkCount,
  chunkLength,
  ChunkOpener,
  ChunkSealer,
  sealedChunkLength,
} from "../../core/wire/volume_chunks.ts";
import { giveBack } from "../../core/services/give_back.ts";
import { DeviceError } from "./error.ts";
import type { PendingFile } from "./pending_file.ts";

/** What can be read to its end: a file, or standard input. */
export interface Input {
  read(buffer: Uint8Array): Promise<number | null>;
}

/** Hears how many bytes of the payload are done. */
export type Progress = (bytes: number) => void;

/** Chunks that are read and written at once. */
const batch = 16;

export class VolumeFile implements Disposable {
  readonly path: string;
  readonly head: VolumeHead;
  /** Bytes of the payload. */
  readonly size: number;
  readonly #file: Deno.FsFile;
  readonly #count: number;

  private constructor(path: string, of: { head: VolumeHead; length: number; file: Deno.FsFile }) {
    this.path = path;
    this.head = of.head;
    this.#file = of.file;
    const sealed = of.length - of.head.bytes.length;
    this.#count = chunkCount(sealed);
    this.size = sealed - this.#count * (sealedChunkLength - chunkLength);
  }

  /** @throws DeviceError "usage"; VolumeError when it is none, or is cut short */
  static async open(path: string): Promise<VolumeFile> {
    const file = await openRegular(path);
    try {
      const prefix = new Uint8Array(prefixLength);
      await fill(file, prefix);
      const bytes = new Uint8Array(volumeHeadLength(prefix));
      await file.seek(0, Deno.SeekMode.Start);
      const isWhole = await fill(file, bytes) === bytes.length;
      const head = decodeVolumeHead(isWhole ? bytes : prefix);
      return new VolumeFile(path, { head, length: (await file.stat()).size, file });
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /**
   * The payload from its beginning, in order. A chunk is there until the next one is asked for.
   * @throws VolumeError "chunk_damaged"
   */
  async *chunks(suite: Suite, key: Uint8Array): AsyncGenerator<Uint8Array> {
    const opener = new ChunkOpener(suite, key);
    const buffer = new Uint8Array(batch * sealedChunkLength);
    await this.#file.seek(this.head.bytes.length, Deno.SeekMode.Start);
    for (let index = 0; index < this.#count;) {
      // what has been added since it was opened is no part of it
      const most = Math.min(batch, this.#count - index) * sealedChunkLength;
      const length = await fill(this.#file, buffer.subarray(0, most));
      if (length === 0) throw cutShort();
      for (let at = 0; at < length; at += sealedChunkLength, index++) {
        const chunk = buffer.subarray(at, Math.min(at + sealedChunkLength, length));
        const isLast = index === this.#count - 1;
        if (!isLast && chunk.length < sealedChunkLength) throw cutShort();
        const plain = opener.open(chunk, isLast);
        yield plain;
        plain.fill(0);
        giveBack(plain);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Seals all of the input behind a head. Gives the bytes of the payload. @throws DeviceError */
export async function writeVolume(
  output: Pick<PendingFile, "write">,
  { suite, head, key, input, onProgress }: {
    suite: Suite;
    head: Uint8Array;
    /** The payload key. */
    key: Uint8Array;
    input: Input;
    onProgress?: Progress | undefined;
  },
): Promise<number> {
  await output.write(head);
  const sealer = new ChunkSealer(suite, key);
  // two, as whether a chunk is the last one shows when there is nothing behind it
  let [current, next] = [0, 1].map(() => new Uint8Array(batch * chunkLength)) as Buffers;
  const sealed = new Uint8Array(batch * sealedChunkLength);
  let size = 0;
  for (let filled = await fill(input, current);;) {
    const following = filled < current.length ? 0 : await fill(input, next);
    let length = 0;
    for (let at = 0; at === 0 || at < filled; at += chunkLength) {
      const isLast = following === 0 && at + chunkLength >= filled;
      const chunk = sealer.seal(current.subarray(at, Math.min(at + chunkLength, filled)), isLast);
      sealed.set(chunk, length);
      length += chunk.length;
      giveBack(chunk);
    }
    await output.write(sealed.subarray(0, length));
    size += filled;
    onProgress?.(size);
    if (following === 0) break;
    [current, next, filled] = [next, current, following];
  }
  current.fill(0);
  next.fill(0);
  return size;
}

type Buffers = [Uint8Array, Uint8Array];

/** Reads until it is full or nothing more comes; gives how far. */
async function fill(input: Input, buffer: Uint8Array): Promise<number> {
  for (let at = 0;;) {
    const count = at < buffer.length ? await input.read(buffer.subarray(at)) : null;
    if (count === null) return at;
    at += count;
  }
}

async function openRegular(path: string): Promise<Deno.FsFile> {
  const refuse = (why: string, hint: string, cause?: unknown) =>
    new DeviceError("usage", `Cannot open "${path}": ${why}`, { hint, cause });
  try {
    if ((await Deno.stat(path)).isFile) return await Deno.open(path);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "there is no such file" : messageOf(error);
    throw refuse(why, "name a volume that exists and that this user may read", error);
  }
  throw refuse(
    "it is no file",
    "a volume is read twice, so it cannot come through a pipe: store it",
  );
}

function cutShort(): VolumeError {
  return new VolumeError("chunk_damaged", "Cannot open the volume: its end is missing");
}
