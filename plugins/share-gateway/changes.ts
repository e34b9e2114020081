/**
 * Who is being changed right now. A decision is made from what was read, and written a little later; what
 * was read still holds if nobody else has written about the device since. Then it need not be read again
 * within the transaction, which a device that asks once at a time never makes necessary.
 *
 * Whatever writes what decisions go by does so `during` a change of its device: it counts from before
 * the write is queued until after it is on disk, as readers see it only then.
 */
export class Changes {
  readonly #of = new Map<string, { underWay: number; revision: number }>();

  /** A number that stays what it is while nothing changes; null while something does. */
  seen(device: string): number | null {
    const one = this.#of.get(device);
    return one === undefined ? 0 : one.underWay > 0 ? null : one.revision;
  }

  /** Whether nobody but one change, whose `during` has begun, has come since `seen`. */
  isAlone(device: string, seen: number | null): boolean {
    const one = this.#of.get(device);
    return seen !== null && one?.underWay === 1 && one.revision === seen;
  }

  /** Does what changes a device, whether it succeeds or not. */
  async during<T>(device: string, change: () => Promise<T>): Promise<T> {
    const one = this.#of.get(device) ?? { underWay: 0, revision: 0 };
    this.#of.set(device, one);
    one.underWay++;
    try {
      return await change();
    } finally {
      one.underWay--;
      one.revision++;
    }
  }
}
