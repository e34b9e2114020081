/**
 * Knows what the cloud must hold in the end, from what the meters measured alone. Their clock stands
 * still between two loads, so the oracle knows to which window each reading belongs.
 */
import type { Source } from "../../edge/simulate/source.ts";

/** Figures of one window. */
export interface Figures {
  readonly n: number;
  readonly power_W: number;
  readonly voltage_mV: number;
}

export interface Oracle {
  /** The load to replay, which the oracle hears of. */
  readonly source: Source;
  /** The clock of every meter. */
  readonly clock: () => number;
  /** By the start of the window. */
  readonly windows: ReadonlyMap<number, Figures>;
  readonly readings: number;
}

export function oracleOf(model: Source, window: number): Oracle {
  const windows = new Map<number, Figures>();
  let now = Date.now(), readings = 0;
  return {
    windows,
    clock: () => now,
    source(meter, step) {
      const load = model(meter, step);
      if (load === null) return null;
      now = Date.now();
      const start = Math.floor(now / window) * window;
      const { n, power_W, voltage_mV } = windows.get(start) ?? { n: 0, power_W: 0, voltage_mV: 0 };
      windows.set(start, {
        n: n + 1,
        power_W: power_W + load.power_W,
        voltage_mV: voltage_mV + load.voltage_mV,
      });
      readings++;
      return load;
    },
    get readings() {
      return readings;
    },
  };
}
