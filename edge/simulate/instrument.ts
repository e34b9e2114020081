/**
 * The measuring part of a simulated meter: it turns loads into numbered, stamped readings of a register.
 * Told to misbehave it loses its count, its clock or its numbers as real ones do, and flags it as they
 * should. What was consumed can always be told from the readings that it gave, but for what the first of
 * a new register counts.
 */
import type { Clock } from "../../core/base/clock.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import { Flag, type Reading } from "../../core/wire/reading.ts";
import { EnergyRegister } from "./energy.ts";
import { type Misbehaviour, type Mischief, wellBehaved } from "./misbehaviour.ts";
import type { Load } from "./source.ts";

/** A reading and the register that its number belongs to. */
export interface Measured {
  readonly register: Id;
  readonly reading: Reading;
}

export interface InstrumentOptions {
  /** Stamps the readings, when it is not wrong on purpose. */
  readonly clock: Clock;
  readonly register: Id;
  readonly mischief?: Mischief;
  /** Hears what was done wrong, and how often. */
  readonly onMisdeed?: (kind: Misbehaviour, count: number) => void;
}

/** Five digits. */
const capacity = 100_000;
const hour = 3_600_000;
/** Readings in a row that share the state of the clock. */
const stretch = 16;

export class Instrument {
  readonly #options: InstrumentOptions;
  readonly #energy = new EnergyRegister();
  readonly #switchedOn: number;
  readonly #first: Id;
  #register: Id;
  /** Registers before this one. */
  #replaced = 0;
  #seq = 0;
  /** Readings given, of all registers. */
  #count = 0;
  /** How much more the counter would show than was consumed, if it never started over. */
  #ahead: number;
  /** What was consumed when the last reading was taken. */
  #last_Wh = 0;
  #turns = 0;

  constructor(options: InstrumentOptions) {
    this.#options = options;
    this.#first = this.#register = options.register;
    this.#switchedOn = options.clock();
    this.#ahead = this.#firstCount();
  }

  /** The next reading. */
  read({ power_W, voltage_mV }: Load): Measured {
    const { clock, mischief = wellBehaved, onMisdeed } = this.#options;
    const number = this.#count++;
    const now = clock();
    const consumed_Wh = this.#energy.advance(now, power_W);
    let flags = 0;
    if (number > 0 && mischief("replace", number) !== null) {
      this.#replace(consumed_Wh);
    } else if (number > 0 && mischief("reset", number) !== null) {
      this.#ahead = -this.#last_Wh;
      this.#turns = 0;
      flags |= Flag.reset;
      onMisdeed?.("reset", 1);
    }
    const gap = mischief("gap", number);
    if (gap !== null) {
      const numbers = 1 + Math.floor(3 * gap);
      this.#seq += numbers;
      onMisdeed?.("gap", numbers);
    }
    this.#last_Wh = consumed_Wh;
    const { energy_Wh, isOver } = this.#shown(consumed_Wh);
    if (isOver) flags |= Flag.rollover;
    const stamp = this.#stamp(now, number);
    const reading = {
      seq: ++this.#seq,
      t: stamp.t,
      energy_Wh,
      power_W,
      voltage_mV,
      flags: flags | stamp.flags,
    };
    return { register: this.#register, reading };
  }

  #replace(consumed_Wh: number): void {
    this.#register = parseId(`${this.#first}-${++this.#replaced + 1}`);
    this.#seq = 0;
    this.#turns = 0;
    this.#ahead = this.#firstCount() - consumed_Wh;
    this.#options.onMisdeed?.("replace", 1);
  }

  /** A counter that will start over does so with its first watt-hour, so that it is seen. */
  #firstCount(): number {
    return this.#startsOver() ? capacity - 1 : 0;
  }

  #startsOver(): boolean {
    return (this.#options.mischief?.("rollover", this.#replaced) ?? null) !== null;
  }

  #shown(consumed_Wh: number): { energy_Wh: number; isOver: boolean } {
    const count = consumed_Wh + this.#ahead;
    if (!this.#startsOver()) return { energy_Wh: count, isOver: false };
    const turns = Math.floor(count / capacity);
    const isOver = turns > this.#turns;
    this.#turns = turns;
    if (isOver) this.#options.onMisdeed?.("rollover", 1);
    return { energy_Wh: count % capacity, isOver };
  }

  /** The time by the meter's own clock; one that was never set counts from when it was switched on. */
  #stamp(now: number, number: number): { t: number; flags: number } {
    const { mischief = wellBehaved, onMisdeed } = this.#options;
    const how = mischief("clock", Math.floor(number / stretch));
    if (how === null) return { t: now, flags: 0 };
    onMisdeed?.("clock", 1);
    if (how < 1 / 3) return { t: Math.max(0, now - this.#switchedOn), flags: Flag.clockUnset };
    // from 1 to 24 hours, behind or ahead
    const off = Math.round((1 + 69 * (how < 2 / 3 ? how - 1 / 3 : how - 2 / 3)) * hour);
    return { t: Math.max(0, how < 2 / 3 ? now - off : now + off), flags: 0 };
  }
}
