/**
 * How simulated meters misbehave, on purpose and repeatably: every misdeed is looked up by seed, meter
 * and what it would happen to (a reading, a batch), so two runs with one seed misbehave alike. Nothing of
 * it may cost a reading: what fog and cloud say in the end must agree with what the meters report.
 */
import { draw } from "./_draw.ts";

interface Kind {
  /** What the meter does, for the help text. */
  readonly does: string;
  /** How often, of the times when it could. */
  readonly chance: number;
  /** Sets its draws apart from those of the others, and of the load model. */
  readonly topic: number;
}

const kinds = {
  late: { does: "sends some readings up to a minute late", chance: 1 / 20, topic: 101 },
  duplicate: { does: "sends readings again, in other batches", chance: 1 / 8, topic: 102 },
  disorder: { does: "sends readings and batches out of order", chance: 1 / 2, topic: 103 },
  reset: { does: "begins to count at 0 again (flag reset)", chance: 1 / 60, topic: 104 },
  rollover: { does: "has five digits and starts over (flag rollover)", chance: 1, topic: 105 },
  replace: { does: "is replaced: a new register, numbers from 1", chance: 1 / 80, topic: 106 },
  clock: { does: "is hours ahead or behind, or its clock is unset", chance: 1 / 3, topic: 107 },
  gap: { does: "never sends some numbers", chance: 1 / 25, topic: 108 },
} as const satisfies Record<string, Kind>;

export type Misbehaviour = keyof typeof kinds;

export const misbehaviours = Object.keys(kinds) as readonly Misbehaviour[];

/** A line for each kind: its name and what a meter of that kind does. */
export const misbehavioursExplained: readonly (readonly [Misbehaviour, string])[] = misbehaviours
  .map((kind) => [kind, kinds[kind].does]);

/** How often a meter, or a fleet, has done what; a kind that it has not been told has no entry. */
export type Misdeeds = Readonly<Partial<Record<Misbehaviour, number>>>;

/**
 * Whether a meter misbehaves so, this time: null when it does not, else a number in [0, 1) that says
 * how. Asking again for the same time gives the same answer.
 */
export type Mischief = (kind: Misbehaviour, ...time: readonly number[]) => number | null;

/** The mischief of a meter that does as it should. */
export const wellBehaved: Mischief = () => null;

/** The mischief of a meter, by its number in the fleet. */
export function mischiefOf(
  told: Iterable<Misbehaviour>,
  { seed, meter }: { readonly seed: number; readonly meter: number },
): Mischief {
  const wanted = new Set(told);
  return (kind, ...time) => {
    const { chance, topic } = kinds[kind];
    if (!wanted.has(kind) || draw(seed, meter, topic, ...time, 0) >= chance) return null;
    return draw(seed, meter, topic, ...time, 1);
  };
}

/** The items in an order that the number, as mischief gives it, settles (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], how: number): T[] {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const k = Math.floor(draw(how * 2 ** 32, i) * (i + 1));
    [order[i], order[k]] = [order[k]!, order[i]!];
  }
  return order;
}

/** The misdeeds of all. */
export function sumOf(all: Iterable<Misdeeds>): Misdeeds {
  const sum: Partial<Record<Misbehaviour, number>> = {};
  for (const misdeeds of all) {
    for (const kind of misbehaviours) {
      const count = misdeeds[kind];
      if (count !== undefined) sum[kind] = (sum[kind] ?? 0) + count;
    }
  }
  return sum;
}
