/**
 * What a simulated meter has measured and not yet settled with its site, and in which batches it goes
 * out: in order and at once, unless the meter is told to misbehave. A reading stays here until it is
 * settled; what has been settled counts no more, however often it is sent again.
 */
import type { Reading, ReadingRefusal } from "../../core/wire/reading.ts";
import type { Measured } from "./instrument.ts";
import { type Misbehaviour, type Mischief, shuffled, wellBehaved } from "./misbehaviour.ts";

/** A reading that waits. */
interface Waiting extends Measured {
  /** Not sent before, by the monotonic clock. */
  due: number;
  /** How often it was refused as being ahead of the site's clock. */
  postponed: number;
  /** Not sent again out of mischief. */
  readonly counts: boolean;
}

/** Readings of one register that go out together; hand it back when it is settled. */
export type Batch = readonly [Waiting, ...Waiting[]];

export interface BacklogOptions {
  readonly mischief?: Mischief;
  /** Hears what was done wrong, and how often. */
  readonly onMisdeed?: (kind: Misbehaviour, count: number) => void;
}

/** What became of the readings of a batch, of those that had not been settled before. */
export interface Settled {
  readonly accepted: readonly Measured[];
  readonly refused: readonly Measured[];
  /** Will be sent again: either clock may be wrong, and may be put right. */
  readonly postponed: number;
}

/** How often a reading that is ahead of the site's clock is sent again. */
const patience = 10;
const firstWait = 1_000;
const longestWait = 30_000;
/** Settled readings that are kept to be sent again out of mischief. */
const memory = 128;

export class Backlog {
  readonly #mischief: Mischief;
  readonly #onMisdeed: BacklogOptions["onMisdeed"];
  #waiting: Waiting[] = [];
  #underWay = 0;
  #isFlushing = false;
  readonly #settled: Measured[] = [];
  /** The highest number that was sent, by register. */
  readonly #highest = new Map<string, number>();
  #added = 0;
  #taken = 0;
  #settlements = 0;

  constructor({ mischief = wellBehaved, onMisdeed }: BacklogOptions = {}) {
    this.#mischief = mischief;
    this.#onMisdeed = onMisdeed;
  }

  /** Readings that are not settled. */
  get size(): number {
    return this.#waiting.length + this.#underWay;
  }

  add(measured: Measured, now: number): void {
    const late = this.#mischief("late", this.#added++);
    if (late !== null) this.#onMisdeed?.("late", 1);
    // from 1 to 60 seconds, rather shorter than longer
    const due = late === null ? now : now + 1_000 * 60 ** late;
    this.#waiting.push({ ...measured, due, postponed: 0, counts: true });
  }

  /** From now on nothing is held back on purpose, until `rest`. */
  flush(now: number): void {
    this.#isFlushing = true;
    for (const one of this.#waiting) {
      one.due = Math.min(one.due, one.postponed > 0 ? now + firstWait : now);
    }
  }

  /** Ends a flush. */
  rest(): void {
    this.#isFlushing = false;
  }

  /** The next batch, of `most` readings at the most; null when nothing is due. */
  take(now: number, most: number): Batch | null {
    let due = this.#waiting.filter((one) => one.due <= now);
    const disorder = this.#mischief("disorder", this.#taken);
    if (disorder !== null) {
      const isGathering = due.length < 2 + Math.floor(6 * disorder);
      if (isGathering && !this.#isFlushing) return null;
      due = shuffled(due, disorder);
      most = Math.min(most, 1 + Math.floor(disorder * due.length));
    }
    const [first] = due;
    if (first === undefined) return null;
    this.#taken++;
    const numbers = new Set<number>();
    const batch = due.filter(({ register, reading }) => {
      if (register !== first.register || numbers.size >= most || numbers.has(reading.seq)) {
        return false;
      }
      return numbers.add(reading.seq);
    }) as [Waiting, ...Waiting[]];
    const leaving = new Set(batch);
    this.#waiting = this.#waiting.filter((one) => !leaving.has(one));
    this.#underWay += batch.length;
    this.#notice(batch);
    return batch;
  }

  /** When something will be due, as far as that is known; Infinity when more has to be measured first. */
  dueAt(now: number): number {
    let next = Infinity;
    for (const { due } of this.#waiting) if (due > now) next = Math.min(next, due);
    return next;
  }

  /** The site has answered; `refused` says why it will not have a reading, by its number. */
  settle(batch: Batch, refused: ReadonlyMap<number, ReadingRefusal>, now: number): Settled {
    this.#underWay -= batch.length;
    const outcome = { accepted: [] as Measured[], refused: [] as Measured[], postponed: 0 };
    for (const one of batch) {
      if (!one.counts) continue;
      const { register, reading } = one;
      const reason = refused.get(reading.seq);
      if (reason === undefined) outcome.accepted.push({ register, reading });
      else if (reason === "future" && one.postponed < patience) {
        this.#postpone(one, now);
        outcome.postponed++;
      } else outcome.refused.push({ register, reading });
    }
    if (outcome.accepted.length > 0) this.#repeat(outcome.accepted, now);
    return outcome;
  }

  #postpone(one: Waiting, now: number): void {
    const wait = Math.min(longestWait, firstWait * 2 ** one.postponed);
    one.postponed++;
    one.due = now + (this.#isFlushing ? firstWait : wait);
    this.#waiting.push(one);
  }

  /** Out of mischief; what was settled in one batch may go out again in several, or with others. */
  #repeat(accepted: readonly Measured[], now: number): void {
    const how = this.#mischief("duplicate", this.#settlements++);
    this.#settled.push(...accepted);
    this.#settled.splice(0, this.#settled.length - memory);
    if (how === null) return;
    const again = shuffled(this.#settled, how).slice(0, 1 + Math.floor(16 * how));
    for (const { register, reading } of again) {
      this.#waiting.push({ register, reading, due: now, postponed: 0, counts: false });
    }
    this.#onMisdeed?.("duplicate", again.length);
  }

  /** Counts what goes out behind a later one. */
  #notice(batch: Batch): void {
    const { register } = batch[0];
    let highest = this.#highest.get(register) ?? 0;
    let behind = 0;
    for (const { reading: { seq }, counts, postponed } of batch) {
      if (counts && postponed === 0 && seq < highest) behind++;
      highest = Math.max(highest, seq);
    }
    this.#highest.set(register, highest);
    if (behind > 0) this.#onMisdeed?.("disorder", behind);
  }
}

/** The readings of a batch as they are signed. */
export function readingsOf(batch: Batch): Reading[] {
  return batch.map(({ reading }) => reading);
}

/** How many of a batch go out for the first time. */
export function newIn(batch: Batch): number {
  return batch.filter(({ counts, postponed }) => counts && postponed === 0).length;
}
