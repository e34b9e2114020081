/**
 * Group commit of batches: whatever has arrived when the writer's turn comes goes to disk together,
 * and every meter is answered after that. A batch that cannot be stored is not acknowledged.
 */
import { CodedError } from "../../core/base/errors.ts";
import type { Batch, ReadingRefusal, Receipt } from "../../core/wire/reading.ts";
import type { Store } from "./store.ts";

/** A batch whose signature has verified, with the bytes that were signed. */
export interface SignedBatch extends Batch {
  readonly statement: Uint8Array;
  /** Unix milliseconds of the fog. */
  readonly receivedAt: number;
}

type Refused = readonly { seq: number; reason: ReadingRefusal }[];

interface Waiting {
  readonly batch: SignedBatch;
  readonly refused: Refused;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

/** Batches in one transaction at the most, and waiting at the most. */
const groupLimit = 1_024;
const waitingLimit = 4_096;

export class Ingest {
  readonly #store: Store;
  readonly #onWindows: (starts: Iterable<number>) => void;
  readonly #waiting: Waiting[] = [];

  /** @param onWindows hears which windows have new readings, after they are on disk */
  constructor(store: Store, onWindows: (starts: Iterable<number>) => void) {
    this.#store = store;
    this.#onWindows = onWindows;
  }

  /**
   * Stores a batch. @param refused what was refused before, to be listed in the receipt
   * @throws CodedError "overloaded", DatabaseError; the meter repeats the batch later
   */
  store(batch: SignedBatch, refused: Refused = []): Promise<Receipt> {
    if (this.#waiting.length >= waitingLimit) {
      const error = new CodedError("overloaded", "Cannot take the batch: too many are waiting");
      return Promise.reject(error);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Receipt>();
    this.#waiting.push({ batch, refused, resolve, reject });
    if (this.#waiting.length === 1) void this.#drain();
    return promise;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group: Waiting[] = [];
      try {
        const { receipts, windows } = await this.#store.insert(() => {
          group.push(...this.#waiting.slice(0, groupLimit));
          return group.map(({ batch }) => batch);
        });
        this.#onWindows(windows);
        this.#waiting.splice(0, group.length);
        group.forEach(({ refused, resolve }, i) => {
          const receipt = receipts[i]!;
          resolve({ ...receipt, refused: [...refused, ...receipt.refused] });
        });
      } catch (error) {
        const failed = group.length > 0 ? group.length : this.#waiting.length;
        for (const { reject } of this.#waiting.splice(0, failed)) reject(error);
      }
    }
  }
}
