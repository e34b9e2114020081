/** The members of a strict JSON object, each asked for by name; what nobody asked for is refused. */
import { fromHex } from "../../base/bytes.ts";
import { type Id, isId } from "../../base/id.ts";
import { type Json, type Member, readObject } from "../../base/json.ts";
import { type LegacyError, malformed } from "./error.ts";

export class Members {
  readonly #what: string;
  readonly #members: ReadonlyMap<string, Member>;
  #taken = 0;

  /**
   * @param options.what the noun of the refusals' sentence
   * @param options.limit bytes, at the most
   * @throws LegacyError "malformed"
   */
  constructor(bytes: Uint8Array, options: { what: string; limit: number; depth: number }) {
    this.#what = options.what;
    if (bytes.length > options.limit) throw this.refuse("it is too long");
    try {
      this.#members = readObject(bytes, options.depth);
    } catch {
      throw this.refuse("it is no strict JSON object"); // without the cause, which may quote it
    }
  }

  has(name: string): boolean {
    return this.#members.has(name);
  }

  value(name: string): Json {
    return this.#take(name).value;
  }

  string(name: string): string {
    const value = this.value(name);
    return typeof value === "string" ? value : this.#wrong(name);
  }

  device(): Id {
    const id = this.value("device_id");
    return isId(id) ? id : this.#wrong("device_id");
  }

  /** Bytes in lower-case hexadecimal, of this length if one is given. */
  hex(name: string, length?: number): Uint8Array {
    const text = this.string(name);
    if (!/^([0-9a-f]{2})*$/.test(text)) return this.#wrong(name);
    return length === undefined || text.length === 2 * length ? fromHex(text) : this.#wrong(name);
  }

  /** A whole number from 0 to 2^53 − 1, spelled in plain decimal digits. */
  natural(name: string): number {
    const { value, text } = this.#take(name);
    return isNatural(text) ? value as number : this.#wrong(name);
  }

  /** An identifier of a call: a short name, or as `natural`. */
  callId(name: string): string | number {
    const { value, text } = this.#take(name);
    return isId(value) || isNatural(text) ? value as string | number : this.#wrong(name);
  }

  /** @throws LegacyError "malformed" when there are members that nobody asked for */
  end(): void {
    if (this.#taken !== this.#members.size) throw this.refuse("it has unknown members");
  }

  refuse(why: string): LegacyError {
    return malformed(this.#what, why);
  }

  #take(name: string): Member {
    const member = this.#members.get(name);
    if (member === undefined) throw this.refuse(`${name} is missing`);
    this.#taken++;
    return member;
  }

  #wrong(name: string): never {
    throw this.refuse(`${name} is not what it must be`);
  }
}

/** The reader has refused what a double cannot hold. */
function isNatural(text: string): boolean {
  return /^(0|[1-9]\d*)$/.test(text);
}
