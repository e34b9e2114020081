/**
 * What the program costs before it does any work: its start, its memory when idle, its size. Each
 * stands beside the same figure of the bare runtime.
 */
import { type Bench, type BenchOptions, type Figure, mediansOf } from "./figure.ts";
import { baseBinarySize } from "./_base_binary.ts";
import { findProgram, type Program, runSite, start, timeOf, writeSite } from "./_program.ts";

export const hostBenches: Readonly<Record<string, Bench>> = {
  "host.cold_start_ms": coldStart,
  "host.idle_rss_mb": idleRss,
  "host.binary_mb": binarySize,
};

/** How long a site has been idle when its memory is looked at. */
const settling = 5_000;

/** The warm-up round also makes keys and tables: a start is one of a site that has run before. */
async function coldStart({ quick, note }: BenchOptions): Promise<Figure> {
  const program = await found(note);
  await using site = await writeSite();
  const medians = await mediansOf(quick ? 2 : 5, async () => {
    const floor = await timeOf(() => program.spawn("version"));
    await using running = await runSite(program, site);
    note(`${Math.round(running.startMilliseconds)} ms, "version" ${Math.round(floor)} ms`);
    return { floor, value: running.startMilliseconds };
  });
  return { name: "host.cold_start_ms", unit: "ms", ...medians, of: program.of };
}

async function idleRss({ quick, note }: BenchOptions): Promise<Figure | null> {
  if (Deno.build.os !== "linux") {
    note("left out: memory is read from /proc");
    return null;
  }
  const program = await found(note);
  note("the floor is a Deno process with nothing but a timer: no command of the binary idles");
  await using site = await writeSite();
  const medians = await mediansOf(quick ? 1 : 3, async () => {
    await using running = await runSite(program, site);
    await using bare = idleRuntime();
    await new Promise((resolve) => setTimeout(resolve, settling));
    return { floor: await rssOf(bare.pid), value: await rssOf(running.pid) };
  });
  return { name: "host.idle_rss_mb", unit: "MB", ...medians, of: program.of };
}

async function binarySize({ note }: BenchOptions): Promise<Figure | null> {
  const { binary } = await findProgram();
  if (binary === undefined) {
    note("left out: there is no dist/edgeward, run `deno task compile` first");
    return null;
  }
  const value = (await Deno.stat(binary)).size / 1e6;
  const base = await baseBinarySize();
  const figure = { name: "host.binary_mb", unit: "MB", value, of: "binary" } as const;
  if (base !== undefined) return { ...figure, floor: base / 1e6, ratio: value / (base / 1e6) };
  note("no floor: DENORT_BIN is not set and Deno has cached no base binary");
  return figure;
}

async function found(note: (text: string) => void): Promise<Program> {
  const program = await findProgram();
  if (program.of === "source") note("no dist/edgeward: measured on the source");
  return program;
}

function idleRuntime(): AsyncDisposable & { pid: number } {
  const child = start(Deno.execPath(), ["eval", "setInterval(() => {}, 60_000)"]);
  return {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.stderr.cancel();
      await child.status;
    },
  };
}

/** Resident memory in MB (10^6 bytes); the kernel counts in KiB. */
async function rssOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024 / 1e6;
}
