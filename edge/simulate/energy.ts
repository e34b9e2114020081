/**
 * The energy register of a meter: power integrated over real time. It counts in watt-milliseconds,
 * as integers, so however the time is cut up nothing is lost or gained by rounding; what people read
 * is whole watt-hours, rounded down. It counts import only, as a meter without feed-in register does.
 */

/** W·ms in a Wh. */
const wattHour = 3_600_000n;

export class EnergyRegister {
  #total_Wms = 0n;
  #power_W = 0;
  #since: number | undefined;

  /**
   * From the instant `t` (Unix milliseconds) on the power is `power_W`; until then it was what the
   * last call said. A clock that was set back adds nothing.
   * @returns the register at `t`, in Wh
   */
  advance(t: number, power_W: number): number {
    const elapsed = Math.max(0, t - (this.#since ?? t));
    this.#total_Wms += BigInt(Math.max(0, this.#power_W)) * BigInt(elapsed);
    this.#power_W = power_W;
    this.#since = t;
    return Number(this.#total_Wms / wattHour);
  }
}
