/**
 * The Bot API as this role uses it. The token is read when it is needed and is in no object of the
 * library; every failure is a TelegramError, which holds neither token nor address.
 */
import { Bot } from "grammy/web";
import type { Secret } from "../../core/base/secret.ts";
import type { pause } from "../../core/services/pause.ts";
import { retrying } from "./retry.ts";
import { telegramError } from "./telegram_error.ts";

/** A row of buttons under a message. */
export type Buttons = readonly { readonly text: string; readonly data: string }[];

export interface Message {
  readonly chat: number;
  /** In the markup of `markup.ts`. */
  readonly html: string;
  readonly buttons?: Buttons | undefined;
  /** Without a sound. */
  readonly silent?: boolean;
  /** The topic that it goes to. */
  readonly thread?: number | undefined;
}

/** Seconds that a request for updates stays open, and milliseconds that any other takes. */
const polling = 30;
const patience = 15_000;

export class Telegram {
  /** The library's: who has something to do with updates adds it here. */
  readonly bot: Bot;
  readonly #token: () => Secret<string>;
  readonly #signal: AbortSignal;

  /** @param options.token read again for each call. @param options.signal ends every call */
  constructor(options: {
    apiRoot: string;
    token: () => Secret<string>;
    fetch: typeof fetch;
    pause: typeof pause;
    random: () => number;
    signal: AbortSignal;
  }) {
    this.#token = options.token;
    this.#signal = options.signal;
    this.bot = new Bot("unknown", {
      client: {
        apiRoot: options.apiRoot,
        // the library passes on what is no token: it would keep it for as long as it lives
        buildUrl: (root, _none, method) => `${root}/bot${this.#token().reveal()}/${method}`,
        timeoutSeconds: polling + patience / 1_000,
        fetch: options.fetch,
      },
    });
    this.bot.api.config.use(retrying(options));
  }

  /** Who the bot is; from then on it takes updates. @throws TelegramError */
  async meet(): Promise<string> {
    this.bot.botInfo = await this.#call("ask who the bot is", (s) => this.bot.api.getMe(s));
    return this.bot.botInfo.username;
  }

  /** What has come in, as soon as something has. @param offset 0, or one more than the last known */
  updates(offset: number) {
    return this.#call("get updates", (signal) =>
      this.bot.api.getUpdates({
        ...{ timeout: polling, limit: 20, ...(offset > 0 && { offset }) },
        allowed_updates: ["message", "callback_query"],
      }, signal), (polling * 1_000) + patience);
  }

  /** Tells Telegram that what is below the offset need not come again. @throws TelegramError */
  async confirm(offset: number, signal: AbortSignal): Promise<void> {
    await this.bot.api.getUpdates({ offset, limit: 1, timeout: 0 }, signal as never);
  }

  /** Gives the number of the message. @throws TelegramError */
  async send({ chat, html, buttons = [], silent = false, thread }: Message): Promise<number> {
    const sent = await this.#call(
      "send a message",
      (signal) =>
        this.bot.api.sendMessage(chat, html, {
          ...{ parse_mode: "HTML", disable_notification: silent },
          link_preview_options: { is_disabled: true },
          ...(thread !== undefined && { message_thread_id: thread }),
          ...(buttons.length > 0 && { reply_markup: keyboardOf(buttons) }),
        }, signal),
    );
    return sent.message_id;
  }

  /** A message without buttons has none afterwards. @throws TelegramError */
  async edit(message: number, { chat, html, buttons = [] }: Message): Promise<void> {
    await this.#call(
      "edit a message",
      (signal) =>
        this.bot.api.editMessageText(chat, message, html, {
          parse_mode: "HTML",
          link_preview_options: { is_disabled: true },
          reply_markup: keyboardOf(buttons),
        }, signal),
    );
  }

  /** Answers whoever has pressed a button. @param options.alert it has to be clicked away */
  async answer(press: string, text: string, { alert = false } = {}): Promise<void> {
    await this.#call("answer a press", (signal) =>
      this.bot.api.answerCallbackQuery(press, {
        ...{ text: [...text].slice(0, 190).join(""), show_alert: alert },
      }, signal));
  }

  /** What clients offer when somebody writes a slash. @throws TelegramError */
  async offer(commands: readonly { command: string; description: string }[]): Promise<void> {
    await this.#call(
      "say what commands there are",
      (signal) => this.bot.api.setMyCommands(commands, {}, signal),
    );
  }

  async #call<T>(
    what: string,
    call: (signal: never) => Promise<T>,
    within = 3 * patience,
  ): Promise<T> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(within)]);
    try {
      // where there is none, nothing is begun
      this.#token().wipe();
      // the library has a type of its own for signals, which is this one's
      return await call(signal as never);
    } catch (error) {
      throw telegramError(what, error, this.#signal);
    }
  }
}

function keyboardOf(buttons: Buttons) {
  const row = buttons.map(({ text, data }) => ({ text, callback_data: data }));
  return { inline_keyboard: row.length === 0 ? [] : [row] };
}
