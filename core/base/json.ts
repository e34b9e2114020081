/**
 * Strict JSON (RFC 8259): what two readers could understand differently is refused. Members of one
 * name, `__proto__`, whole numbers that a double cannot hold, numbers without end, lone surrogates and
 * bytes that are not UTF-8 are no JSON here, and nesting is bounded. Objects have no prototype.
 * What is refused is not quoted.
 */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

/** A member of the outermost object: what it says, and how it is spelled. */
export interface Member {
  readonly value: Json;
  readonly text: string;
}

/**
 * The members of an object that begins with the first byte, because that byte tells the profiles
 * apart.
 * @param depth how many objects and arrays may lie inside each other, the outermost included
 * @throws SyntaxError
 */
export function readObject(bytes: Uint8Array, depth: number): ReadonlyMap<string, Member> {
  const reader = new Reader(textOf(bytes));
  const members = reader.members(depth);
  reader.space();
  if (!reader.ended) throw new SyntaxError("Cannot read JSON: something follows the object");
  return members;
}

/** Strict UTF-8, in every engine: not each has a TextDecoder. */
function textOf(bytes: Uint8Array): string {
  let escaped = "";
  for (const byte of bytes) escaped += byte < 0x80 && byte !== 0x25 ? ascii[byte] : percent[byte];
  try {
    return decodeURIComponent(escaped);
  } catch {
    throw new SyntaxError("Cannot read JSON: it is not UTF-8");
  }
}

const ascii = Array.from({ length: 0x80 }, (_, byte) => String.fromCharCode(byte));
const percent = Array.from(
  { length: 0x100 },
  (_, byte) => `%${byte.toString(16).padStart(2, "0")}`,
);

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get ended(): boolean {
    return this.#at === this.#text.length;
  }

  space(): void {
    while (" \t\n\r".includes(this.#text[this.#at] ?? "end")) this.#at++;
  }

  members(depth: number): Map<string, Member> {
    if (depth === 0) throw new SyntaxError("Cannot read JSON: it is nested too deeply");
    const members = new Map<string, Member>();
    this.#expect("{");
    if (this.#takes("}")) return members;
    do {
      this.space();
      const name = this.#string();
      if (name === "__proto__" || members.has(name)) {
        throw new SyntaxError("Cannot read JSON: a name is used twice, or must not be used");
      }
      this.space();
      this.#expect(":");
      this.space();
      const from = this.#at;
      const value = this.#value(depth - 1);
      members.set(name, { value, text: this.#text.slice(from, this.#at) });
    } while (this.#takes(","));
    this.#expect("}");
    return members;
  }

  #value(depth: number): Json {
    const lead = this.#text[this.#at];
    if (lead === '"') return this.#string();
    if (lead === "{") return objectOf(this.members(depth));
    if (lead === "[") return this.#array(depth);
    for (const [word, value] of [["true", true], ["false", false], ["null", null]] as const) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    return this.#number();
  }

  #array(depth: number): Json[] {
    if (depth === 0) throw new SyntaxError("Cannot read JSON: it is nested too deeply");
    const items: Json[] = [];
    this.#expect("[");
    if (this.#takes("]")) return items;
    do {
      this.space();
      items.push(this.#value(depth - 1));
    } while (this.#takes(","));
    this.#expect("]");
    return items;
  }

  #string(): string {
    const from = this.#at;
    this.#expect('"');
    for (let end = this.#text[this.#at]; end !== '"'; end = this.#text[this.#at]) {
      if (end === undefined) throw new SyntaxError("Cannot read JSON: a string has no end");
      this.#at += end === "\\" ? 2 : 1;
    }
    this.#at++;
    return unquoted(this.#text.slice(from, this.#at));
  }

  #number(): number {
    const from = this.#at;
    while (/[-+.0-9eE]/.test(this.#text[this.#at] ?? "")) this.#at++;
    const text = this.#text.slice(from, this.#at);
    const value = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(text) ? Number(text) : NaN;
    const exact = !/^-?\d+$/.test(text) || Number.isSafeInteger(value);
    if (!Number.isFinite(value) || !exact) {
      throw new SyntaxError("Cannot read JSON: not a value, or a number that a double cannot hold");
    }
    return value;
  }

  #takes(character: string): boolean {
    this.space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #expect(character: string): void {
    if (this.#text[this.#at] !== character) {
      throw new SyntaxError(`Cannot read JSON: expected ${character}`);
    }
    this.#at++;
  }
}

/** @throws SyntaxError of ours: the engine's would quote the text, which may be secret */
function unquoted(text: string): string {
  let value: string;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SyntaxError("Cannot read JSON: a string is not spelled right");
  }
  if (/[\ud800-\udfff]/u.test(value)) throw new SyntaxError("Cannot read JSON: half a character");
  return value;
}

function objectOf(members: ReadonlyMap<string, Member>): JsonObject {
  const object: Record<string, Json> = Object.create(null);
  for (const [name, { value }] of members) object[name] = value;
  return object;
}
