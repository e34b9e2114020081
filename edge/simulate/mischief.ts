/**
 * Misbehaviour on purpose, and repeatably: every misdeed is looked up by seed, device and what it would
 * happen to, so two runs with one seed misbehave alike. What kinds there are is said by who plays the
 * devices: `misbehaviour.ts` for meters, `sensor_misbehaviour.ts` for sensors.
 */
import { draw } from "./_draw.ts";

export interface Kind {
  /** What a device of that kind does, for the help text. */
  readonly does: string;
  /** How often, of the times when it could. */
  readonly chance: number;
  /** Sets its draws apart from those of all others. */
  readonly topic: number;
  /** What its misdeeds are counted in. */
  readonly counted: string;
}

export type Kinds<K extends string> = Readonly<Record<K, Kind>>;

/** How often a device, or all of them, did what; a kind that it has not been told has no entry. */
export type MisdeedsOf<K extends string> = Readonly<Partial<Record<K, number>>>;

/**
 * Whether a device misbehaves so, this time: null when it does not, else a number in [0, 1) that says
 * how. Asking again for the same time gives the same answer.
 */
export type MischiefOf<K extends string> = (kind: K, ...time: readonly number[]) => number | null;

/** The mischief of a device, by its number among all. */
export function drawnMischief<K extends string>(
  kinds: Kinds<K>,
  told: Iterable<K>,
  { seed, device }: { readonly seed: number; readonly device: number },
): MischiefOf<K> {
  const wanted = new Set(told);
  return (kind, ...time) => {
    const { chance, topic } = kinds[kind];
    if (!wanted.has(kind) || draw(seed, device, topic, ...time, 0) >= chance) return null;
    return draw(seed, device, topic, ...time, 1);
  };
}

/** The misdeeds of all. */
export function misdeedsOfAll<K extends string>(all: Iterable<MisdeedsOf<K>>): MisdeedsOf<K> {
  const sum: Partial<Record<K, number>> = {};
  for (const misdeeds of all) {
    for (const kind of Object.keys(misdeeds) as K[]) {
      sum[kind] = (sum[kind] ?? 0) + (misdeeds[kind] ?? 0);
    }
  }
  return sum;
}
