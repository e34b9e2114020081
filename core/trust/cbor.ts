/**
 * Deterministic CBOR (RFC 8949 §4.2) over cborg. Maps decode to `Map`, so that no key, `__proto__`
 * included, can reach an object's prototype; a decoded item must equal its own re-encoding, because
 * decoders alone accept unsorted maps.
 */
import { decode, encode, encodeInto, rfc8949EncodeOptions } from "cborg";
import { equalBytes } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";

/** What we put on the wire: no floats, no tags but COSE's, integers within ±(2^53 − 1). */
export type Cbor =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly Cbor[]
  | ReadonlyMap<string | number, Cbor>
  | { readonly [key: string]: Cbor };

/** Bytes that are not one deterministic CBOR item of the expected shape. */
export class CborError extends CodedError<"malformed"> {
  override readonly name = "CborError";
}

const decodeOptions = {
  useMaps: true,
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
} as const;

/** Encodes with sorted maps and the shortest forms. */
export function encodeCbor(value: Cbor): Uint8Array {
  return plain(encode(value, rfc8949EncodeOptions));
}

/** @throws CborError "malformed" on anything but one item in its deterministic encoding */
export function decodeCbor(bytes: Uint8Array): Cbor {
  let value: Cbor;
  const again = new Uint8Array(bytes.length);
  let written: number;
  try {
    value = decode(bytes, decodeOptions) as Cbor;
    ({ written } = encodeInto(value, again, rfc8949EncodeOptions));
  } catch (error) {
    throw new CborError("malformed", "Cannot decode CBOR: not one well-formed item", {
      cause: error,
    });
  }
  if (written !== bytes.length || !equalBytes(bytes, again)) {
    throw new CborError("malformed", "Cannot decode CBOR: not in deterministic encoding");
  }
  return value;
}

/**
 * A view of a decoded map that hands out typed members and refuses what is missing, mistyped or,
 * at `end()`, not asked for.
 */
export class MapReader {
  #map: ReadonlyMap<unknown, Cbor>;
  #read = 0;

  /** @throws CborError when the value is no map */
  constructor(value: Cbor) {
    if (!(value instanceof Map)) throw new CborError("malformed", "Cannot read CBOR: not a map");
    this.#map = value;
  }

  /** The member as it is. @throws CborError when it is missing */
  value(key: string | number): Cbor {
    const member = this.#map.get(key);
    if (member === undefined) this.#refuse(key, "is missing");
    this.#read++;
    return member;
  }

  /** The member, or undefined when it is missing. */
  optional(key: string | number): Cbor | undefined {
    return this.#map.has(key) ? this.value(key) : undefined;
  }

  text(key: string | number): string {
    const member = this.value(key);
    return typeof member === "string" ? member : this.#refuse(key, "is not text");
  }

  /** A whole number within the bounds, both included. */
  integer(key: string | number, min: number, max: number): number {
    const member = this.value(key);
    return Number.isInteger(member) && member as number >= min && member as number <= max
      ? member as number
      : this.#refuse(key, "is not an integer within its bounds");
  }

  bytes(key: string | number, length?: number): Uint8Array {
    const member = this.value(key);
    return member instanceof Uint8Array && (length === undefined || member.length === length)
      ? plain(member)
      : this.#refuse(key, "is not a byte string of the right length");
  }

  array(key: string | number, max: number): readonly Cbor[] {
    const member = this.value(key);
    return Array.isArray(member) && member.length <= max
      ? member
      : this.#refuse(key, "is not an array of an allowed length");
  }

  /** @throws CborError when the map holds members that nobody asked for */
  end(): void {
    if (this.#read !== this.#map.size) {
      throw new CborError("malformed", "Cannot read CBOR: the map has unknown members");
    }
  }

  #refuse(key: string | number, why: string): never {
    throw new CborError("malformed", `Cannot read CBOR: member ${JSON.stringify(key)} ${why}`);
  }
}

/** cborg hands out Node's Buffer where there is one, whose `slice` shares memory: a trap. */
function plain(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
