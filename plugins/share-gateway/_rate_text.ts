/** Rates as people write them: `"6/m"`, six a minute and six at once; `"20/s"`, `"100/h"`. */
import { z } from "zod";
import type { Rate } from "../../core/services/token_bucket.ts";

const seconds = { s: 1, m: 60, h: 3_600 } as const;
const form = /^([1-9]\d{0,5})\/(s|m|h)$/;
const expected = 'expected a rate such as "6/m"';
const hint = "write how many per s, m or h";

/** A schema that reads a rate. Its default belongs to the text: `rate().prefault("6/m")`. */
export function rate() {
  return z.string({ error: expected }).transform((text, context): Rate => {
    const [, count, unit] = form.exec(text) ?? [];
    if (count === undefined) {
      context.addIssue({ code: "custom", message: expected, input: text, params: { hint } });
      return z.NEVER;
    }
    const burst = Number(count);
    return { perSecond: burst / seconds[unit as keyof typeof seconds], burst };
  });
}
