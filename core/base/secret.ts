/**
 * A value that must not be shown. Printing, logging, interpolating or serialising a `Secret` gives
 * `[redacted]`; its only door is `reveal()`. It does not protect memory: JavaScript strings cannot
 * be wiped, so keep keys as bytes and call `wipe()` when done.
 */
export class Secret<T = Uint8Array> {
  #value: T | undefined;

  constructor(value: T) {
    this.#value = value;
  }

  /** The value itself. @throws Error after `wipe()` */
  reveal(): T {
    if (this.#value === undefined) throw new Error("Cannot reveal a secret: it was wiped");
    return this.#value;
  }

  /** Overwrites bytes with zeros and forgets the value. Idempotent. */
  wipe(): void {
    if (this.#value instanceof Uint8Array) this.#value.fill(0);
    this.#value = undefined;
  }

  toString(): string {
    return "[redacted]";
  }

  toJSON(): string {
    return "[redacted]";
  }

  /** What `console.log` of Deno and Node print. */
  [Symbol.for("Deno.customInspect")](): string {
    return "[redacted]";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "[redacted]";
  }
}
