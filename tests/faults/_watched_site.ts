/**
 * A site as a process of its own that talks as much as it can, and is watched: all that it and the
 * commands about it print is kept for the hunt.
 */
import { join } from "node:path";
import { utf8 } from "../../core/base/bytes.ts";
import { source } from "../e2e/program.ts";
import { steadyPort } from "../e2e/site_process.ts";
import type { Hunt } from "./_hunt.ts";

/** A site that is slower than this never does it. */
const patience = 60_000;

export interface WatchedOptions {
  readonly hunt: Hunt;
  readonly folder: string;
  readonly name: string;
  /** More lines of its configuration. */
  readonly config: string;
}

export class WatchedSite implements AsyncDisposable {
  readonly name: string;
  readonly dataDir: string;
  readonly config: string;
  readonly ports = { http: steadyPort(), admin: steadyPort(), mqtt: steadyPort() };
  readonly #hunt: Hunt;
  #child: Deno.ChildProcess | undefined;
  #output: Promise<unknown> = Promise.resolve();

  constructor({ hunt, folder, name, config }: WatchedOptions) {
    this.#hunt = hunt;
    this.name = name;
    this.dataDir = join(folder, name);
    this.config = join(folder, `${name}.toml`);
    this.configure(config);
  }

  /** Writes its configuration. */
  configure(more: string): void {
    const { http, admin, mqtt } = this.ports;
    Deno.writeTextFileSync(
      this.config,
      `site = "${this.name}"
data_dir = "${this.name}"
http.listen = "127.0.0.1:${http}"
admin.listen = "127.0.0.1:${admin}"
mqtt.listen = "127.0.0.1:${mqtt}"
log.level = "debug"
${more}
`,
    );
  }

  /** Starts it and resolves when it is ready. */
  async start(): Promise<void> {
    const child = this.#child = spawn(["run", "-c", this.config]);
    const where = `the log of ${this.name}`;
    this.#output = Promise.all([
      new Response(child.stdout).bytes().then((bytes) => this.#hunt.saw(`${where}, stdout`, bytes)),
      new Response(child.stderr).bytes().then((bytes) => this.#hunt.saw(`${where}, stderr`, bytes)),
    ]);
    await this.until(async () => (await this.get("admin", "/readyz")).status === 200, "ready");
  }

  /** Ends it, and keeps what it has said. */
  async end(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    child.kill(signal);
    await child.status;
    await this.#output;
  }

  reload(): void {
    this.#child!.kill("SIGHUP");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }

  /** Asks one of its listeners, and keeps the answer. */
  async get(door: "http" | "admin", path: string, init: RequestInit = {}): Promise<Response> {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const url = `http://127.0.0.1:${this.ports[door]}${path}`;
    const response = await fetch(url, { ...init, client }).catch(() => null);
    if (response === null) return new Response(null, { status: 503 });
    const body = await response.text();
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    this.#hunt.saw(`an answer of ${this.name}`, `${response.status}\n${headers}\n\n${body}`);
    return new Response(body.length > 0 ? body : null, response);
  }

  async until(ask: () => Promise<boolean>, what: string): Promise<void> {
    for (const deadline = Date.now() + patience; Date.now() < deadline;) {
      if (await ask()) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${this.name} was never ${what}`);
  }

  /** Keeps every file of its data directory but that of its keys. */
  files(when: string): void {
    for (const { name, isFile } of Deno.readDirSync(this.dataDir)) {
      if (!isFile || name === "identity.key") continue;
      this.#hunt.saw(
        `${name} of ${this.name} ${when}`,
        Deno.readFileSync(join(this.dataDir, name)),
      );
    }
  }
}

/** Runs a command to its end and keeps what it prints. @param options.shows it prints a secret, once */
export async function watched(
  hunt: Hunt,
  args: readonly string[],
  options: { shows?: true; env?: Readonly<Record<string, string>>; stdin?: string } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { env, stdin } = options;
  const child = spawn(args, { ...(env && { env }), stdin: stdin === undefined ? "null" : "piped" });
  if (stdin !== undefined) {
    const writer = child.stdin.getWriter();
    // a command that does not read it has ended by then
    await writer.write(utf8(stdin)).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code, stdout, stderr } = await child.output();
  if (!options.shows) hunt.saw(`stdout of ${args.join(" ")}`, stdout);
  hunt.saw(`stderr of ${args.join(" ")}`, stderr);
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

function spawn(
  args: readonly string[],
  { env = {}, stdin = "null" }: {
    env?: Readonly<Record<string, string>>;
    stdin?: "null" | "piped";
  } = {},
): Deno.ChildProcess {
  return new Deno.Command(source.path, {
    args: [...source.leading, ...args],
    env: { ...env, NO_COLOR: "1" },
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}
