/**
 * Knows what the cloud must hold in the end, from what meters measured and were told is safe, and from
 * nothing else: it shares no code with fog and cloud. It adds up readings in the order of their numbers,
 * as a person with the meters' own records would.
 */
import type { Reading } from "../../core/wire/reading.ts";
import type { Measured } from "../../edge/simulate/instrument.ts";

/** Figures of one window. */
export interface Figures {
  readonly n: number;
  readonly power_W: number;
  readonly voltage_mV: number;
  readonly min_power_W: number;
  readonly max_power_W: number;
  readonly energy_Wh: number;
}

/** Adds up the readings of registers, each in the order of its numbers. */
export class Ledger {
  readonly windows = new Map<number, Figures>();
  readonly #length: number;
  readonly #before = new Map<string, Reading>();

  /** @param length milliseconds of a window */
  constructor(length: number) {
    this.#length = length;
  }

  /** @param register a name that no other register of any meter has */
  add(register: string, reading: Reading): void {
    const { t, power_W, voltage_mV } = reading;
    const start = Math.floor(t / this.#length) * this.#length;
    const energy_Wh = addedBy(reading, this.#before.get(register));
    this.#before.set(register, reading);
    const before = this.windows.get(start);
    this.windows.set(start, {
      n: (before?.n ?? 0) + 1,
      power_W: (before?.power_W ?? 0) + power_W,
      voltage_mV: (before?.voltage_mV ?? 0) + voltage_mV,
      min_power_W: Math.min(before?.min_power_W ?? Infinity, power_W),
      max_power_W: Math.max(before?.max_power_W ?? -Infinity, power_W),
      energy_Wh: (before?.energy_Wh ?? 0) + energy_Wh,
    });
  }

  /** A reading that does not count, but that the next one follows. */
  skip(register: string, reading: Reading): void {
    this.#before.set(register, reading);
  }
}

/** Hears in any order what meters were told is safe. */
export class Oracle {
  readonly #safe = new Map<string, Map<number, Reading>>();
  readonly #length: number;

  /** @param length milliseconds of a window */
  constructor(length: number) {
    this.#length = length;
  }

  isSafe(meter: string, { register, reading }: Measured): void {
    const key = `${meter}/${register}`;
    const readings = this.#safe.get(key) ?? new Map<number, Reading>();
    this.#safe.set(key, readings.set(reading.seq, reading));
  }

  /** Readings that are safe. */
  get count(): number {
    let count = 0;
    for (const { size } of this.#safe.values()) count += size;
    return count;
  }

  /** By meter and register, "m-1/r1", which are safe, in the order of their numbers. */
  get registers(): Map<string, Reading[]> {
    const inOrder = (readings: Map<number, Reading>) =>
      [...readings.values()].sort((a, b) => a.seq - b.seq);
    return new Map([...this.#safe].sort().map(([key, readings]) => [key, inOrder(readings)]));
  }

  /**
   * By start, in order.
   * @param counts which readings count, all unless said
   * @param knows which are known as what another one follows, though they may not count
   */
  windows(counts: Choice = () => true, knows: Choice = counts): Map<number, Figures> {
    const ledger = new Ledger(this.#length);
    for (const [register, readings] of this.registers) {
      for (const reading of readings) {
        if (counts(register, reading.seq)) ledger.add(register, reading);
        else if (knows(register, reading.seq)) ledger.skip(register, reading);
      }
    }
    return new Map([...ledger.windows].sort(([a], [b]) => a - b));
  }
}

type Choice = (register: string, seq: number) => boolean;

/** What a reading adds to the one before it, which flags 2 (reset) and 4 (rollover) explain. */
function addedBy({ energy_Wh, flags }: Reading, before: Reading | undefined): number {
  if (before === undefined) return 0;
  if (flags & 2) return energy_Wh;
  if (!(flags & 4)) return energy_Wh - before.energy_Wh;
  // simulated registers that start over have five digits
  return energy_Wh + 100_000 - before.energy_Wh;
}
