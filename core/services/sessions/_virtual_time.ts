/**
 * Time that passes only when nothing else can happen: while `work` runs, timers and `performance.now`
 * are turned by hand and chance follows from a seed, so that minutes of repetitions and patience take no
 * time and always end alike.
 */
import { setImmediate } from "node:timers";

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Runs `work` to its end. @throws Error when it waits for something that will never happen */
export async function inVirtualTime<T>(
  work: (now: () => number, random: () => number) => Promise<T>,
  seed = 1,
): Promise<T> {
  const real = { setTimeout, clearTimeout, now: performance.now, random: Math.random };
  const timers = new Map<number, Timer>();
  let now = 0, last = 0, done = false;
  globalThis.setTimeout = ((run: () => void, milliseconds = 0) => {
    timers.set(++last, { at: now + milliseconds, run });
    return last;
  }) as unknown as typeof setTimeout;
  globalThis.clearTimeout = (id) => void timers.delete(Number(id));
  performance.now = () => now;
  Math.random = seeded(seed);
  try {
    const result = work(() => now, Math.random).finally(() => done = true);
    result.catch(() => {}); // it is awaited below
    for (;;) {
      // what follows from the last event, however many promises long it is
      for (let turn = 0; turn < 3; turn++) await new Promise<void>((next) => setImmediate(next));
      if (done) return await result;
      const due = [...timers].reduce<[number, Timer] | undefined>(
        (first, timer) => first === undefined || timer[1].at < first[1].at ? timer : first,
        undefined,
      );
      if (due === undefined) throw new Error("Nothing will ever happen again");
      const [id, { at, run }] = due;
      timers.delete(id);
      now = Math.max(now, at);
      run();
    }
  } finally {
    globalThis.setTimeout = real.setTimeout;
    globalThis.clearTimeout = real.clearTimeout;
    performance.now = real.now;
    Math.random = real.random;
  }
}

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}
