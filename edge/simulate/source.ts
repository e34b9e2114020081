/** Where the load of simulated meters comes from: a household's file replayed, or a model. */
import type { HouseholdRow } from "./household.ts";

/** What a meter measures at one instant. */
export interface Load {
  /** Negative when power is exported. */
  readonly power_W: number;
  readonly voltage_mV: number;
}

/**
 * The load of a meter, counted from 0, at a step, counted from 0; a step stands for one minute.
 * Null where nothing is known: the meter then has no reading for that step.
 */
export type Source = (meter: number, step: number) => Load | null;

/** Rows between the places where two neighbouring meters begin, so that they do not move as one. */
const rowsApart = 97;

/** Replays rows, one a step: meter i begins at row 97·i, and after the last row comes the first. */
export function householdSource(rows: readonly HouseholdRow[]): Source {
  return (meter, step) => {
    const { power_W, voltage_mV } = rows[(rowsApart * meter + step) % rows.length]!;
    return power_W === null || voltage_mV === null ? null : { power_W, voltage_mV };
  };
}
