/**
 * What a benchmark hands out: a figure beside its reference, measured in the same process with the
 * same payloads and keys. The machine is noisy, so both take turns and the medians are compared.
 */

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The same work done by the bare primitives: what no program on this machine can beat. */
  readonly floor?: number;
  /** Another program that does the same. */
  readonly peer?: number;
  /** `value` divided by its reference, whichever way is better; the median of the rounds. */
  readonly ratio?: number;
  /** What ran, where the figure is one of a whole process. */
  readonly of?: "binary" | "source";
}

export interface BenchOptions {
  /** Less work and fewer rounds: to see that it runs, not to compare. */
  readonly quick: boolean;
  /** Progress and explanations, for people. */
  note(text: string): void;
}

/** Measures one figure, or says in a note why it cannot be had here and gives null. */
export type Bench = (options: BenchOptions) => Promise<Figure | null>;

export interface Pair {
  readonly floor: number;
  readonly value: number;
}

/**
 * Runs rounds of floor and figure in turn and gives the median of each. The first round warms up
 * caches and compilers and does not count.
 */
export async function mediansOf(
  rounds: number,
  round: () => Pair | Promise<Pair>,
): Promise<Pair & { ratio: number }> {
  await round();
  const pairs: Pair[] = [];
  for (let i = 0; i < rounds; i++) pairs.push(await round());
  const floor = median(pairs.map((pair) => pair.floor));
  const value = median(pairs.map((pair) => pair.value));
  // of each round by itself: between rounds the machine may have become slower
  const ratio = median(pairs.map((pair) => pair.value / pair.floor));
  return { floor, value, ratio };
}

/** How many pieces of work a second got done. */
export async function rateOf(pieces: number, work: () => void | Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return pieces / (performance.now() - began) * 1000;
}

/** The value below which this share of the values lies. */
export function percentile(values: readonly number[], rank: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * rank))]!;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
}
