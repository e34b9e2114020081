/**
 * Telegram for the tests of this folder, without a network: what a bot would send, see and be told, as a
 * `fetch` that knows a handful of methods. How the real one limits and complains is not in here.
 */
import { setTimeout as realTimeout } from "node:timers";

export interface Sent {
  readonly chat: number;
  readonly id: number;
  text: string;
  buttons: { text: string; data: string }[];
  edits: number;
  readonly silent: boolean;
}

interface Payload {
  readonly chat_id?: number;
  readonly message_id?: number;
  readonly text?: string;
  readonly offset?: number;
  readonly show_alert?: boolean;
  readonly disable_notification?: boolean;
  readonly reply_markup?: { inline_keyboard: { text: string; callback_data: string }[][] };
}

type Refusal = { error_code: number; description: string; parameters?: Record<string, unknown> };

export const token = "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw_test";

export class TestTelegram {
  readonly messages: Sent[] = [];
  readonly answers: { text: string; alert: boolean }[] = [];
  /** Every method called, in order. */
  readonly calls: string[] = [];
  /** What each call meets before anything is done: nothing, a refusal, or no network. */
  trouble: (method: string, payload: Payload) => Refusal | "away" | "lost" | null = () => null;
  readonly #updates: { update_id: number }[] = [];
  readonly #waiting = new Set<() => void>();
  #last = 0;

  readonly fetch = (async (input: string | URL | Request, init: RequestInit = {}) => {
    const [, given, method] = /\/bot([^/]+)\/(\w+)$/.exec(String(input)) ?? [];
    const payload: Payload = JSON.parse(await new Response(init.body).text() || "{}");
    this.calls.push(method!);
    const trouble = given === token
      ? this.trouble(method!, payload)
      : { error_code: 401, description: "Unauthorized" };
    if (trouble === "away") throw new TypeError(`error sending request for url (${input})`);
    if (trouble !== null && trouble !== "lost") return Response.json({ ok: false, ...trouble });
    const result = await this.#run(method!, payload, init.signal ?? null);
    if (trouble === "lost") throw new TypeError(`error sending request for url (${input})`);
    return Response.json({ ok: true, result });
  }) as typeof fetch;

  /** Somebody writes. */
  says(
    text: string,
    { from, chat = from, date = Date.now(), ...more }: {
      from: number;
      chat?: number;
      date?: number;
      forward_origin?: unknown;
    },
  ): void {
    this.#add({
      message: {
        ...{ message_id: ++this.#last, date: Math.floor(date / 1_000), text, ...more },
        chat: { id: chat, type: chat < 0 ? "supergroup" : "private" },
        from: { id: from, is_bot: false, first_name: `User ${from}`, username: `user${from}` },
      },
    });
  }

  /** Somebody presses a button of a message. */
  presses(label: string, message: Sent, { from }: { from: number }): void {
    const data = message.buttons.find(({ text }) => text === label)?.data;
    if (data === undefined) throw new Error(`There is no button ${label}: ${message.text}`);
    this.pressesData(data, message, { from });
  }

  pressesData(data: string, { id, chat }: Pick<Sent, "id" | "chat">, { from }: { from: number }) {
    this.#add({
      callback_query: {
        ...{ id: `press-${++this.#last}`, data, chat_instance: "1" },
        from: { id: from, is_bot: false, first_name: `User ${from}`, username: `user${from}` },
        message: { message_id: id, date: 1, chat: { id: chat, type: "private" } },
      },
    });
  }

  in(chat: number): readonly Sent[] {
    return this.messages.filter((message) => message.chat === chat);
  }

  #add(update: Record<string, unknown>): void {
    this.#updates.push({ update_id: ++this.#last, ...update });
    for (const wake of this.#waiting) wake();
  }

  async #run(method: string, payload: Payload, signal: AbortSignal | null): Promise<unknown> {
    const { chat_id: chat = 0, text = "", reply_markup } = payload;
    const buttons = (reply_markup?.inline_keyboard.flat() ?? []).map(({ text, callback_data }) => {
      return { text, data: callback_data };
    });
    switch (method) {
      case "getMe":
        return { id: 1, is_bot: true, first_name: "Bot", username: "test_bot" };
      case "getUpdates":
        return await this.#take(payload.offset ?? 0, signal);
      case "sendMessage": {
        const silent = payload.disable_notification === true;
        const id = ++this.#last;
        this.messages.push({ chat, id, text, buttons, edits: 0, silent });
        return { message_id: id, date: 1, chat: { id: chat } };
      }
      case "editMessageText": {
        const message = this.messages.find(({ id }) => id === payload.message_id)!;
        Object.assign(message, { text, buttons, edits: message.edits + 1 });
        return true;
      }
      case "answerCallbackQuery":
        this.answers.push({ text, alert: payload.show_alert === true });
        return true;
      default:
        return true;
    }
  }

  async #take(offset: number, signal: AbortSignal | null): Promise<unknown> {
    const confirmed = this.#updates.findIndex(({ update_id }) => update_id >= offset);
    this.#updates.splice(0, confirmed < 0 ? this.#updates.length : confirmed);
    if (this.#updates.length === 0) {
      await new Promise<void>((resolve, reject) => {
        const timer = realTimeout(resolve, 500);
        const wake = () => {
          clearTimeout(timer);
          resolve();
        };
        this.#waiting.add(wake);
        signal?.addEventListener("abort", () => {
          clearTimeout(timer);
          reject(new DOMException("aborted", "AbortError"));
        }, { once: true });
      });
      this.#waiting.clear();
    }
    return [...this.#updates];
  }
}

/** Repeats a question until its answer is something. */
export async function until<T>(what: string, ask: () => T | Promise<T>): Promise<NonNullable<T>> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false) {
      return answer as NonNullable<T>;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`It never came to pass: ${what}`);
}
