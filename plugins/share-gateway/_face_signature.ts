/**
 * How a device of the first prototype signs: `{"dev_id", "ts", "sig"}` with sig the hexadecimal
 * HMAC-SHA256 under its secret of `dev_id | "|" | ts`, and of `… | "|" | event` for an event; ts in Unix
 * seconds. Who has no secret here is told apart from a wrong signature by nothing, the time included.
 */
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import { fromHex, utf8 } from "../../core/base/bytes.ts";
import type { Secret } from "../../core/base/secret.ts";
import type { Suite } from "../../core/trust/crypto.ts";

/** A request as it was sent, its signature not checked. */
export interface Signed {
  readonly device: string;
  /** As it was sent: these characters are signed. */
  readonly ts: string;
  readonly event: string | null;
  readonly signature: Uint8Array;
}

/** Seconds that a device's clock may be off. */
const tolerance = 30;

/** Null when it is not of the expected form. @param options.hasEvent whether an event belongs to it */
export function parseSigned(text: string, { hasEvent }: { hasEvent: boolean }): Signed | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof body !== "object" || body === null) return null;
  const { dev_id, ts, sig, event } = body as Readonly<Record<string, unknown>>;
  const time = typeof ts === "number" && Number.isSafeInteger(ts) ? String(ts) : ts;
  const isForm = typeof dev_id === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(dev_id) &&
    typeof time === "string" && /^\d{1,12}$/.test(time) &&
    typeof sig === "string" && /^[0-9a-fA-F]{64}$/.test(sig) &&
    (!hasEvent || typeof event === "string" && /^[A-Z_]{1,32}$/.test(event));
  if (!isForm) return null;
  return {
    ...{ device: dev_id, ts: time },
    event: hasEvent ? event as string : null,
    signature: fromHex(sig),
  };
}

/** Whether whoever has the secret has signed it. */
export function isSignedBy(
  suite: Suite,
  secret: Secret<Uint8Array>,
  { device, ts, event, signature }: Signed,
): boolean {
  const message = [device, ts, ...event === null ? [] : [event]].join("|");
  return timingSafeEqual(suite.hmacSha256(secret.reveal(), utf8(message)), signature);
}

/** Whether it was signed about now. @param now Unix milliseconds */
export function isFresh({ ts }: Signed, now: number): boolean {
  return Math.abs(Number(ts) - now / 1_000) <= tolerance;
}
