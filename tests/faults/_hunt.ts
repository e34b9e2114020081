/**
 * Looks for secrets in what has left a site: as they are, in hexadecimal and in base64, also in the
 * middle of something longer that was written so.
 */
import { Buffer } from "node:buffer";
import { toHex, utf8 } from "../../core/base/bytes.ts";

export class Hunt {
  /** By the name of the secret, every piece that gives it away. */
  readonly #pieces = new Map<string, readonly Buffer[]>();
  readonly #seen: { where: string; bytes: Buffer }[] = [];

  /** From now on this is not to be seen anywhere. Bytes, or text that is the secret itself. */
  secret(name: string, value: Uint8Array | string): void {
    const bytes = typeof value === "string" ? utf8(value) : value;
    this.#pieces.set(name, formsOf(bytes));
  }

  /** This has left the site. */
  saw(where: string, what: Uint8Array | string): void {
    this.#seen.push({ where, bytes: Buffer.from(what as Uint8Array) });
  }

  /** `SECRET in PLACE`, for every secret that can be read somewhere. */
  findings(): string[] {
    return this.#seen.flatMap(({ where, bytes }) =>
      this.namesIn(bytes).map((name) => `${name} in ${where}`)
    );
  }

  /** The secrets that these bytes give away. */
  namesIn(bytes: Uint8Array | string): string[] {
    const hay = Buffer.from(bytes as Uint8Array);
    // bytes are printed in columns
    const dense = Buffer.from(hay.toString("latin1").replace(/\s+/g, ""), "latin1");
    return [...this.#pieces]
      .filter(([, forms]) => forms.some((form) => hay.includes(form) || dense.includes(form)))
      .map(([name]) => name);
  }

  /** All that was seen in places whose name begins like this, for a look at whether it is enough. */
  text(where: string): string {
    return this.#seen.filter((one) => one.where.startsWith(where))
      .map(({ bytes }) => bytes.toString("latin1")).join("\n");
  }
}

function formsOf(bytes: Uint8Array): Buffer[] {
  const texts = [toHex(bytes), toHex(bytes).toUpperCase()];
  // three bytes are four digits: what comes before shifts the secret by none, one or two of them
  for (const shift of [0, 1, 2]) {
    const groups = bytes.subarray(shift, shift + 3 * Math.floor((bytes.length - shift) / 3));
    const base64 = Buffer.from(groups).toString("base64");
    texts.push(base64, base64.replaceAll("+", "-").replaceAll("/", "_"));
  }
  // as runtimes print bytes, and as JSON.stringify does
  texts.push([...bytes].join(","));
  texts.push([...bytes].map((byte, i) => `"${i}":${byte}`).join(","));
  return [Buffer.from(bytes), ...texts.map((text) => Buffer.from(text))];
}
