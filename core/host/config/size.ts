/** Sizes in bytes as people write them: `"512KiB"`, `"64MiB"`, `"4GiB"`, `"1TiB"`, `"4096B"`. */
import { z } from "zod";
import { refuse } from "./_refuse.ts";
import { kindOf } from "./_wording.ts";

const bytes: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/**
 * A schema that reads a size and gives bytes, a safe whole number. `min` and `max` are sizes too, both
 * inclusive. Its default belongs to the text: `size().prefault("4GiB")`, as with a duration.
 */
export function size(options: { min?: string; max?: string } = {}) {
  const { min, max } = options;
  const expected = `expected a size such as "${min ?? max ?? "4GiB"}"`;
  const least = min === undefined ? 0 : parseBound(min);
  const most = max === undefined ? Number.MAX_SAFE_INTEGER : parseBound(max);
  return z.string({ error: (issue) => `${expected}, got ${kindOf(issue.input)}` })
    .transform((text, context): number => {
      const value = parse(text);
      if (value === undefined) {
        return refuse(
          context,
          expected,
          "write a whole number with a unit: B, KiB, MiB, GiB or TiB",
        );
      }
      if (value < least) return refuse(context, `expected a size of at least "${min}"`);
      if (value > most) return refuse(context, `expected a size of at most "${max}"`);
      return value;
    });
}

function parse(text: string): number | undefined {
  const match = /^(\d{1,16})(B|KiB|MiB|GiB|TiB)$/.exec(text);
  if (!match) return undefined;
  const value = Number(match[1]) * bytes[match[2]!]!;
  return Number.isSafeInteger(value) ? value : undefined;
}

function parseBound(text: string): number {
  const value = parse(text);
  if (value === undefined) throw new SyntaxError(`Cannot parse the bound "${text}" of a size`);
  return value;
}
