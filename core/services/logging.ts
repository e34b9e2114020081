/**
 * Where log lines enter: one category per site and role, properties instead of interpolated values.
 * Nothing here decides where lines go: sinks and redaction are configured once, in `edge/`.
 */
import { getLogger } from "@logtape/logtape";

/** A message is a sentence without values; values are properties. Never pass a secret. */
export interface Log {
  debug(message: string, properties?: Record<string, unknown>): void;
  info(message: string, properties?: Record<string, unknown>): void;
  warn(message: string, properties?: Record<string, unknown>): void;
  error(message: string, properties?: Record<string, unknown>): void;
}

/** The log of one part of one site: category `edgeward`, site, part. */
export function logOf(site: string, part: string): Log {
  return getLogger(["edgeward", site, part]);
}
