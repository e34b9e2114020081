/**
 * Group commit of batches: what has arrived when the writer's turn comes goes to disk together, and
 * every meter is answered after that. A batch that cannot be stored is not acknowledged. What is
 * measured now goes before what was measured long ago, which still gets its share; and meters take
 * turns.
 */
import { setImmediate } from "node:timers";
import { CodedError } from "../../core/base/errors.ts";
import type { Batch, ReadingRefusal, Receipt } from "../../core/wire/reading.ts";
import { type Entry, FairQueue } from "./_fair_queue.ts";
import type { Store } from "./store.ts";

/** A batch whose signature has verified, with the bytes that were signed. */
export interface SignedBatch extends Batch {
  readonly statement: Uint8Array;
  /** Unix milliseconds of the fog. */
  readonly receivedAt: number;
}

type Refused = readonly { seq: number; reason: ReadingRefusal }[];

interface Waiting extends Entry {
  readonly batch: SignedBatch;
  readonly refused: Refused;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

/** A batch weighs as much as its readings, and this for its statement and its answer. */
const batchWeight = 4;
/** In one transaction at the most. */
const groupWeight = 8_192;
/** Of a group that live data could fill, this is kept for the backlog. */
const backlogShare = 1 / 4;
/** Waiting at the most, in each of the two queues. */
const waitingWeight = 262_144;
/** Answers in one turn of the event loop. */
const answersPerTurn = 64;

export class Ingest {
  readonly #store: Pick<Store, "insert" | "admits">;
  readonly #liveSpan: number;
  readonly #live = new FairQueue<Waiting>(waitingWeight);
  readonly #backlog = new FairQueue<Waiting>(waitingWeight);
  #working = false;
  #blocked: string | null = null;

  /** @param liveSpan how old the newest reading of a batch may be that is live, in milliseconds */
  constructor(
    store: Pick<Store, "insert" | "admits">,
    { liveSpan }: { readonly liveSpan: number },
  ) {
    this.#store = store;
    this.#liveSpan = liveSpan;
  }

  /** From now on every batch is refused for this reason, or with `null` none is. */
  block(reason: string | null): void {
    this.#blocked = reason;
  }

  /**
   * Stores a batch. @param refused what was refused before, to be listed in the receipt
   * @throws CodedError "storage_full", "overloaded", "too_many_registers", DatabaseError; the meter
   * repeats the batch later
   */
  store(batch: SignedBatch, refused: Refused = []): Promise<Receipt> {
    if (this.#blocked !== null) return refusal("storage_full", this.#blocked);
    if (!this.#store.admits(batch)) {
      return refusal("too_many_registers", "its meter has too many registers");
    }
    const { promise, resolve, reject } = Promise.withResolvers<Receipt>();
    const weight = batch.readings.length + batchWeight;
    const entry = { meter: batch.meter, weight, batch, refused, resolve, reject, next: null };
    const queue = this.#isLive(batch) ? this.#live : this.#backlog;
    if (!queue.add(entry)) return refusal("overloaded", "too many are waiting");
    if (!this.#working) void this.#work();
    return promise;
  }

  #isLive({ readings, receivedAt }: SignedBatch): boolean {
    const since = receivedAt - this.#liveSpan;
    for (let i = readings.length - 1; i >= 0; i--) if (readings[i]!.t >= since) return true;
    return false;
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (!this.#live.isEmpty || !this.#backlog.isEmpty) {
      let group: Waiting[] = [];
      try {
        const receipts = await this.#store.insert(() => {
          group = this.#group();
          return group.map(({ batch }) => batch);
        });
        void answer(group, receipts);
      } catch (error) {
        // without a transaction there will be none for the others either
        if (group.length === 0) group = this.#all();
        for (const { reject } of group) reject(error);
      }
    }
    this.#working = false;
  }

  /** What goes into one transaction. */
  #group(): Waiting[] {
    const group: Waiting[] = [];
    const kept = this.#backlog.isEmpty ? 0 : groupWeight * backlogShare;
    const rest = move(this.#live, group, groupWeight - kept);
    move(this.#backlog, group, rest + kept);
    return group;
  }

  #all(): Waiting[] {
    const all: Waiting[] = [];
    for (const queue of [this.#live, this.#backlog]) {
      for (let next; (next = queue.take(Infinity)) !== null;) all.push(next);
    }
    return all;
  }
}

/**
 * Tells a few at a time: what an answer sets off, up to opening the meter's next batch, comes before
 * anything else has its turn, and meanwhile the threads that check signatures and write to disk would
 * run out of work.
 */
async function answer(group: readonly Waiting[], receipts: readonly Receipt[]): Promise<void> {
  for (let i = 0; i < group.length; i++) {
    if (i > 0 && i % answersPerTurn === 0) await new Promise((turn) => setImmediate(turn));
    const { refused, resolve } = group[i]!;
    const receipt = receipts[i]!;
    resolve(
      refused.length === 0 ? receipt : { ...receipt, refused: [...refused, ...receipt.refused] },
    );
  }
}

/** Fills a group from a queue. @returns how much of the room is left */
function move(queue: FairQueue<Waiting>, group: Waiting[], room: number): number {
  for (let next; (next = queue.take(room)) !== null;) {
    room -= next.weight;
    group.push(next);
  }
  return room;
}

function refusal(code: string, why: string): Promise<never> {
  return Promise.reject(new CodedError(code, `Cannot take the batch: ${why}`));
}
