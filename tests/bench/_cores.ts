/**
 * What a second core brings: a figure measured by processes of their own that the kernel keeps on one
 * core and on two (`taskset` of util-linux), in turn. The ratio is that of their medians, round by round.
 */
import { fileURLToPath } from "node:url";
import type { BenchOptions, Figure } from "./figure.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

/** Null where there is only one core, or no way to choose. */
export async function ratioOfCores(
  name: string,
  of: string,
  { quick, note }: BenchOptions,
): Promise<Figure | null> {
  if (navigator.hardwareConcurrency < 2) return note("this machine has one core"), null;
  const rounds = quick ? 1 : 3;
  const pairs: { one: number; two: number }[] = [];
  for (let i = 0; i < rounds; i++) {
    const one = await measure(of, "0", quick);
    const two = await measure(of, "0,1", quick);
    if (one === null || two === null) return note("taskset is not there (util-linux)"), null;
    note(`${Math.round(one)} on one core, ${Math.round(two)} on two`);
    pairs.push({ one, two });
  }
  const ratios = pairs.map(({ one, two }) => two / one).sort((a, b) => a - b);
  const value = ratios[Math.floor(rounds / 2)]!;
  return { name, value, unit: "ratio" };
}

async function measure(figure: string, cores: string, quick: boolean): Promise<number | null> {
  try {
    const { success, stdout, stderr } = await new Deno.Command("taskset", {
      args: [
        ...["--cpu-list", cores, Deno.execPath(), "run", "-A", main, figure, "--json"],
        ...(quick ? ["--quick"] : []),
      ],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return (JSON.parse(new TextDecoder().decode(stdout)) as Figure).value;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
