/**
 * Sites as processes of their own that know each other's keys and addresses before they start, because
 * they are witnesses of each other. What a test wants to know of one it asks as a stranger does, over
 * HTTP, or as the operator of its machine.
 */
import { createClient } from "@libsql/client";
import { join } from "node:path";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { logKey, splitOrigin, type TlogStatus, witnessKey } from "../../core/services/tlog/mod.ts";
import { type Checkpoint, parseCheckpoint } from "../../core/trust/log/checkpoint.ts";
import {
  formatNoteKey,
  type Note,
  type NoteKey,
  parseNote,
  verifyText,
} from "../../core/trust/log/note.ts";
import { askSite } from "../../edge/admin_client.ts";
import { eventually } from "./_test_site.ts";
import { spawn } from "./program.ts";
import { steadyPort } from "./site_process.ts";

const suite = nativeSuite();

export class LogSite implements AsyncDisposable {
  readonly name: string;
  readonly dataDir: string;
  readonly url: string;
  readonly #folder: string;
  readonly #ports = { http: steadyPort(), admin: steadyPort(), mqtt: steadyPort() };
  readonly #keys: { readonly witness: NoteKey; readonly logOf: (generation: number) => NoteKey };
  #child: Deno.ChildProcess | undefined;
  #complaints: Promise<string> = Promise.resolve("");

  /** Makes its identity and starts nothing. */
  constructor(folder: string, name: string) {
    this.name = name;
    this.#folder = join(folder, name);
    this.dataDir = join(this.#folder, "data");
    this.url = `http://127.0.0.1:${this.#ports.http}`;
    Deno.mkdirSync(this.dataDir, { recursive: true, mode: 0o700 });
    const holder = { suite, site: name, identity: openIdentity(suite, this.dataDir) };
    this.#keys = {
      witness: witnessKey(holder).key,
      logOf: (generation) => logKey(holder, generation),
    };
  }

  get witnessKey(): NoteKey {
    return this.#keys.witness;
  }

  logKey(generation: number): NoteKey {
    return this.#keys.logOf(generation);
  }

  /** Starts it, for the first time or again, and resolves when it is ready. */
  async start(
    { witnesses = [], witnessOf = [], keys = "" }: {
      witnesses?: readonly LogSite[];
      witnessOf?: readonly LogSite[];
      keys?: string;
    } = {},
  ): Promise<void> {
    const remote = witnesses.map(({ url, witnessKey }) => {
      return `{ url = "${url}/log", key = "${formatNoteKey(witnessKey)}" }`;
    });
    const known = witnessOf.map((site) => `"${formatNoteKey(site.logKey(1))}"`);
    const { http, admin, mqtt } = this.#ports;
    const config = join(this.#folder, "site.toml");
    await Deno.writeTextFile(
      config,
      `site = "${this.name}"
data_dir = "data"
http.listen = "127.0.0.1:${http}"
admin.listen = "127.0.0.1:${admin}"
mqtt.listen = "127.0.0.1:${mqtt}"
log.level = "error"
log.witnesses = [${remote.join(", ")}]
log.witness_of = [${known.join(", ")}]
${keys}
[plugins.cloud-summary]
`,
    );
    const child = this.#child = spawn(["run", "-c", config]);
    this.#complaints = new Response(child.stderr).text();
    const ended = child.status.then(async () => {
      throw new Error(`The site did not start: ${await this.#complaints}`);
    });
    ended.catch(() => {}); // it ends some day
    const ready = async () => await this.#isReady() || undefined;
    await Promise.race([ended, eventually(`${this.name} is ready`, ready, 60_000)]);
  }

  /** Leaves entries in its history. */
  async act(count = 1): Promise<void> {
    for (let i = 0; i < count; i++) {
      await askSite(this.dataDir, "/tokens", { method: "POST", body: { role: "viewer" } });
    }
  }

  /** An API token. */
  async token(): Promise<string> {
    const made = await askSite(this.dataDir, "/tokens", {
      ...{ method: "POST", body: { role: "viewer" } },
    });
    return (made as { token: string }).token;
  }

  async status(): Promise<TlogStatus | null> {
    return (await askSite(this.dataDir, "/site") as { log: TlogStatus | null }).log;
  }

  async get(path: string, init: RequestInit = {}): Promise<Response> {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const response = await fetch(`${this.url}/log${path}`, { ...init, client });
    const body = await response.arrayBuffer();
    return new Response(body.byteLength === 0 ? null : body, response);
  }

  /** A checkpoint that it serves, its signature checked; null when it serves none. */
  async checkpoint(
    path = "/checkpoint",
  ): Promise<Checkpoint & { note: Note; text: string } | null> {
    const response = await this.get(path);
    if (response.status === 404) return null;
    const text = await response.text();
    const note = parseNote(text);
    const checkpoint = parseCheckpoint(note.text);
    verifyText(suite, note, this.logKey(splitOrigin(checkpoint.origin).generation));
    return { ...checkpoint, note, text };
  }

  /** Why it has raised the alarm, from its history. */
  async alarms(): Promise<{ subject: string; reason: string }[]> {
    const client = createClient({ url: `file:${join(this.dataDir, "edgeward.db")}` });
    try {
      const { rows } = await client.execute(
        "SELECT subject, detail ->> 'reason' AS reason FROM audit WHERE type = 'log.inconsistent'",
      );
      return rows.map(({ subject, reason }) => ({ subject: `${subject}`, reason: `${reason}` }));
    } finally {
      client.close();
    }
  }

  /** Takes it away between two instructions. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child !== undefined) await this.kill();
  }

  async #end(signal: Deno.Signal): Promise<void> {
    this.#child!.kill(signal);
    await this.#child!.status;
    await this.#complaints;
    this.#child = undefined;
  }

  async #isReady(): Promise<boolean> {
    try {
      const { ready, http } = await askSite(this.dataDir, "/site") as Record<string, unknown>;
      return ready === true && http !== null;
    } catch {
      return false;
    }
  }
}

/** Copies the files of a folder whose names begin so; what it returns puts them back as they were. */
export function keep(folder: string, beginning: string): () => void {
  const files = new Map<string, Uint8Array>();
  const names = () =>
    Array.from(Deno.readDirSync(folder)).filter(({ name, isFile }) =>
      isFile && name.startsWith(beginning)
    ).map(({ name }) => join(folder, name));
  for (const name of names()) files.set(name, Deno.readFileSync(name));
  return () => {
    for (const name of names()) Deno.removeSync(name);
    for (const [name, bytes] of files) Deno.writeFileSync(name, bytes, { mode: 0o600 });
  };
}
