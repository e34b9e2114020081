/**
 * Deterministic CBOR (RFC 8949 §4.2): integers within ±(2^53 − 1), byte and text strings, arrays, maps,
 * true, false and null; no floats, no tags, no indefinite lengths. There is one encoding of an item, and
 * the decoder takes no other: shortest heads, sorted keys, valid UTF-8, nothing behind the end.
 *
 * Maps decode to `Map`, so that no key, `__proto__` included, can reach an object's prototype. What an
 * outsider can make it do is bounded: nesting by `maxDepth`, everything else by the bytes that he sent.
 */
import { encode, rfc8949EncodeOptions } from "cborg";
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

/** Arrays and maps inside each other: more than any of ours, little enough for a small stack. */
const maxDepth = 16;

/** Encodes with sorted maps and the shortest forms. */
export function encodeCbor(value: Cbor): Uint8Array {
  return plain(encode(value, rfc8949EncodeOptions));
}

/** @throws CborError "malformed" on anything but one item in its deterministic encoding */
export function decodeCbor(bytes: Uint8Array): Cbor {
  const decoder = new Decoder(bytes);
  const value = decoder.item(maxDepth);
  if (decoder.at !== bytes.length) throw malformed("bytes follow the item");
  return value;
}

/** Per width of an argument, 1 to 8 bytes: the least that needs so many. */
const leastOf = [24, 0x100, 0x1_0000, 0x1_0000_0000];

/** One pass over the bytes (RFC 8949 §3). */
class Decoder {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  item(depth: number): Cbor {
    if (depth === 0) throw malformed("it is nested too deeply");
    const lead = this.#byte();
    if (lead >= 0xe0) return simple(lead);
    const argument = this.#argument(lead & 31);
    switch (lead >> 5) {
      case 0:
        return argument;
      case 1:
        if (argument === Number.MAX_SAFE_INTEGER) throw malformed("an integer is out of range");
        return -1 - argument;
      case 2:
        return this.#bytes.slice(this.#skip(argument), this.at);
      case 3:
        return text(this.#bytes, this.#skip(argument), this.at);
      case 4: {
        const items: Cbor[] = [];
        for (let i = 0; i < argument; i++) items.push(this.item(depth - 1));
        return items;
      }
      case 5:
        return this.#map(argument, depth);
      default:
        throw malformed("tags are not expected");
    }
  }

  #map(size: number, depth: number): Cbor {
    const map = new Map<string | number, Cbor>();
    for (let i = 0, last = 0; i < size; i++) {
      const from = this.at;
      const key = this.#key();
      if (i > 0 && !this.#isBefore(last, from)) throw malformed("keys are not sorted");
      last = from;
      map.set(key, this.item(depth - 1));
    }
    return map;
  }

  /**
   * Whether the item at `a` is bytewise before the one at `b`, which has just been read: that is their
   * order (§4.2.1), and none is the beginning of another.
   */
  #isBefore(a: number, b: number): boolean {
    const bytes = this.#bytes;
    for (; b < this.at; a++, b++) if (bytes[a] !== bytes[b]) return bytes[a]! < bytes[b]!;
    return false;
  }

  /** Text or an integer, which is looked at first: keys that hold maps would nest without end. */
  #key(): string | number {
    const kind = (this.#bytes[this.at] ?? 0xff) >> 5;
    if (kind !== 0 && kind !== 1 && kind !== 3) throw malformed("a key is no name");
    return this.item(1) as string | number;
  }

  /** The number behind the lead byte, in its shortest form. */
  #argument(short: number): number {
    if (short < 24) return short;
    if (short > 27) throw malformed("a length is indefinite");
    let value = 0;
    for (let i = this.#skip(1 << (short - 24)); i < this.at; i++) {
      value = value * 256 + this.#bytes[i]!;
    }
    if (value < leastOf[short - 24]!) throw malformed("a head is not in its shortest form");
    if (value > Number.MAX_SAFE_INTEGER) throw malformed("an integer is out of range");
    return value;
  }

  #byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw malformed("it ends too early");
    return byte;
  }

  /** Goes on by so many bytes. @returns where they begin */
  #skip(length: number): number {
    const from = this.at;
    this.at += length;
    if (this.at > this.#bytes.length) throw malformed("it ends too early");
    return from;
  }
}

function simple(lead: number): Cbor {
  if (lead === 0xf4) return false;
  if (lead === 0xf5) return true;
  if (lead === 0xf6) return null;
  throw malformed("floats and other simple values are not expected");
}

/** Strict UTF-8 (RFC 3629): not every engine has a TextDecoder. */
function text(bytes: Uint8Array, from: number, to: number): string {
  let result = "";
  for (let i = from; i < to;) {
    const lead = bytes[i++]!;
    if (lead < 0x80) {
      result += String.fromCharCode(lead);
      continue;
    }
    const more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    const least = [0x80, 0x800, 0x1_0000][more - 1]!;
    let point = lead & (0x3f >> more);
    for (let k = 0; k < more; k++) {
      const next = i < to ? bytes[i++]! : 0;
      if (next >> 6 !== 2) throw malformed("text is not UTF-8");
      point = point << 6 | next & 0x3f;
    }
    const surrogate = point >= 0xd800 && point < 0xe000;
    if (lead < 0xc2 || lead > 0xf4 || point < least || point > 0x10_ffff || surrogate) {
      throw malformed("text is not UTF-8");
    }
    result += String.fromCodePoint(point);
  }
  return result;
}

function malformed(why: string): CborError {
  return new CborError("malformed", `Cannot decode CBOR: ${why}`);
}

/**
 * Reads bytes that are one map, all of whose members `read` asks for.
 * @param malformed makes the error of whatever is wrong
 */
export function readMap<T>(
  bytes: Uint8Array,
  read: (map: MapReader) => T,
  malformed: (cause: unknown) => Error,
): T {
  try {
    const map = new MapReader(decodeCbor(bytes));
    const value = read(map);
    map.end();
    return value;
  } catch (error) {
    throw malformed(error);
  }
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
      ? member
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
