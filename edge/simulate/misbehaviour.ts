/**
 * How simulated meters misbehave, drawn as `mischief.ts` says: two runs with one seed misbehave alike.
 * Nothing of it may cost a reading: what fog and cloud say in the end must agree with what the meters
 * report.
 */
import { draw } from "./_draw.ts";
import {
  drawnMischief,
  type Kinds,
  type MischiefOf,
  type MisdeedsOf,
  misdeedsOfAll,
} from "./mischief.ts";

export type Misbehaviour =
  | "late"
  | "duplicate"
  | "disorder"
  | "reset"
  | "rollover"
  | "replace"
  | "clock"
  | "gap";

export const meterKinds: Kinds<Misbehaviour> = {
  late: {
    does: "sends some readings up to a minute late",
    ...{ chance: 1 / 20, topic: 101, counted: "readings held back" },
  },
  duplicate: {
    does: "sends readings again, in other batches",
    ...{ chance: 1 / 8, topic: 102, counted: "readings sent again" },
  },
  disorder: {
    does: "sends readings and batches out of order",
    ...{ chance: 1 / 2, topic: 103, counted: "readings sent after a later one" },
  },
  reset: {
    does: "begins to count at 0 again (flag reset)",
    ...{ chance: 1 / 60, topic: 104, counted: "counters begun at 0 again" },
  },
  rollover: {
    does: "has five digits and starts over (flag rollover)",
    ...{ chance: 1, topic: 105, counted: "counters started over" },
  },
  replace: {
    does: "is replaced: a new register, numbers from 1",
    ...{ chance: 1 / 80, topic: 106, counted: "meters replaced" },
  },
  clock: {
    does: "is hours ahead or behind, or its clock is unset",
    ...{ chance: 1 / 3, topic: 107, counted: "readings with a wrong time, or none" },
  },
  gap: {
    does: "never sends some numbers",
    ...{ chance: 1 / 25, topic: 108, counted: "numbers never sent" },
  },
};

export const misbehaviours = Object.keys(meterKinds) as readonly Misbehaviour[];

export type Misdeeds = MisdeedsOf<Misbehaviour>;
export type Mischief = MischiefOf<Misbehaviour>;

/** The mischief of a meter that does as it should. */
export const wellBehaved: Mischief = () => null;

/** The mischief of a meter, by its number in the fleet. */
export function mischiefOf(
  told: Iterable<Misbehaviour>,
  { seed, meter }: { readonly seed: number; readonly meter: number },
): Mischief {
  return drawnMischief(meterKinds, told, { seed, device: meter });
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
  return misdeedsOfAll(all);
}
