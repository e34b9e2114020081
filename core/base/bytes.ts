/**
 * Small functions over `Uint8Array`: joining, comparing, text forms. PURE: no globals beyond
 * ECMAScript 2021 and TextEncoder, so they run in Deno, browsers and XS alike.
 */

const encoder = new TextEncoder();

/** UTF-8 bytes of a string. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Joins byte strings into a new one. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/**
 * Compares two byte strings in a time that depends on their lengths only. Lengths are not secret.
 * As far as a JavaScript engine can promise it: for secrets on the server prefer the native
 * `@std/crypto/timing-safe-equal`.
 */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

/** Whether every byte is zero, in a time that depends on the length only. */
export function isZero(bytes: Uint8Array): boolean {
  let any = 0;
  for (const byte of bytes) any |= byte;
  return any === 0;
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += hexOfByte[bytes[i]!];
  return text;
}

/** @throws SyntaxError when the text is not an even number of hexadecimal digits */
export function fromHex(text: string): Uint8Array {
  if (!/^([0-9a-fA-F]{2})*$/.test(text)) {
    throw new SyntaxError("Cannot parse hex: expected an even number of hexadecimal digits");
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

const base64urlDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Base64url without padding (RFC 4648 §5). */
export function toBase64url(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const digits = Math.min(4, bytes.length - i + 1);
    for (let k = 0; k < digits; k++) text += base64urlDigits[(group >> (18 - 6 * k)) & 63];
  }
  return text;
}

/** @throws SyntaxError on padding, foreign characters, or bits set behind the last byte */
export function fromBase64url(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 6) / 8));
  let bits = 0, buffer = 0, at = 0;
  for (const character of text) {
    const digit = base64urlDigits.indexOf(character);
    if (digit < 0) throw new SyntaxError("Cannot parse base64url: unexpected character");
    buffer = ((buffer << 6) | digit) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (buffer >> bits) & 255;
    }
  }
  if (text.length % 4 === 1 || (buffer & ((1 << bits) - 1)) !== 0) {
    throw new SyntaxError("Cannot parse base64url: not a whole number of bytes");
  }
  return bytes;
}

/** Base64 with padding (RFC 4648 §4). */
export function toBase64(bytes: Uint8Array): string {
  const text = toBase64url(bytes).replace(/-/g, "+").replace(/_/g, "/");
  return text + "=".repeat((4 - text.length % 4) % 4);
}

/** @throws SyntaxError on anything but the one form that `toBase64` gives */
export function fromBase64(text: string): Uint8Array {
  const unpadded = text.replace(/={0,2}$/, "");
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*$/.test(unpadded)) {
    throw new SyntaxError("Cannot parse base64: unexpected character or length");
  }
  return fromBase64url(unpadded.replace(/\+/g, "-").replace(/\//g, "_"));
}

/** A view for reading and writing integers in place. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
