/**
 * Many meters that measure in step, at a steady rate: step k is due at k·interval after the start, so
 * delays do not add up. A process that was late catches up step by step and leaves none out.
 */
import type { Clock } from "../../core/base/clock.ts";
import { pause } from "../../core/services/pause.ts";
import { type Misdeeds, sumOf } from "./misbehaviour.ts";
import type { MeterStatistics, SimulatedMeter } from "./meter.ts";
import type { Source } from "./source.ts";

/** What all meters have done together. */
export interface FleetTotals extends MeterStatistics {
  /** Steps that were measured. */
  readonly steps: number;
}

export interface FleetOptions {
  readonly meters: readonly SimulatedMeter[];
  readonly source: Source;
  /** Milliseconds between steps. */
  readonly interval: number;
  /** Without end unless said. */
  readonly steps?: number;
  readonly signal: AbortSignal;
  /** Hears of each step, counted from 0, when it has been measured. */
  readonly onStep?: (step: number, totals: FleetTotals) => void;
  /** Milliseconds that only ever rise; those of the process unless given. */
  readonly now?: Clock;
}

/**
 * Measures until all steps are done or the signal aborts. Readings may be under way then: drain.
 * @throws MeterError of the first meter that cannot take its reading
 */
export async function runFleet(options: FleetOptions): Promise<FleetTotals> {
  const { meters, source, interval, steps = Infinity, signal, onStep } = options;
  const now = options.now ?? (() => performance.now());
  const started = now();
  let step = 0;
  for (; step < steps; step++) {
    // also when it is late already: what the meters have to send needs its turn
    await pause(Math.max(0, started + step * interval - now()), signal);
    if (signal.aborted) break;
    meters.forEach((meter, i) => {
      const load = source(i, step);
      if (load !== null) meter.measure(load);
    });
    onStep?.(step, { steps: step + 1, ...fleetStatistics(meters) });
  }
  return { steps: step, ...fleetStatistics(meters) };
}

/**
 * Waits until nothing is waiting at any meter.
 * @throws MeterError "not_drained" when the signal aborts before
 */
export async function drainFleet(
  meters: readonly SimulatedMeter[],
  signal: AbortSignal,
): Promise<MeterStatistics> {
  await Promise.all(meters.map((meter) => meter.drained(signal)));
  return fleetStatistics(meters);
}

/** What all meters have done wrong, on purpose. */
export function fleetMisdeeds(meters: readonly SimulatedMeter[]): Misdeeds {
  return sumOf(meters.map(({ misdeeds }) => misdeeds));
}

/** The sums over all meters. */
export function fleetStatistics(meters: readonly SimulatedMeter[]): MeterStatistics {
  let sent = 0, accepted = 0, refused = 0;
  for (const { statistics } of meters) {
    sent += statistics.sent;
    accepted += statistics.accepted;
    refused += statistics.refused;
  }
  return { sent, accepted, refused };
}
