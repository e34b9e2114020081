/**
 * A site as a process whose signals, log lines and exit are what a test is about: it reads the log as
 * it is written, changes the configuration under the site, and waits for nothing but what it is told.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Outcome, run, spawn } from "./program.ts";
import { type Ports, steadyPort } from "./site_process.ts";

/** A line of the log, as a machine reads it. */
export interface LogLine {
  readonly level: string;
  readonly part: string;
  readonly message: string;
  readonly [property: string]: unknown;
}

export class HostProcess implements AsyncDisposable {
  readonly ports: Ports;
  readonly dataDir: string;
  /** All that it has written to standard error until now. */
  readonly written: string[] = [];
  readonly #config: string;
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #wake: () => void = () => {};
  #heard = 0;

  private constructor(folder: string, ports: Ports, env: Readonly<Record<string, string>>) {
    this.ports = ports;
    this.dataDir = join(folder, "data");
    this.#config = join(folder, "site.toml");
    this.#child = spawn(["run", "-c", this.#config], { env });
    this.#reading = this.#read();
  }

  /** Starts a site with these tables and waits until it is ready. */
  static async start(
    folder: string,
    tables: string,
    { env = {} }: { env?: Readonly<Record<string, string>> } = {},
  ): Promise<HostProcess> {
    const ports = { http: steadyPort(), admin: steadyPort(), mqtt: steadyPort() };
    await Deno.writeTextFile(join(folder, "site.toml"), configText(ports, tables));
    const site = new HostProcess(folder, ports, env);
    await site.says("ready");
    return site;
  }

  /** Writes other tables into the configuration file. */
  configure(tables: string): Promise<void> {
    return Deno.writeTextFile(this.#config, configText(this.ports, tables));
  }

  /** Where its public listener answers. */
  get url(): string {
    return `http://127.0.0.1:${this.ports.http}`;
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Resolves with the next line of this message that no test has waited for; skips others. */
  async says(message: string): Promise<LogLine> {
    for (;;) {
      while (this.#heard < this.written.length) {
        const line = JSON.parse(this.written[this.#heard++]!) as LogLine;
        if (line.message === message) return line;
      }
      const more = new Promise<boolean>((resolve) => this.#wake = () => resolve(false));
      const isOver = await Promise.race([more, this.#reading.then(() => true)]);
      if (isOver && this.#heard === this.written.length) {
        throw new Error(`It never said "${message}": ${this.written.join("\n")}`);
      }
    }
  }

  /** Runs a command as the operator of the site. */
  operate(args: readonly string[]): Promise<Outcome> {
    return run([...args, "-c", this.#config]);
  }

  /** The exit status, when it has ended. */
  async ended(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#reading;
    return code;
  }

  /** Asks it to stop and fails when it does not do so in good order. */
  async stop(): Promise<void> {
    this.signal("SIGTERM");
    assert.equal(await this.ended(), 0, this.written.join("\n"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.signal("SIGKILL");
    } catch {
      // it has ended by itself
    }
    await this.ended();
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      this.written.push(...lines);
      this.#wake();
    }
  }
}

function configText({ http, admin, mqtt }: Ports, tables: string): string {
  return `site = "host-1"
data_dir = "data"
http.listen = "127.0.0.1:${http}"
admin.listen = "127.0.0.1:${admin}"
mqtt.listen = "127.0.0.1:${mqtt}"
${tables}
`;
}
