/** Durations as people write them: `"500ms"`, `"10s"`, `"5m"`, `"24h"`, `"7d"`. */
import { z } from "zod";
import { refuse } from "./_refuse.ts";
import { kindOf } from "./_wording.ts";

const milliseconds: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * A schema that reads a duration and gives milliseconds, a safe whole number. `min` and `max` are
 * durations too, both inclusive. Its default belongs to the text, so give it with
 * `duration().prefault("60s")`: zod's `default` would have to be a number of milliseconds.
 */
export function duration(options: { min?: string; max?: string } = {}) {
  const { min, max } = options;
  const expected = `expected a duration such as "${min ?? max ?? "60s"}"`;
  const least = min === undefined ? 0 : parseBound(min);
  const most = max === undefined ? Number.MAX_SAFE_INTEGER : parseBound(max);
  return z.string({ error: (issue) => `${expected}, got ${kindOf(issue.input)}` })
    .transform((text, context): number => {
      const value = parse(text);
      if (value === undefined) {
        return refuse(context, expected, "write a whole number with a unit: ms, s, m, h or d");
      }
      if (value < least) return refuse(context, `expected a duration of at least "${min}"`);
      if (value > most) return refuse(context, `expected a duration of at most "${max}"`);
      return value;
    });
}

function parse(text: string): number | undefined {
  const match = /^(\d{1,16})(ms|s|m|h|d)$/.exec(text);
  if (!match) return undefined;
  const value = Number(match[1]) * milliseconds[match[2]!]!;
  return Number.isSafeInteger(value) ? value : undefined;
}

function parseBound(text: string): number {
  const value = parse(text);
  if (value === undefined) throw new SyntaxError(`Cannot parse the bound "${text}" of a duration`);
  return value;
}
