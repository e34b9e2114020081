/**
 * A Bot API server for tests: a bot talks to it over HTTP as to Telegram's, and the test plays the people.
 * What it knows it does as the real one does: updates come again until they are confirmed, two that poll
 * are in conflict, markup, lengths and buttons are checked, floods are told to wait, an edit without
 * buttons takes them away, groups become supergroups. And it can be away, hang, and break connections
 * before or after it has done what it was asked, which `Deno.serve` cannot, so it stands on node:http.
 *
 * What it is not: complete. It knows the methods of `_bot_methods.ts`, texts and inline buttons. There are
 * no files, photos, channels, webhooks, inline queries and no Markdown; members have no rights; how it
 * limits is what Telegram documents, for edits as well, and Telegram is neither that strict nor that
 * lenient. Passing here proves a bot's manners, not that Telegram will not change its own.
 *
 * The package telegram-test-api would have been an alternative, but it fails on methods that it does
 * not know, setMyCommands among them, keeps the buttons of a message that is edited, and checks nothing.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Chat, chatToJson, type Message, userToJson } from "./_bot_chats.ts";
import { BotMethods, type Params, type Press } from "./_bot_methods.ts";
import { Person, type Stage } from "./_bot_person.ts";
import { BotApiRefusal } from "./_bot_refusal.ts";
import { eventually } from "./_test_site.ts";
import { steadyPort } from "./site_process.ts";

export type { Chat, Message } from "./_bot_chats.ts";
export type { Person } from "./_bot_person.ts";

/** A request that came with the right token. */
export interface Call {
  readonly method: string;
  readonly params: Params;
  /** What it was answered with; 0 when nothing was. */
  readonly status: number;
}

export type Fault =
  /** Breaks the connection before anything is done. */
  | "drop"
  /** Does what it was asked, and breaks the connection instead of saying so. */
  | "lose"
  /** Does nothing and answers nothing, until the fault is over. */
  | "hang"
  /** What stands in front of the server says 502, in HTML. */
  | "bad gateway";

interface Trouble {
  readonly fault: Fault;
  readonly methods: readonly string[] | undefined;
  readonly hanging: Set<IncomingMessage>;
  times: number;
}

export class BotApi implements AsyncDisposable {
  /** The bot's token; what is behind the colon is its secret. */
  readonly token: string;
  readonly calls: Call[] = [];
  readonly #port = steadyPort();
  readonly #methods: BotMethods;
  readonly #clock: () => number;
  readonly #troubles = new Set<Trouble>();
  #server: Server | undefined;
  #lastGroup = 0;
  #lastPress = 0;

  private constructor(options: { readonly limits: boolean; readonly clock: () => number }) {
    const bot = { id: 7_123_456_789, name: "Edgeward", username: "edgeward_test_bot" };
    this.#clock = options.clock;
    this.#methods = new BotMethods({ bot, ...options });
    const secret = crypto.getRandomValues(new Uint8Array(26));
    this.token = `${bot.id}:AA${secret.toBase64({ alphabet: "base64url", omitPadding: true })}`;
  }

  /** @param options.limits whether floods are refused: yes unless said */
  static async start(
    { limits = true, clock = Date.now }: { limits?: boolean; clock?: () => number } = {},
  ): Promise<BotApi> {
    const api = new BotApi({ limits, clock });
    await api.comeBack();
    return api;
  }

  /** Where a bot finds it: what stands for https://api.telegram.org. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Whether a bot waits for updates. */
  get isPolled(): boolean {
    return this.#methods.updates.isAwaited;
  }

  /** What the commands of the bot are, by scope: "default", "chat 1". */
  get commands(): ReadonlyMap<string, readonly { command: string; description: string }[]> {
    return this.#methods.commands;
  }

  person(id: number, name: string): Person {
    const facts = { id, name, username: name.toLowerCase() };
    return new Person(this.#people, facts);
  }

  /** Makes a group in which the bot and these people are. */
  group(title: string, people: readonly Person[]): Chat {
    const chat = new Chat({ id: -(4_000_000 + ++this.#lastGroup), kind: "group", title });
    for (const { facts } of people) chat.members.set(facts.id, facts);
    this.#methods.chats.set(chat.id, chat);
    return chat;
  }

  /** Makes a supergroup of a group, which is the end of the group. */
  upgrade(group: Chat): Chat {
    const id = -1_000_000_000_000 + group.id;
    const next = new Chat({ id, kind: "supergroup", title: group.title });
    for (const [id, facts] of group.members) next.members.set(id, facts);
    this.#methods.chats.set(id, next);
    group.successor = id;
    const { bot, updates } = this.#methods;
    const service = (chat: Chat, fact: Record<string, number>) => ({
      ...{ message_id: 1, date: Math.floor(this.#clock() / 1_000), from: userToJson(bot, bot.id) },
      ...{ chat: chatToJson(chat), ...fact },
    });
    updates.add("message", service(group, { migrate_to_chat_id: id }));
    updates.add("message", service(next, { migrate_from_chat_id: group.id }));
    return next;
  }

  /** The latest message of the bot in a chat that reads like this, once there is one. */
  async sees(chat: number, pattern: RegExp, { after = 0 } = {}): Promise<Message> {
    const find = () => this.told(chat).findLast(({ id, text }) => id > after && pattern.test(text));
    return await eventually(`chat ${chat} reads ${pattern}`, find, 60_000).catch((error) => {
      const told = this.told(chat).map(({ text }) => text).join("\n---\n");
      throw new Error(`${error.message}; it reads:\n${told}`);
    });
  }

  /** What the bot has said in a chat, as it reads now, oldest first. */
  told(chat: number): readonly Message[] {
    const { bot, chats } = this.#methods;
    return chats.get(chat)?.messages().filter(({ from }) => from.id === bot.id) ?? [];
  }

  /** Requests for a method that were answered with this status. */
  count(method: string, status = 200): number {
    return this.calls.filter((call) => call.method === method && call.status === status).length;
  }

  /** Makes trouble until it is disposed of. @param methods all unless said */
  trouble(
    fault: Fault,
    { methods, times = Infinity }: { methods?: readonly string[]; times?: number } = {},
  ): Disposable & { readonly hanging: number } {
    const trouble: Trouble = { fault, methods, times, hanging: new Set() };
    this.#troubles.add(trouble);
    return {
      get hanging() {
        return trouble.hanging.size;
      },
      [Symbol.dispose]: () => {
        this.#troubles.delete(trouble);
        for (const request of trouble.hanging) request.socket.destroy();
      },
    };
  }

  /** Nobody listens any more, and every connection breaks. */
  async goAway(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    this.#methods.updates.hangUp();
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async comeBack(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.goAway();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const [, token, method = ""] = /^\/bot([^/]*)\/(\w+)/.exec(request.url ?? "") ?? [];
      if (token === undefined) throw new BotApiRefusal(404, "Not Found");
      if (token !== this.token) throw new BotApiRefusal(401, "Unauthorized");
      const params = await paramsOf(request);
      const fault = this.#faultOf(method, request);
      if (fault === "drop" || fault === "hang") {
        this.calls.push({ method, params, status: 0 });
        if (fault === "drop") request.socket.destroy();
        return;
      }
      if (fault === "bad gateway") {
        this.calls.push({ method, params, status: 502 });
        response.writeHead(502, { "content-type": "text/html" }).end("<h1>502 Bad Gateway</h1>");
        return;
      }
      const outcome = await this.#methods.call(method, params).catch((error) => error);
      if (outcome instanceof Error && !(outcome instanceof BotApiRefusal)) throw outcome;
      const status = fault === "lose" ? 0 : outcome instanceof BotApiRefusal ? outcome.status : 200;
      this.calls.push({ method, params, status });
      if (fault === "lose") request.socket.destroy();
      else if (outcome instanceof BotApiRefusal) refuse(response, outcome);
      else answer(response, 200, { ok: true, result: outcome });
    } catch (error) {
      refuse(
        response,
        error instanceof BotApiRefusal ? error : new BotApiRefusal(500, `Cannot go on: ${error}`),
      );
    }
  }

  #faultOf(method: string, request: IncomingMessage): Fault | null {
    for (const trouble of this.#troubles) {
      const { fault, methods, hanging } = trouble;
      if (trouble.times <= 0 || methods !== undefined && !methods.includes(method)) continue;
      trouble.times--;
      if (fault === "hang") hanging.add(request);
      return fault;
    }
    return null;
  }

  /** What people need of the server. */
  readonly #people: Stage = {
    chatOf: (facts, id) => {
      const { chats } = this.#methods;
      if (id === facts.id && !chats.has(id)) {
        const chat = new Chat({ id, kind: "private", title: facts.name });
        chat.members.set(id, facts);
        chats.set(id, chat);
      }
      const chat = chats.get(id);
      if (!chat?.members.has(facts.id)) throw new Error(`${facts.name} is not in chat ${id}`);
      return chat;
    },
    say: (from, { chat, text, thread }) => {
      const { bot, updates } = this.#methods;
      const rest = { buttons: [], silent: false, thread, sent: this.#clock() };
      const message = chat.add({ text, entities: commandsIn(text), from, ...rest });
      // in groups a bot hears only what is meant for it
      const [, whom = bot.username] = /^\/\w+(?:@(\w+))?/.exec(text) ?? [, ""];
      if (chat.kind === "private" || whom === bot.username) {
        updates.add("message", this.#methods.toJson(message));
      }
      return message;
    },
    press: (by, message, data) => {
      const { presses, updates, bot } = this.#methods;
      const press: Press = { by, message, data, answer: null };
      const id = `${4_000_000_000_000 + ++this.#lastPress}`;
      presses.set(id, press);
      updates.add("callback_query", {
        ...{ id, from: userToJson(by, bot.id), chat_instance: `${message.chat}`, data },
        message: this.#methods.toJson(message),
      });
      return press;
    },
    sees: (chat, pattern, options) => this.sees(chat, pattern, options),
  };
}

/** From the query, and from a body of JSON or a form. */
async function paramsOf(request: IncomingMessage): Promise<Params> {
  const query = new URL(request.url!, "http://localhost").searchParams;
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = new TextDecoder().decode(await new Blob(chunks as BlobPart[]).arrayBuffer());
  const type = request.headers["content-type"] ?? "";
  const params = type.startsWith("application/json")
    ? JSON.parse(body === "" ? "{}" : body)
    : Object.fromEntries(new URLSearchParams(body));
  return { ...Object.fromEntries(query), ...params };
}

function refuse(response: ServerResponse, { status, message, parameters }: BotApiRefusal): void {
  answer(response, status, {
    ...{ ok: false, error_code: status, description: message },
    ...(parameters !== undefined && { parameters }),
  });
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function commandsIn(text: string) {
  return Array.from(text.matchAll(/(?<!\S)\/\w{1,32}(?:@\w+)?/g), ({ 0: { length }, index }) => ({
    ...{ type: "bot_command", offset: index, length },
  }));
}
