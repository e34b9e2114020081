/**
 * A real site with this role for the tests of this folder: its database, bus, desk and HTTP, in this
 * process and in a time that the test turns, with a role that asks, and Telegram without a network.
 */
import { join } from "node:path";
import { z } from "zod";
import { CodedError } from "../../core/base/errors.ts";
import { parseConfig } from "../../core/host/config/mod.ts";
import type { AnyPlugin, Host, Services } from "../../core/host/plugin.ts";
import { type Site, socketPath, startSite } from "../../core/host/site.ts";
import type { Database } from "../../core/services/db/mod.ts";
import type { Outcome, Question } from "../../core/services/desk.ts";
import { pause } from "../../core/services/pause.ts";
import type { RolePeers } from "../../core/services/peers/mod.ts";
import type { Event } from "../../core/wire/event.ts";
import plugin from "./mod.ts";
import { startNotifier } from "./notifier.ts";
import { TestTelegram, token } from "./_test_telegram.ts";

/** People and chats that the configuration knows, unless a test says otherwise. */
export const ann = 1001;
export const bob = 1002;
export const viewer = 1003;
export const stranger = 666;
export const group = -500;

const usual = `
  chats = [${ann}, { id = ${group}, severity = "warning" }]
  users = { "${ann}" = "operator", "${bob}" = "operator", "${viewer}" = "viewer" }
  group_within = "100ms"`;

/** Milliseconds for which the role waits for others. */
const patiences = [3_000, 10_000];

/** What a test decides about the role that asks. */
export class TestDocket {
  waiting: Question[] = [];
  /** What was decided, in order: `approve q-1 telegram:1001`. */
  readonly decided: string[] = [];
  readonly outcomes = new Map<string, Outcome>();
  /** What happens instead of a decision. */
  trouble: (() => Promise<void>) | null = null;

  ask(id: string, title = `${id} wants to join`): void {
    const facts: [string, string][] = [["fingerprint", `1111-${id}`]];
    this.waiting.push({ id, title, facts, asked: Date.now(), expires: null });
  }

  end(id: string, outcome: Outcome): void {
    this.waiting = this.waiting.filter((question) => question.id !== id);
    this.outcomes.set(id, outcome);
  }

  async decide(id: string, verdict: "approve" | "deny", { actor }: { actor: string }) {
    await this.trouble?.();
    if (!this.waiting.some((question) => question.id === id)) {
      throw new CodedError("gone", "Cannot decide: nobody waits");
    }
    this.decided.push(`${verdict} ${id} ${actor}`);
    this.end(id, { verdict: verdict === "approve" ? "approved" : "denied", by: actor });
  }
}

export interface TestNotifier extends AsyncDisposable {
  readonly telegram: TestTelegram;
  readonly docket: TestDocket;
  readonly site: Site;
  readonly db: Database;
  readonly peers: RolePeers;
  /** What was written to the log, with all its properties. */
  readonly logged: string[];
  advance(milliseconds: number): void;
  emit(event: Partial<Event>): void;
  /** Looks at what waits, as an event has it done. */
  look(): void;
  ask(path: string, init?: RequestInit): Promise<{ status: number; text: string }>;
  /** Actors and types of the audit, in order. */
  audited(): Promise<string[]>;
  /** Stops the site and starts it again on what it has stored. @param table its keys from then on */
  restart(table?: string): Promise<void>;
}

export async function openNotifier(table = usual): Promise<TestNotifier> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  await Deno.writeTextFile(join(folder, "token"), `${token}\n`);
  const telegram = new TestTelegram();
  const docket = new TestDocket();
  const logged: string[] = [];
  let ahead = 0;
  let inside!: Host & Pick<Services, "db" | "peers">;
  const tell = (text: string, properties?: unknown) => {
    logged.push(`${text} ${Deno.inspect(properties, { depth: 9 })}`);
  };
  const asker: AnyPlugin = {
    ...{ name: "asker", summary: "asks", config: z.object({}), needs: ["db", "peers"] },
    start(host: Host & Pick<Services, "db" | "peers">) {
      inside = host;
      host.desk.offerView({
        ...{ name: "boxes", summary: "What boxes there are", needs: "viewer" },
        show: (args) =>
          Promise.resolve({ title: `Boxes <${args}>`, rows: [{ title: "box & co" }] }),
      });
      host.desk.offerDocket({
        ...{ kind: "box", needs: "operator", events: ["device.pending", "device.approved"] },
        pending: () => Promise.resolve([...docket.waiting]),
        decide: (id, verdict, by) => docket.decide(id, verdict, by),
        outcome: (id) => Promise.resolve(docket.outcomes.get(id) ?? { verdict: "gone", by: null }),
      });
    },
  };
  const notifier: AnyPlugin = {
    ...plugin,
    after: ["asker"],
    start: (host: Host & Pick<Services, "db" | "http" | "peers">, config) =>
      startNotifier(
        { ...host, log: { debug: tell, info: tell, warn: tell, error: tell } },
        config,
        {
          fetch: telegram.fetch,
          // pauses pass quickly: what is tested is what happens after them; only the patience with
          // answers is as long as it is, as a slow machine takes its time for them
          pause: (ms, signal) => pause(patiences.includes(ms) ? ms : Math.min(ms, 20), signal),
          random: () => 0.5,
          monotonic: (() => {
            let now = 0;
            return () => now += 1_000;
          })(),
        },
      ),
  };
  const registry = {
    asker: () => Promise.resolve({ default: asker }),
    [plugin.name]: () => Promise.resolve({ default: notifier }),
  };
  const start = async (table: string) =>
    await startSite(
      await parseConfig(
        `
        site = "kiosk-7"
        data_dir = "data"
        http.listen = "127.0.0.1:0"
        admin.listen = "127.0.0.1:0"
        mqtt.listen = "127.0.0.1:0"
        [plugins.asker]
        [plugins.telegram-notifier]
        token_file = "token"
        api_root = "http://127.0.0.1:9"
        ${table}`,
        { file: "site.toml", dir: folder, registry },
      ),
      { version: "0", clock: () => Date.now() + ahead },
    );
  let site = await start(table);

  return {
    telegram,
    docket,
    logged,
    get site() {
      return site;
    },
    get db() {
      return inside.db;
    },
    get peers() {
      return inside.peers;
    },
    advance: (milliseconds) => void (ahead += milliseconds),
    emit: (event) =>
      inside.bus.emit({
        ...{ type: "fog.uplink_down", severity: "warning", subject: "fog-1", detail: {} },
        ...event,
      }),
    look: () =>
      inside.bus.emit({ type: "device.pending", severity: "info", subject: "x", detail: {} }),
    async ask(path, init = {}) {
      using client = Deno.createHttpClient({
        proxy: { transport: "unix", path: socketPath(join(folder, "data")) },
      });
      const url = `http://edgeward/telegram-notifier${path}`;
      const response = await fetch(url, { ...init, client });
      return { status: response.status, text: await response.text() };
    },
    async audited() {
      const rows = await inside.db.read((q) =>
        q.all<{ type: string; actor: string; subject: string }>(
          "SELECT type, actor, subject FROM audit ORDER BY id",
        )
      );
      return rows.map(({ type, actor, subject }) => `${type} ${actor} ${subject}`);
    },
    async restart(next = table) {
      await site[Symbol.asyncDispose]();
      site = await start(next);
    },
    async [Symbol.asyncDispose]() {
      await site[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
