/** What a sensor did and what became of it, counted. */
import { type SensorMisbehaviour, type SensorMisdeeds } from "./sensor_misbehaviour.ts";
import { misdeedsOfAll } from "./mischief.ts";

/** Calls are counted once each, however often they were sent. */
export interface SensorCounts {
  readonly calls_sent: number;
  /** Answered with a result. */
  readonly calls_done: number;
  /** Answered with a refusal, by its code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Answered with "nobody knows": they may have run or not. */
  readonly unknown: number;
  /** How often a call was made again because no answer had come. */
  readonly repeated: number;
  readonly calls_from_site: number;
  /** Of those the ones that had an effect here. */
  readonly effects: number;
  /** Effects of a call that had had its effect before: 0, if all is well. */
  readonly duplicates_run: number;
  /** How often it came back to its broker. */
  readonly reconnects: number;
  /** Sessions, or agreements on keys of profile v1. */
  readonly sessions: number;
  readonly misdeeds: SensorMisdeeds;
}

/** Calls that have no answer. */
export function unanswered({ calls_sent, calls_done, refused, unknown }: SensorCounts): number {
  const refusals = Object.values(refused).reduce((sum, count) => sum + count, 0);
  return calls_sent - calls_done - refusals - unknown;
}

type Count = Exclude<keyof SensorCounts, "refused" | "misdeeds">;

export class Tally {
  readonly #counts: Record<Count, number> = {
    ...{ calls_sent: 0, calls_done: 0, unknown: 0, repeated: 0, calls_from_site: 0, effects: 0 },
    ...{ duplicates_run: 0, reconnects: 0, sessions: 0 },
  };
  readonly #refused: Record<string, number> = {};
  readonly #misdeeds: Partial<Record<SensorMisbehaviour, number>> = {};

  get counts(): SensorCounts {
    return {
      ...this.#counts,
      refused: { ...this.#refused },
      misdeeds: { ...this.#misdeeds },
    };
  }

  add(what: Count): void {
    this.#counts[what]++;
  }

  refused(code: string): void {
    this.#refused[code] = (this.#refused[code] ?? 0) + 1;
  }

  readonly misdeed = (kind: SensorMisbehaviour, count = 1): void => {
    this.#misdeeds[kind] = (this.#misdeeds[kind] ?? 0) + count;
  };
}

/** What all have done together. */
export function countsOfAll(all: readonly SensorCounts[]): SensorCounts {
  const sum = (what: Count) => all.reduce((total, counts) => total + counts[what], 0);
  const refused: Record<string, number> = {};
  for (const counts of all) {
    for (const [code, count] of Object.entries(counts.refused)) {
      refused[code] = (refused[code] ?? 0) + count;
    }
  }
  return {
    calls_sent: sum("calls_sent"),
    calls_done: sum("calls_done"),
    refused,
    unknown: sum("unknown"),
    repeated: sum("repeated"),
    calls_from_site: sum("calls_from_site"),
    effects: sum("effects"),
    duplicates_run: sum("duplicates_run"),
    reconnects: sum("reconnects"),
    sessions: sum("sessions"),
    misdeeds: misdeedsOfAll(all.map(({ misdeeds }) => misdeeds)),
  };
}
