/**
 * What the methods of the Bot API do, and what they refuse in which words. A method that is not here is
 * unknown to the server, as a method that does not exist is to Telegram.
 */
import { type Buckets, buckets } from "../../core/services/token_bucket.ts";
import {
  type BotUserFacts,
  type Button,
  Chat,
  chatToJson,
  type Keyboard,
  type Message,
  messageToJson,
  userToJson,
} from "./_bot_chats.ts";
import { type FormattedText, parseHtml } from "./_bot_html.ts";
import { badRequest, BotApiRefusal } from "./_bot_refusal.ts";
import { Updates } from "./_bot_updates.ts";

export type Params = Readonly<Record<string, unknown>>;

/** A press of a button. */
export interface Press {
  readonly by: BotUserFacts;
  readonly message: Message;
  readonly data: string;
  /** What the bot says to it: null while it has said nothing. */
  answer: { readonly text: string; readonly alert: boolean } | null;
}

/** UTF-16 code units of a message, after its markup is gone. */
const maxText = 4_096;
const maxToast = 200;

export class BotMethods {
  readonly bot: BotUserFacts;
  readonly chats = new Map<number, Chat>();
  readonly updates = new Updates();
  readonly presses = new Map<string, Press>();
  /** What `setMyCommands` said last, by scope. */
  readonly commands = new Map<string, readonly { command: string; description: string }[]>();
  readonly #clock: () => number;
  readonly #limits: readonly ((chat: Chat) => number)[];

  readonly #methods: Readonly<Record<string, (params: Params) => unknown>> = {
    getme: () => ({
      ...userToJson(this.bot, this.bot.id),
      can_join_groups: true,
      can_read_all_group_messages: false,
      supports_inline_queries: false,
    }),
    getupdates: (params) =>
      this.updates.get({
        offset: integer(params, "offset") ?? 0,
        limit: Math.min(100, Math.max(1, integer(params, "limit") ?? 100)),
        timeout: Math.min(50, Math.max(0, integer(params, "timeout") ?? 0)),
        allowed: params.allowed_updates as string[] | undefined,
      }),
    // there are no webhooks here to delete
    deletewebhook: () => true,
    sendmessage: (params) => this.#send(params),
    editmessagetext: (params) => this.#edit(params, () => textOf(params)),
    editmessagereplymarkup: (params) => this.#edit(params, () => ({})),
    deletemessage: (params) => {
      const { message, chat } = this.#message(params, "delete");
      return chat.delete(message.id);
    },
    answercallbackquery: (params) => this.#answer(params),
    setmycommands: (params) => this.#setCommands(params),
    getmycommands: (params) => this.commands.get(scopeOf(params)) ?? [],
    deletemycommands: (params) => this.commands.delete(scopeOf(params)) || true,
    getchat: (params) => chatToJson(this.#chat(params)),
  };

  constructor(
    options: { readonly bot: BotUserFacts; readonly clock: () => number; readonly limits: boolean },
  ) {
    this.bot = options.bot;
    this.#clock = options.clock;
    const many = { most: 1_000 };
    const waitIn = (kept: Buckets, name: (chat: Chat) => string) => (chat: Chat) =>
      kept.take(name(chat), options.clock());
    const perGroup = waitIn(buckets({ perSecond: 20 / 60, burst: 20 }, many), ({ id }) => `${id}`);
    this.#limits = options.limits
      ? [
        // "short bursts" are let through
        waitIn(buckets({ perSecond: 1, burst: 5 }, many), ({ id }) => `${id}`),
        (chat) => chat.kind === "private" ? 0 : perGroup(chat),
        waitIn(buckets({ perSecond: 30, burst: 30 }, many), () => "all"),
      ]
      : [];
  }

  /** @throws BotApiRefusal */
  async call(method: string, params: Params): Promise<unknown> {
    const name = method.toLowerCase();
    if (!Object.hasOwn(this.#methods, name)) {
      throw new BotApiRefusal(404, "Not Found: method not found");
    }
    return await this.#methods[name]!(params);
  }

  toJson(message: Message): Record<string, unknown> {
    return messageToJson(message, this.chats.get(message.chat)!, this.bot.id);
  }

  #send(params: Params) {
    const chat = this.#chat(params);
    const thread = integer(params, "message_thread_id") ?? null;
    if (thread !== null && !chat.topics.has(thread)) throw badRequest("message thread not found");
    const content = textOf(params);
    const buttons = keyboardOf(params);
    this.#limit(chat);
    const message = chat.add({
      ...content,
      ...{ buttons, thread, from: this.bot, sent: this.#clock() },
      silent: params.disable_notification === true,
    });
    return this.toJson(message);
  }

  /** Who says nothing of the buttons takes them away. */
  #edit(params: Params, change: () => Partial<FormattedText>) {
    const { message, chat } = this.#message(params, "edit");
    if (message.from.id !== this.bot.id) throw badRequest("message can't be edited");
    const next = { ...message, ...change(), buttons: keyboardOf(params) };
    this.#limit(chat);
    if (JSON.stringify(next) === JSON.stringify(message)) {
      throw badRequest(
        "message is not modified: specified new message content and reply markup are exactly the " +
          "same as a current content and reply markup of the message",
      );
    }
    return this.toJson(chat.edit(message, next));
  }

  #answer(params: Params): true {
    const press = this.presses.get(String(params.callback_query_id));
    if (press === undefined || press.answer !== null) {
      throw badRequest("query is too old and response timeout expired or query ID is invalid");
    }
    const text = String(params.text ?? "");
    if (text.length > maxToast) throw badRequest("MESSAGE_TOO_LONG");
    press.answer = { text, alert: params.show_alert === true };
    return true;
  }

  #setCommands(params: Params): true {
    const commands = (params.commands ?? []) as { command: string; description: string }[];
    if (commands.length > 100) throw badRequest("BOT_COMMANDS_TOO_MUCH");
    for (const { command, description } of commands) {
      if (!/^[a-z0-9_]{1,32}$/.test(command)) throw badRequest("BOT_COMMAND_INVALID");
      if (description.length < 1 || description.length > 256) {
        throw badRequest("BOT_COMMAND_DESCRIPTION_INVALID");
      }
    }
    this.commands.set(scopeOf(params), commands);
    return true;
  }

  #chat(params: Params): Chat {
    const id = integer(params, "chat_id");
    if (id === undefined) throw badRequest("chat_id is empty");
    const chat = this.chats.get(id);
    if (chat === undefined) throw badRequest("chat not found");
    if (chat.successor !== null) {
      throw new BotApiRefusal(
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        { migrate_to_chat_id: chat.successor },
      );
    }
    if (!chat.isOpen) {
      const what = chat.kind === "private"
        ? "blocked by the user"
        : `kicked from the ${chat.kind} chat`;
      throw new BotApiRefusal(403, `Forbidden: bot was ${what}`);
    }
    return chat;
  }

  #message(params: Params, what: "edit" | "delete") {
    const chat = this.#chat(params);
    const message = chat.message(integer(params, "message_id") ?? 0);
    if (message === undefined) throw badRequest(`message to ${what} not found`);
    return { message, chat };
  }

  #limit(chat: Chat): void {
    const wait = Math.max(0, ...this.#limits.map((waitFor) => waitFor(chat)));
    if (wait === 0) return;
    const retry_after = Math.ceil(wait / 1_000);
    throw new BotApiRefusal(429, `Too Many Requests: retry after ${retry_after}`, { retry_after });
  }
}

/** A whole number, also as a string, which forms and queries have. */
function integer(params: Params, name: string): number | undefined {
  const value = params[name];
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw badRequest(`${name} is not a valid Integer`);
  return number;
}

function textOf(params: Params): FormattedText {
  const { text, parse_mode: mode } = params;
  if (typeof text !== "string" || text === "") throw badRequest("message text is empty");
  const isHtml = typeof mode === "string" && mode.toLowerCase() === "html";
  if (mode !== undefined && !isHtml) throw badRequest("unsupported parse_mode");
  const parsed = isHtml ? parseHtml(text) : { text, entities: [] };
  const trimmed = parsed.text.trimEnd();
  if (trimmed === "") throw badRequest("text must be non-empty");
  if (trimmed.length > maxText) throw badRequest("message is too long");
  return { text: trimmed, entities: parsed.entities };
}

function keyboardOf({ reply_markup: markup }: Params): Keyboard {
  if (markup === undefined) return [];
  const { inline_keyboard: rows } = markup as { inline_keyboard?: Record<string, unknown>[][] };
  if (rows === undefined) throw badRequest("object expected as reply markup");
  return rows.map((row) => row.map(buttonOf)).filter((row) => row.length > 0);
}

function buttonOf({ text, callback_data: data, url }: Record<string, unknown>): Button {
  if (typeof text !== "string" || text === "") throw badRequest('field "text" must be non-empty');
  if (typeof data !== "string") {
    if (url === undefined) throw badRequest("text buttons are unallowed in the inline keyboard");
    return { text, data: null };
  }
  const { length } = new TextEncoder().encode(data);
  if (length < 1 || length > 64) throw badRequest("BUTTON_DATA_INVALID");
  return { text, data };
}

function scopeOf({ scope, language_code: language = "" }: Params): string {
  const { type = "default", chat_id: chat = "", user_id: user = "" } = (scope ?? {}) as Record<
    string,
    unknown
  >;
  return [type, chat, user, language].filter((part) => part !== "").join(" ");
}
