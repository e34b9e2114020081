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
import { type Outcome, run, spawn } from "./program.ts";

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
  #child: Deno.ChildProcess | undefined;
  #complaints: Promise<string> = Promise.resolve("");

  private constructor(folder: string, ports: Ports) {
    this.ports = ports;
    this.dataDir = join(folder, "data");
    this.#config = join(folder, "site.toml");
  }

  /** Writes a configuration with this role into the folder and starts the site. */
  static async start(folder: string, name: string, role: string): Promise<SiteProcess> {
    const ports = { http: steadyPort(), admin: steadyPort(), mqtt: steadyPort() };
    const site = new SiteProcess(folder, ports);
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(
      site.#config,
      `site = "${name}"
data_dir = "data"
http.listen = "127.0.0.1:${ports.http}"
admin.listen = "127.0.0.1:${ports.admin}"
mqtt.listen = "127.0.0.1:${ports.mqtt}"
log.level = "error"
${role}
`,
    );
    await site.start();
    return site;
  }

  /** Starts it, for the first time or again, and resolves when it is ready. */
  async start(): Promise<void> {
    const child = this.#child = spawn(["run", "-c", this.#config]);
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

  /** Runs a command as the operator of the site, with what comes on its standard input. */
  operate(args: readonly string[], stdin?: string): Promise<Outcome> {
    return run([...args, "-c", this.#config], stdin === undefined ? {} : { stdin });
  }

  /** Who is known and who waits. */
  async peers(): Promise<PeerStatus[]> {
    const { peers } = await askSite(this.dataDir, "/peers") as { peers: PeerStatus[] };
    return peers;
  }

  /** Makes a code for a meter. */
  async enrol(id: string): Promise<Enrolment> {
    const body = { kind: "meter", id, ttl: 3_600_000 };
    const enrolment = await askSite(this.dataDir, "/enrol", { method: "POST", body });
    return enrolmentFromJson(JSON.stringify(enrolment));
  }

  /** A counter's values by the labels that were asked for, joined by spaces. */
  counts(name: string, ...labels: string[]): Promise<Record<string, number>> {
    return countsAt(this.ports.admin, name, labels);
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
