/**
 * The payload of a volume: chunks of 64 KiB, each sealed by AES-256-GCM under a nonce that is its place
 * and whether it is the last, `u88 index | u8 last` (protocols.md §5). Only the last one may be shorter,
 * and only an empty payload ends with an empty one, so a payload has one division into chunks. What one
 * chunk takes in memory is all that either side needs.
 *
 * A chunk that opens is as it was sealed and where it was sealed. That all of them are there is known
 * when the last one has opened: who must not release a part of a payload looks at the whole first.
 */
import type { Suite } from "../trust/crypto.ts";
import { VolumeError } from "./volume.ts";

/** Bytes of a whole chunk. */
export const chunkLength = 64 * 1024;
const tagLength = 16;
export const sealedChunkLength = chunkLength + tagLength;

const nothing = new Uint8Array(0);

/** Seals the chunks of one payload, in order. */
export class ChunkSealer {
  readonly #suite: Suite;
  readonly #key: Uint8Array;
  readonly #place = new Place();

  /** @param key the payload key of one sealing: under it no other payload may ever be sealed */
  constructor(suite: Suite, key: Uint8Array) {
    this.#suite = suite;
    this.#key = key;
  }

  /** @throws VolumeError "chunk_misplaced" when no payload is divided so */
  seal(plain: Uint8Array, last: boolean): Uint8Array {
    const nonce = this.#place.next(plain.length, last);
    return this.#suite.aes256gcm.seal(this.#key, nonce, nothing, plain);
  }
}

/** Opens the chunks of one payload, in order. */
export class ChunkOpener {
  readonly #suite: Suite;
  readonly #key: Uint8Array;
  readonly #place = new Place();

  constructor(suite: Suite, key: Uint8Array) {
    this.#suite = suite;
    this.#key = key;
  }

  /** @throws VolumeError "chunk_damaged", "chunk_misplaced" */
  open(sealed: Uint8Array, last: boolean): Uint8Array {
    const { index } = this.#place;
    const nonce = this.#place.next(sealed.length - tagLength, last);
    const plain = this.#suite.aes256gcm.open(this.#key, nonce, nothing, sealed);
    if (plain !== null) return plain;
    throw new VolumeError("chunk_damaged", `Cannot open the volume: chunk ${index} was altered`, {
      hint: "a part is missing or was changed: fetch the file again, or restore it from a backup",
    });
  }
}

/** Where in a payload of this many bytes, sealed, each chunk lies. @throws VolumeError "chunk_damaged" */
export function chunkCount(sealedLength: number): number {
  const count = Math.max(1, Math.ceil(sealedLength / sealedChunkLength));
  const rest = sealedLength - (count - 1) * sealedChunkLength;
  if (rest > tagLength || count === 1 && rest === tagLength) return count;
  throw new VolumeError("chunk_damaged", "Cannot open the volume: its end is missing");
}

/** Counts chunks; the same for both sides, so that what one writes the other reads. */
class Place {
  index = 0;
  #isOver = false;
  readonly #nonce = new Uint8Array(12);

  next(length: number, last: boolean): Uint8Array {
    const least = !last ? chunkLength : this.index === 0 ? 0 : 1;
    if (this.#isOver || length < least || length > chunkLength) {
      throw new VolumeError(
        "chunk_misplaced",
        `Cannot take ${length} bytes as chunk ${this.index} of the payload`,
      );
    }
    // a whole number up to 2^53: the upper bytes of the 11 stay zero
    for (let at = 10, rest = this.index; at > 3; at--, rest = Math.floor(rest / 256)) {
      this.#nonce[at] = rest;
    }
    this.#nonce[11] = last ? 1 : 0;
    this.index++;
    this.#isOver = last;
    return this.#nonce;
  }
}
