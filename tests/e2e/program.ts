/**
 * The program as its users start it: from source under the runtime that runs the tests, or as the
 * compiled binary. It is a process of its own, so what a test sees of it is what a user sees.
 */
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** In CI nothing may be left out: what is missing there fails instead of being skipped. */
export const isCi: boolean = Deno.env.get("CI") === "true";

/** How a process is started: the program, and the arguments that come before the user's. */
export interface Program {
  readonly path: string;
  readonly leading: readonly string[];
}

/** Frozen, because with the lock file packages resolve at once, and a test must not rewrite it. */
export const source: Program = {
  path: Deno.execPath(),
  leading: ["run", "--frozen", "-A", `${root}edge/main.ts`],
};

/** What `deno task compile` made; in CI it must be there. */
export const binary: Program | undefined = (() => {
  const path = `${root}dist/edgeward`;
  return isCi || exists(path) ? { path, leading: [] } : undefined;
})();

/** Real measurements of a household, kept beside the repository. */
export const household: string = fileURLToPath(
  new URL("../../../shared/data/household_power_2007-02-01_02.txt", import.meta.url),
);

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  /** The repository unless said. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether `env` is all that the process gets. */
  readonly clearEnv?: boolean;
  /** What comes on standard input: nothing unless said. */
  readonly stdin?: string;
}

/** Runs the program to its end. */
export async function run(
  args: readonly string[],
  surroundings: Surroundings & { program?: Program } = {},
): Promise<Outcome> {
  const { program = source, ...options } = surroundings;
  await using child = command(program, args, options, "piped").spawn();
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** Starts the program and leaves it running; whoever calls ends it, and reads or cancels stderr. */
export function spawn(
  args: readonly string[],
  { program = source, ...options }: Surroundings & { program?: Program } = {},
): Deno.ChildProcess {
  return command(program, args, options, "null").spawn();
}

function command(
  { path, leading }: Program,
  args: readonly string[],
  { cwd = root, env = {}, clearEnv = false, stdin }: Surroundings,
  stdout: "piped" | "null",
): Deno.Command {
  return new Deno.Command(path, {
    args: [...leading, ...args],
    cwd,
    clearEnv: true,
    env: { ...(clearEnv ? {} : inherited()), ...env },
    stdin: stdin === undefined ? "null" : "piped",
    stdout,
    stderr: "piped",
  });
}

/** The environment of the tests, but nothing that a configuration could be overridden with. */
function inherited(): Record<string, string> {
  const variables = Object.entries(Deno.env.toObject());
  return {
    ...Object.fromEntries(variables.filter(([name]) => !name.startsWith("EDGEWARD_"))),
    NO_COLOR: "1",
  };
}

/** Whether something is at the path. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** A new folder that goes with the scope. */
export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
