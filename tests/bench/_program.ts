/**
 * The program as an operator meets it: the compiled binary where there is one, else the source under
 * the runtime that runs the bench, started on a configuration of its own in a temporary folder.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const binary = join(root, "dist", "edgeward");
/** A site that has not become ready by then never will. */
const patience = 60_000;
const pollEvery = 2;

export interface Program {
  readonly of: "binary" | "source";
  /** Where the binary is, if there is one. */
  readonly binary: string | undefined;
  spawn(...args: string[]): Deno.ChildProcess;
}

export async function findProgram(): Promise<Program> {
  const of = await exists(binary) ? "binary" : "source";
  return {
    of,
    binary: of === "binary" ? binary : undefined,
    spawn: (...args) => of === "binary" ? start(binary, args) : startSource(args),
  };
}

/** Starts something quiet whose complaints are kept for the error that it may cause. */
export function start(path: string, args: string[]): Deno.ChildProcess {
  const options = { args, cwd: root, stdin: "null", stdout: "null", stderr: "piped" } as const;
  return new Deno.Command(path, options).spawn();
}

/** Frozen: with the lock file npm packages resolve at once, and a bench must not rewrite it. */
function startSource(args: string[]): Deno.ChildProcess {
  return start(Deno.execPath(), ["run", "--frozen", "-A", join(root, "edge", "main.ts"), ...args]);
}

/** A configuration with the metering roles, in a temporary folder that goes with it. */
export interface SiteFile extends AsyncDisposable {
  readonly path: string;
  readonly readyUrl: string;
}

export async function writeSite(): Promise<SiteFile> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-bench-" });
  const path = join(folder, "site.toml");
  const admin = `127.0.0.1:${freePort()}`;
  await Deno.writeTextFile(
    path,
    `site = "bench"
data_dir = "data"
http.listen = "127.0.0.1:0"
admin.listen = "${admin}"
mqtt.listen = "127.0.0.1:0"
[plugins.fog-aggregator]
[plugins.cloud-summary]
`,
  );
  return {
    path,
    readyUrl: `http://${admin}/readyz`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

export interface RunningSite extends AsyncDisposable {
  readonly pid: number;
  /** From spawning the process to the first 200 of `/readyz`. */
  readonly startMilliseconds: number;
}

/** Runs a site until it is disposed. @throws Error when it ends or does not become ready */
export async function runSite(program: Program, site: SiteFile): Promise<RunningSite> {
  const began = performance.now();
  const child = program.spawn("run", "-c", site.path);
  const complaints = new Response(child.stderr).text();
  let ended = false;
  child.status.then(() => ended = true);
  while (!await isReady(site.readyUrl)) {
    const late = performance.now() - began > patience;
    if (late && !ended) child.kill("SIGKILL");
    if (late || ended) throw new Error(`The site did not start: ${await complaints}`);
    await new Promise((resolve) => setTimeout(resolve, pollEvery));
  }
  const startMilliseconds = performance.now() - began;
  return {
    pid: child.pid,
    startMilliseconds,
    async [Symbol.asyncDispose]() {
      if (!ended) child.kill("SIGTERM");
      await child.status;
      await complaints;
    },
  };
}

/** How long a command takes from spawning to its end, milliseconds. @throws Error when it fails */
export async function timeOf(spawn: () => Deno.ChildProcess): Promise<number> {
  const began = performance.now();
  const child = spawn();
  const complaints = new Response(child.stderr).text();
  const { success } = await child.status;
  const milliseconds = performance.now() - began;
  if (!success) throw new Error(`The command failed: ${await complaints}`);
  await complaints;
  return milliseconds;
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false; // nobody listens yet
  }
}

/** A port that was free a moment ago; the admin listener's must be known before it opens. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}
