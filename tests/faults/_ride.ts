/**
 * A whole system under load while something happens to it. When all is up again and drained, the cloud
 * holds every reading that a meter was told is safe exactly once, in its own window, with its energy; it
 * says itself that nothing is missing; and the fog's chain there has no gap.
 */
import assert from "node:assert/strict";
import { System, type SystemOptions } from "./_system.ts";

export interface RideOptions extends SystemOptions {
  /** 150 unless said, which is seven and a half seconds. */
  readonly steps?: number;
  /** What happens before a step is sent, which begins a fault, or ends one. */
  onStep(step: number, system: System): Promise<void> | undefined;
}

/** Rides through the faults, and fails when anything was lost or counted twice. */
export async function ride({ steps = 150, onStep, ...options }: RideOptions): Promise<void> {
  await using system = await System.start(options);
  const faults: Promise<void>[] = [];
  await system.measure({
    steps,
    onStep(step) {
      const fault = onStep(step, system);
      if (fault === undefined) return;
      fault.catch(() => {}); // it is looked at when the run is over
      faults.push(fault);
    },
  });
  await Promise.all(faults);
  assert.ok(faults.length > 0, "nothing happened");
  await system.endsWell();
}
