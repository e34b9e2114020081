/**
 * A token bucket per client, kept as one number each (the generic cell rate algorithm): the instant
 * at which the bucket will be full again. Only the latest clients are kept: under a flood from ever
 * new addresses memory stays what it is, and whoever is forgotten begins with a full bucket.
 */

/** How often one client may come: `perSecond` in the long run, `burst` at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export interface Buckets {
  /** Takes a token. Gives 0, or the milliseconds after which there will be one. */
  take(client: string, now: number): number;
  readonly size: number;
}

export function buckets({ perSecond, burst }: Rate, options: { most: number }): Buckets {
  const interval = 1_000 / perSecond;
  /** In the order of the clients' last visits. */
  const fullAt = new Map<string, number>();
  return {
    take(client, now) {
      // a clock that was set back leaves nobody waiting for longer than its burst takes
      const since = Math.min(fullAt.get(client) ?? now, now + burst * interval);
      const next = Math.max(since, now) + interval;
      const wait = next - now - burst * interval;
      // what is left over from a division is no reason to wait
      if (wait > 1e-6) {
        fullAt.set(client, since);
        return wait;
      }
      fullAt.delete(client);
      fullAt.set(client, next);
      if (fullAt.size > options.most) fullAt.delete(fullAt.keys().next().value!);
      return 0;
    },
    get size() {
      return fullAt.size;
    },
  };
}

/** Whether one more may pass, by name. */
export function rateLimit(
  rate: Rate,
  options: { most: number },
): (name: string, now: number) => boolean {
  const kept = buckets(rate, options);
  return (name, now) => kept.take(name, now) === 0;
}
