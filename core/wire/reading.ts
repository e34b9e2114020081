/**
 * Readings of a meter, in batches. A batch is one statement `application/edgeward-readings+cbor`
 * `{meter, register, readings}`; a reading is `[seq, t_ms, energy_Wh, power_W, voltage_mV, flags]`,
 * integers all (protocols.md §3). Its key is (meter, register, seq).
 */
import { CodedError } from "../base/errors.ts";
import { type Id, isId } from "../base/id.ts";
import { type Cbor, decodeCbor, encodeCbor, MapReader } from "../trust/cbor.ts";

export const readingsType = "application/edgeward-readings+cbor";

/** Readings in a batch at the most. */
export const maxBatch = 512;

/** Bits of `flags`. */
export const Flag = { clockUnset: 1, reset: 2, rollover: 4, estimated: 8 } as const;

export interface Reading {
  /** Counts up by one per register, never reused. */
  readonly seq: number;
  /** When it was measured, Unix milliseconds. */
  readonly t: number;
  /** The cumulative register. */
  readonly energy_Wh: number;
  /** Negative when power is exported. */
  readonly power_W: number;
  readonly voltage_mV: number;
  readonly flags: number;
}

export interface Batch {
  readonly meter: Id;
  /** A replaced meter or a lost counter takes a new register. */
  readonly register: Id;
  readonly readings: readonly Reading[];
}

export class BatchError extends CodedError<"malformed"> {
  override readonly name = "BatchError";
}

/** The payload of a batch's statement. */
export function encodeBatch({ meter, register, readings }: Batch): Uint8Array {
  return encodeCbor({
    meter,
    register,
    readings: readings.map((r) => [r.seq, r.t, r.energy_Wh, r.power_W, r.voltage_mV, r.flags]),
  });
}

/** Bounds of what a number can be at all; whether it is plausible is the fog's to say. */
const bounds = [
  { min: 0, max: Number.MAX_SAFE_INTEGER }, // seq
  { min: 0, max: 2 ** 48 }, // t
  { min: 0, max: 2 ** 50 }, // energy_Wh
  { min: -(2 ** 40), max: 2 ** 40 }, // power_W
  { min: 0, max: 2 ** 40 }, // voltage_mV
  { min: 0, max: 15 }, // flags
];

/** @throws BatchError "malformed" */
export function decodeBatch(payload: Uint8Array): Batch {
  let map: MapReader;
  try {
    map = new MapReader(decodeCbor(payload));
    const meter = map.value("meter");
    const register = map.value("register");
    const readings = map.array("readings", maxBatch).map(decodeReading);
    map.end();
    if (isId(meter) && isId(register) && readings.length > 0) return { meter, register, readings };
  } catch (error) {
    throw malformed(error);
  }
  throw malformed();
}

function decodeReading(item: Cbor): Reading {
  if (!Array.isArray(item) || item.length !== bounds.length) throw malformed();
  for (let i = 0; i < bounds.length; i++) {
    const value = item[i];
    const { min, max } = bounds[i]!;
    if (!Number.isInteger(value) || value < min || value > max) throw malformed();
  }
  // by position: taking an array apart with a pattern makes an object per element
  const numbers = item as number[];
  return {
    seq: numbers[0]!,
    t: numbers[1]!,
    energy_Wh: numbers[2]!,
    power_W: numbers[3]!,
    voltage_mV: numbers[4]!,
    flags: numbers[5]!,
  };
}

function malformed(cause?: unknown): BatchError {
  return new BatchError("malformed", "Cannot read the batch of readings", { cause });
}

/** Why one reading of a batch was not taken; the others were. */
export const readingRefusals = ["future", "implausible", "conflict"] as const;
export type ReadingRefusal = typeof readingRefusals[number];

/** The fog's answer to a batch: whatever is not listed as refused is on its disk. */
export interface Receipt {
  /** Stored by this call. */
  readonly accepted: number;
  /** Stored before, with the same content. */
  readonly duplicates: number;
  readonly refused: readonly { readonly seq: number; readonly reason: ReadingRefusal }[];
}

export function encodeReceipt({ accepted, duplicates, refused }: Receipt): Uint8Array {
  return encodeCbor({
    accepted,
    duplicates,
    refused: refused.map(({ seq, reason }) => [seq, reason]),
  });
}

/** @throws BatchError "malformed" */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  try {
    const map = new MapReader(decodeCbor(bytes));
    const receipt: Receipt = {
      accepted: map.integer("accepted", 0, maxBatch),
      duplicates: map.integer("duplicates", 0, maxBatch),
      refused: map.array("refused", maxBatch).map((item) => {
        if (!Array.isArray(item) || item.length !== 2) throw malformed();
        const [seq, reason] = item as [number, ReadingRefusal];
        if (!Number.isSafeInteger(seq) || !readingRefusals.includes(reason)) throw malformed();
        return { seq, reason };
      }),
    };
    map.end();
    return receipt;
  } catch (error) {
    throw malformed(error);
  }
}
