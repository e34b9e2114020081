/**
 * How long to wait before connecting again. The wait doubles up to half a minute; half of it is
 * chance, so that devices which lost their broker together do not come back together.
 */

/** Milliseconds before attempt `n`, counted from 0. `random` is in [0, 1). `most` bounds the wait. */
export function backoff(n: number, random: number, most = 30_000): number {
  const ceiling = Math.min(most, 500 * 2 ** Math.min(n, 16));
  return ceiling * (0.5 + random / 2);
}
