/** Durations as people write them: `"500ms"`, `"10s"`, `"5m"`, `"24h"`, `"7d"`. */
import { quantity } from "./_quantity.ts";

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * A schema that reads a duration and gives milliseconds, a safe whole number. `min` and `max` are
 * durations too, both inclusive. Its default belongs to the text, so give it with
 * `duration().prefault("60s")`: zod's `default` would have to be a number of milliseconds.
 */
export function duration(options: { min?: string; max?: string } = {}) {
  return quantity({ noun: "duration", example: "60s", units, ...options });
}
