/**
 * What a fog tells the cloud about one window: a statement `application/edgeward-summary+cbor`, one
 * link of the fog's chain. Figures are integers; averages are divided out by whoever shows them
 * (protocols.md §3).
 */
import { CodedError } from "../base/errors.ts";
import { type Id, isId } from "../base/id.ts";
import { type Range, sizeOf } from "../base/ranges.ts";
import { type Cbor, decodeCbor, encodeCbor, MapReader } from "../trust/cbor.ts";

export const summaryType = "application/edgeward-summary+cbor";

/** The figures of one window over all its meters. */
export interface WindowFigures {
  readonly num_meters: number;
  /** Readings. */
  readonly n: number;
  readonly sum_power_W: number;
  readonly min_power_W: number;
  readonly max_power_W: number;
  readonly sum_voltage_mV: number;
  readonly min_voltage_mV: number;
  readonly max_voltage_mV: number;
  /** Consumed since each register's reading before the window. */
  readonly energy_Wh: number;
  /** By meter and register, which readings were summed up: all `n`, each once. */
  readonly registers: ReadonlyMap<Id, ReadonlyMap<Id, RegisterInWindow>>;
}

/** What a window holds of one register. */
export interface RegisterInWindow {
  /** The cumulative register at the reading with the highest number. */
  readonly energy_Wh: number;
  /** The numbers of the readings. */
  readonly seqs: readonly Range[];
}

export interface Summary extends WindowFigures {
  readonly fog_id: Id;
  /** Rises when a fog has lost its chain, as after a restored backup. */
  readonly epoch: number;
  /** Gapless within an epoch, from 1. */
  readonly seq: number;
  /** Event time, Unix milliseconds: from `start`, before `end`. */
  readonly window: { readonly start: number; readonly end: number };
  /** 0, and one more for every later correction of the same window. */
  readonly revision: number;
  /** SHA-256 of the previous statement of the chain; null at its beginning. */
  readonly prev: Uint8Array | null;
}

export class SummaryError extends CodedError<"malformed"> {
  override readonly name = "SummaryError";
}

/** Meters in one summary at the most. */
const maxMeters = 10_000;
const maxTime = 2 ** 48;
const integers = [
  ["epoch", 1, 2 ** 31],
  ["seq", 1, Number.MAX_SAFE_INTEGER],
  ["revision", 0, 2 ** 31],
  ["num_meters", 1, maxMeters],
  ["n", 1, 2 ** 40],
  ["sum_power_W", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ["min_power_W", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ["max_power_W", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ["sum_voltage_mV", 0, Number.MAX_SAFE_INTEGER],
  ["min_voltage_mV", 0, Number.MAX_SAFE_INTEGER],
  ["max_voltage_mV", 0, Number.MAX_SAFE_INTEGER],
  ["energy_Wh", 0, Number.MAX_SAFE_INTEGER],
] as const;

/** The payload of a summary's statement. */
export function encodeSummary(summary: Summary): Uint8Array {
  const map = new Map<string, Cbor>([
    ["fog_id", summary.fog_id],
    ["window", [summary.window.start, summary.window.end]],
    ["registers", encodeRegisters(summary.registers)],
    ["prev", summary.prev],
  ]);
  for (const [key] of integers) map.set(key, summary[key]);
  return encodeCbor(map);
}

/** @throws SummaryError "malformed" */
export function decodeSummary(payload: Uint8Array): Summary {
  try {
    const map = new MapReader(decodeCbor(payload));
    const fog_id = map.value("fog_id");
    const [start, end] = map.array("window", 2) as number[];
    const registers = decodeRegisters(map.value("registers"));
    const prev = map.value("prev");
    const figures = Object.fromEntries(
      integers.map(([key, min, max]) => [key, map.integer(key, min, max)]),
    ) as Record<typeof integers[number][0], number>;
    map.end();
    if (
      isId(fog_id) && isTime(start) && isTime(end) && start! < end! &&
      registers.size === figures.num_meters && readingsIn(registers) === figures.n &&
      (prev === null || (prev instanceof Uint8Array && prev.length === 32))
    ) {
      return { ...figures, fog_id, window: { start: start!, end: end! }, registers, prev };
    }
  } catch (error) {
    throw malformed(error);
  }
  throw malformed();
}

function isTime(value: unknown): boolean {
  return Number.isInteger(value) && value as number >= 0 && value as number <= maxTime;
}

/** A register is `[energy_Wh, first, last, first, last, …]`. */
function encodeRegisters(registers: WindowFigures["registers"]): ReadonlyMap<string, Cbor> {
  const map = new Map<string, ReadonlyMap<string, Cbor>>();
  for (const [meter, ofMeter] of registers) {
    const inner = new Map<string, Cbor>();
    for (const [register, { energy_Wh, seqs }] of ofMeter) {
      inner.set(register, [energy_Wh, ...seqs.flat()]);
    }
    map.set(meter, inner);
  }
  return map;
}

function decodeRegisters(value: Cbor): WindowFigures["registers"] {
  const registers = new Map<Id, ReadonlyMap<Id, RegisterInWindow>>();
  for (const [meter, item] of entriesOf(value)) {
    const ofMeter = new Map<Id, RegisterInWindow>();
    for (const [register, figures] of entriesOf(item)) {
      ofMeter.set(register, decodeRegister(figures));
    }
    registers.set(meter, ofMeter);
  }
  return registers;
}

function entriesOf(value: Cbor): [Id, Cbor][] {
  if (!(value instanceof Map) || value.size === 0 || value.size > maxMeters) throw malformed();
  return [...value].map(([id, item]) => {
    if (!isId(id)) throw malformed();
    return [id, item];
  });
}

/** Ranges in ascending order, with room between them. */
function decodeRegister(item: Cbor): RegisterInWindow {
  if (!Array.isArray(item) || item.length < 3 || item.length % 2 === 0) throw malformed();
  const [energy_Wh, ...ends] = item as number[];
  let least = 0;
  const seqs: Range[] = [];
  for (let i = 0; i < ends.length; i += 2) {
    const [first, last] = [ends[i]!, ends[i + 1]!];
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) throw malformed();
    if (first < least || last < first) throw malformed();
    seqs.push([first, last]);
    least = last + 2;
  }
  if (!Number.isSafeInteger(energy_Wh) || energy_Wh! < 0) throw malformed();
  return { energy_Wh: energy_Wh!, seqs };
}

function readingsIn(registers: WindowFigures["registers"]): number {
  let n = 0;
  for (const ofMeter of registers.values()) {
    for (const { seqs } of ofMeter.values()) n += sizeOf(seqs);
  }
  return n;
}

function malformed(cause?: unknown): SummaryError {
  return new SummaryError("malformed", "Cannot read the summary", { cause });
}
