/**
 * How often numbers occur, as sets in layers: layer 1 has the numbers that occur at all, layer 2 those
 * that occur twice, and so on. What occurs more often than there may be layers is not counted further.
 */
import { type Range, rangesOf, without } from "../../core/base/ranges.ts";

/** From the first layer up; each is contained in the one below it. */
export type Layers = readonly (readonly Range[])[];

export const maxLayers = 8;

/** Each number of a set once more. */
export function counted(layers: Layers, set: readonly Range[]): Layers {
  const result = [...layers];
  let carry = set;
  for (let i = 0; i < maxLayers && carry.length > 0; i++) {
    const layer = result[i] ?? [];
    result[i] = rangesOf([...layer, ...carry]);
    carry = common(layer, carry);
  }
  return result;
}

/** Each number of a set once less, if it occurs. */
export function uncounted(layers: Layers, set: readonly Range[]): Layers {
  const result = [...layers];
  let rest = set;
  for (let i = layers.length - 1; i >= 0 && rest.length > 0; i--) {
    const taken = common(layers[i]!, rest);
    if (taken.length === 0) continue;
    result[i] = without(layers[i]!, taken);
    rest = without(rest, taken);
  }
  return result;
}

/** Each number of a set at least once. */
export function filled(layers: Layers, set: readonly Range[]): Layers {
  return counted(layers, without(set, layers[0] ?? []));
}

function common(set: readonly Range[], other: readonly Range[]): Range[] {
  return set.length === 0 ? [] : without(set, without(set, other));
}
