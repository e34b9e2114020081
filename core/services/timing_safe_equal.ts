/**
 * Stands in for `@std/crypto/timing-safe-equal`, with its signature and errors, where the JSR
 * registry cannot be reached: `deno.json` maps the name here, and one line there changes it back.
 */
import { timingSafeEqual as nodeTimingSafeEqual } from "node:crypto";

/** Compares two byte strings in constant time; strings of different lengths are unequal. */
export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && nodeTimingSafeEqual(a, b);
}
