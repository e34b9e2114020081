/** Sizes in bytes as people write them: `"512KiB"`, `"64MiB"`, `"4GiB"`, `"1TiB"`, `"4096B"`. */
import { quantity } from "./_quantity.ts";

const units = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/**
 * A schema that reads a size and gives bytes, a safe whole number. `min` and `max` are sizes too, both
 * inclusive. Its default belongs to the text: `size().prefault("4GiB")`, as with a duration.
 */
export function size(options: { min?: string; max?: string } = {}) {
  return quantity({ noun: "size", example: "4GiB", units, ...options });
}
