/**
 * What waits to be stored, in turns: the meter that was served goes to the end, so that one with a
 * backlog delays the others by no more than one batch each. What a meter may have waiting shrinks
 * with the room that is left, so that a few cannot fill it: whoever comes next still finds some.
 */
import type { Id } from "../../core/base/id.ts";

/** Something of a meter that waits; the links are the queue's. */
export interface Entry {
  readonly meter: Id;
  /** What it weighs, in readings. */
  readonly weight: number;
  next: Entry | null;
}

/** What waits of one meter, oldest first. */
interface Line {
  readonly meter: Id;
  first: Entry;
  last: Entry;
  weight: number;
  next: Line | null;
}

/** The part of the free room that one meter may take. */
const share = 1 / 8;

export class FairQueue<E extends Entry> {
  readonly #limit: number;
  readonly #lines = new Map<Id, Line>();
  /** Whose turn it is, and who was served last. */
  #first: Line | null = null;
  #last: Line | null = null;
  #weight = 0;

  /** @param limit of all weights together */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.#first === null;
  }

  /** @returns false when there is no room */
  add(entry: E): boolean {
    const line = this.#lines.get(entry.meter);
    const room = (this.#limit - this.#weight) * share;
    if ((line?.weight ?? 0) + entry.weight > room) return false;
    this.#weight += entry.weight;
    if (line !== undefined) {
      line.last = line.last.next = entry;
      line.weight += entry.weight;
      return true;
    }
    const { meter, weight } = entry;
    const added: Line = { meter, first: entry, last: entry, weight, next: null };
    this.#lines.set(meter, added);
    this.#append(added);
    return true;
  }

  /** Takes the entry whose turn it is, unless it weighs more than that. */
  take(room: number): E | null {
    const line = this.#first;
    if (line === null || line.first.weight > room) return null;
    const entry = line.first;
    this.#first = line.next;
    if (this.#first === null) this.#last = null;
    this.#weight -= entry.weight;
    line.weight -= entry.weight;
    if (entry.next === null) {
      this.#lines.delete(line.meter);
    } else {
      line.first = entry.next;
      this.#append(line);
    }
    return entry as E;
  }

  #append(line: Line): void {
    line.next = null;
    if (this.#last === null) this.#first = line;
    else this.#last.next = line;
    this.#last = line;
  }
}
