/**
 * A site as a process of its own, on ports that stay the same when it is started again, so that a test
 * can take it away at any moment and bring it back.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Enrolment, enrolmentFromJson } from "../../core/wire/enrolment.ts";
import type { PeerStatus } from "../../core/wire/peer_status.ts";
import { askSite } from "../../edge/admin_client.ts";
import { countsAt } from "./_test_site.ts";
import type { PeerKind } from "../../core/wire/peer.ts";
import { type Outcome, type Program, run, source, spawn } from "./program.ts";

export interface Ports {
  readonly http: number;
  readonly admin: number;
  readonly mqtt: number;
}

/** A site that is slower to start than this never will. */
const patience = 60_000;

export class SiteProcess implements AsyncDisposable {
  readonly ports: Ports;
  /** Where the site keeps its data. */
  readonly dataDir: string;
  readonly #config: string;
  readonly #name: string;
  #child: Deno.ChildProcess | undefined;
  #complaints: Promise<string> = Promise.resolve("");

  private constructor(folder: string, name: string, ports: Ports) {
    this.ports = ports;
    this.dataDir = join(folder, "data");
    this.#config = join(folder, "site.toml");
    this.#name = name;
  }

  /** Writes a configuration with this role into the folder and starts the site. */
  static async start(folder: string, name: string, role: string): Promise<SiteProcess> {
    const ports = { http: steadyPort(), admin: steadyPort(), mqtt: steadyPort() };
    const site = new SiteProcess(folder, name, ports);
    await Deno.mkdir(folder, { recursive: true });
    await site.configure(role);
    await site.start();
    return site;
  }

  /** Writes its configuration anew; it counts from the next start on. */
  async configure(role: string): Promise<void> {
    const { http, admin, mqtt } = this.ports;
    await Deno.writeTextFile(
      this.#config,
      `site = "${this.#name}"
data_dir = "data"
http.listen = "127.0.0.1:${http}"
admin.listen = "127.0.0.1:${admin}"
mqtt.listen = "127.0.0.1:${mqtt}"
log.level = "error"
${role}
`,
    );
  }

  /**
   * Starts it, for the first time or again, and resolves when it is ready.
   * @param program another one than the product, which does something else with the same data
   */
  async start(program: Program = source): Promise<void> {
    const child = this.#child = spawn(["run", "-c", this.#config], { program });
    this.#complaints = new Response(child.stderr).text();
    let ended = false;
    const end = child.status.then(() => ended = true);
    const deadline = Date.now() + patience;
    while (!await this.#isReady()) {
      if (ended || Date.now() > deadline) {
        if (!ended) child.kill("SIGKILL");
        await end;
        throw new Error(`The site did not start: ${await this.#complaints}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Where its public listener answers. */
  get url(): string {
    return `http://127.0.0.1:${this.ports.http}`;
  }

  get broker(): string {
    return `mqtt://127.0.0.1:${this.ports.mqtt}`;
  }

  /** The process that it is now. */
  get pid(): number {
    return this.#child!.pid;
  }

  /** Runs a command as the operator of the site, with what comes on its standard input. */
  operate(args: readonly string[], stdin?: string): Promise<Outcome> {
    return run([...args, "-c", this.#config], stdin === undefined ? {} : { stdin });
  }

  /** Who is known and who waits. */
  async peers(): Promise<PeerStatus[]> {
    const { peers } = await askSite(this.dataDir, "/peers") as { peers: PeerStatus[] };
    return peers;
  }

  /** Makes a code, for a meter unless said. */
  async enrol(id: string, kind: PeerKind = "meter"): Promise<Enrolment> {
    const body = { kind, id, ttl: 3_600_000 };
    const enrolment = await askSite(this.dataDir, "/enrol", { method: "POST", body });
    return enrolmentFromJson(JSON.stringify(enrolment));
  }

  /** A counter's values by the labels that were asked for, joined by spaces. */
  counts(name: string, ...labels: string[]): Promise<Record<string, number>> {
    return countsAt(this.ports.admin, name, labels);
  }

  /** Makes it hang, or go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child!.kill(signal);
  }

  /** Takes it away between two instructions, as a power cut would. */
  async kill(): Promise<void> {
    this.#child!.kill("SIGKILL");
    await this.#child!.status;
    await this.#complaints;
    this.#child = undefined;
  }

  /** Asks it to stop and fails when it does not do so in good order. */
  async stop(): Promise<void> {
    this.#child!.kill("SIGTERM");
    const { code } = await this.#child!.status;
    const complaints = await this.#complaints;
    this.#child = undefined;
    assert.equal(code, 0, complaints);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child !== undefined) await this.kill();
  }

  async #isReady(): Promise<boolean> {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    try {
      const response = await fetch(`http://127.0.0.1:${this.ports.admin}/site`, { client });
      const { ready, http } = await response.json();
      return ready && http !== null; // roles are ready before the public listener is
    } catch {
      return false; // nobody listens yet
    }
  }
}

const taken = new Set<number>();

/**
 * A free port below those that the system gives to whoever asks for any, so that nobody takes it while
 * its site is away.
 */
export function steadyPort(): number {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    if (taken.has(port)) continue;
    try {
      using _ = Deno.listen({ hostname: "127.0.0.1", port });
    } catch {
      continue;
    }
    taken.add(port);
    return port;
  }
}
