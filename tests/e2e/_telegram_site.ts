/**
 * A real site in this process whose notifier talks over HTTP to the Bot API server for tests, with a role
 * of the test's own beside it: it says whatever the test wants to be heard, and has things to decide.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { definePlugin } from "../../core/host/plugin.ts";
import type { Bus } from "../../core/services/bus.ts";
import { gone, type Outcome, type Question, type Verdict } from "../../core/services/desk.ts";
import { CodedError } from "../../core/base/errors.ts";
import { askSite } from "../../edge/admin_client.ts";
import { startTestSite, type TestSite } from "./_test_site.ts";
import { BotApi, type Person } from "./bot_api.ts";

export interface TelegramSite extends AsyncDisposable {
  readonly api: BotApi;
  readonly site: TestSite;
  readonly drill: Drill;
  /** May decide, may look, and is nobody. */
  readonly people: { readonly ann: Person; readonly bob: Person; readonly eve: Person };
  /** Asks the site as the operator of this machine. */
  ask(path: string, options?: { method: string; body?: unknown }): Promise<unknown>;
  /** Goes on with another table of the notifier. */
  configure(table: Table): Promise<void>;
}

/** Lines of the notifier's table that are not the usual ones. */
export interface Table {
  readonly [key: string]: string;
}

/** What the test's own role says, and what it asks people. */
export class Drill {
  #bus: Bus | undefined;
  readonly questions = new Map<string, Question>();
  readonly outcomes = new Map<string, Outcome>();
  /** Whatever was to be decided, in order, whether it could be or not. */
  readonly decisions: { id: string; verdict: Verdict; actor: string }[] = [];

  readonly plugin = definePlugin({
    name: "drill",
    summary: "says what the test wants",
    config: z.object({}),
    start: (host) => {
      this.#bus = host.bus;
      host.desk.offerDocket({
        kind: "rollout",
        needs: "operator",
        events: ["ota.published"],
        pending: () => Promise.resolve([...this.questions.values()]),
        decide: (id, verdict, { actor }) => {
          this.decisions.push({ id, verdict, actor });
          const next = {
            verdict: verdict === "approve" ? "approved" : "denied",
            by: actor,
          } as const;
          if (!this.questions.has(id) && this.outcomes.get(id)?.verdict !== next.verdict) {
            throw new CodedError("decided", "Cannot decide: nobody waits for it any more");
          }
          if (this.questions.has(id)) this.end(id, next);
          return Promise.resolve();
        },
        outcome: (id) => Promise.resolve(this.outcomes.get(id) ?? gone),
      });
    },
  });

  emit(event: Parameters<Bus["emit"]>[0]): void {
    this.#bus!.emit(event);
  }

  /** Asks people whether something may be rolled out. @param expires Unix milliseconds */
  wonder(id: string, { expires = null }: { expires?: number | null } = {}): void {
    const facts = [["version", "1.2.3"], ["marked up", "<b>&amp;</b>"]] as const;
    const title = `rollout ${id} wants to begin`;
    this.questions.set(id, { id, title, facts, asked: Date.now(), expires });
    this.emit({ type: "ota.published", severity: "info", subject: id, detail: {} });
  }

  /** Something has become of it, whoever has decided. */
  end(id: string, outcome: Outcome): void {
    this.questions.delete(id);
    this.outcomes.set(id, outcome);
  }
}

const ids = { ann: 1_001, bob: 1_002, eve: 1_666 };

/** @param options.tables of other roles */
export async function startTelegramSite(
  { table = {}, tables = "", limits = true }: {
    table?: Table;
    tables?: string;
    limits?: boolean;
  } = {},
): Promise<TelegramSite> {
  await using stack = new AsyncDisposableStack();
  const api = stack.use(await BotApi.start({ limits }));
  const people = {
    ann: api.person(ids.ann, "Ann"),
    bob: api.person(ids.bob, "Bob"),
    eve: api.person(ids.eve, "Eve"),
  };
  // who is to be told has begun a chat with the bot, before it was there
  for (const person of [people.ann, people.bob]) person.says("hello");
  const drill = new Drill();
  const token = await Deno.makeTempFile();
  stack.defer(() => Deno.remove(token));
  await Deno.writeTextFile(token, `${api.token}\n`, { mode: 0o600 });
  const rolesOf = (table: Table) => {
    const lines: Table = {
      token_file: JSON.stringify(token),
      api_root: JSON.stringify(api.url),
      chats: `[${ids.ann}, ${ids.bob}]`,
      users: `{ "${ids.ann}" = "operator", "${ids.bob}" = "viewer" }`,
      group_within: '"300ms"',
      ...table,
    };
    return `${tables}
[plugins.drill]
[plugins.telegram-notifier]
${Object.entries(lines).map(([key, value]) => `${key} = ${value}`).join("\n")}`;
  };
  const roles = { drill: () => Promise.resolve({ default: drill.plugin }) };
  const site = stack.use(await startTestSite("pump-house", rolesOf(table), { roles }));
  const kept = stack.move();
  return {
    ...{ api, site, drill, people },
    ask: (path, options) => askSite(join(site.folder, "data"), path, options),
    async configure(table) {
      const { failed } = await site.reload(rolesOf(table));
      assert.deepEqual(failed, {});
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
