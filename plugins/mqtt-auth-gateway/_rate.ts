/** How often somebody may come: so many at once, and so many a second in the long run. */

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * Whether one more may pass, by name. One number is kept of each: when it has its whole burst again;
 * beyond `most` names the one that was away longest is forgotten.
 */
export function rateLimit({ perSecond, burst }: Rate, { most }: { most: number }) {
  const interval = 1_000 / perSecond;
  const fullAt = new Map<string, number>();
  return (name: string, now: number): boolean => {
    // a clock that was set back leaves nobody waiting for longer than its burst takes
    const since = Math.min(fullAt.get(name) ?? now, now + burst * interval);
    const next = Math.max(since, now) + interval;
    if (next - now - burst * interval > 1e-6) {
      fullAt.set(name, since);
      return false;
    }
    fullAt.delete(name);
    fullAt.set(name, next);
    if (fullAt.size > most) fullAt.delete(fullAt.keys().next().value!);
    return true;
  };
}
