/** Quantities as people write them: a whole number and a unit, without a space between. */
import { z } from "zod";
import { refuse } from "./_refuse.ts";
import { kindOf } from "./_wording.ts";

export interface QuantityOptions {
  /** For messages: "duration". */
  readonly noun: string;
  /** Shown where there is no bound to show. */
  readonly example: string;
  /** What one of each unit is worth, the smallest first. */
  readonly units: Readonly<Record<string, number>>;
  /** Quantities too, both inclusive. */
  readonly min?: string | undefined;
  readonly max?: string | undefined;
}

/** A schema that reads a quantity and gives a safe whole number of the unit that is worth 1. */
export function quantity({ noun, example, units, min, max }: QuantityOptions) {
  const names = Object.keys(units);
  const form = RegExp(`^(\\d{1,16})(${names.join("|")})$`);
  const expected = `expected a ${noun} such as "${min ?? max ?? example}"`;
  const hint = `write a whole number with a unit: ${names.slice(0, -1).join(", ")} or ${
    names.at(-1)
  }`;
  const least = min === undefined ? 0 : bound(min);
  const most = max === undefined ? Number.MAX_SAFE_INTEGER : bound(max);
  return z.string({ error: (issue) => `${expected}, got ${kindOf(issue.input)}` })
    .transform((text, context): number => {
      const value = parse(text);
      if (value === undefined) return refuse(context, expected, hint);
      if (value < least) return refuse(context, `expected a ${noun} of at least "${min}"`);
      if (value > most) return refuse(context, `expected a ${noun} of at most "${max}"`);
      return value;
    });

  function parse(text: string): number | undefined {
    const match = form.exec(text);
    if (!match) return undefined;
    const value = Number(match[1]) * units[match[2]!]!;
    return Number.isSafeInteger(value) ? value : undefined;
  }

  function bound(text: string): number {
    const value = parse(text);
    if (value === undefined) throw new SyntaxError(`Cannot parse the bound "${text}" of a ${noun}`);
    return value;
  }
}
