/**
 * One chat's way to Telegram: one message after another, at the pace that Telegram allows, replies before
 * questions before news. While Telegram cannot be reached nothing piles up here: what there is to say is
 * put together when it can be said.
 */
import type { Clock } from "../../core/base/clock.ts";
import { messageOf } from "../../core/base/errors.ts";
import type { Log } from "../../core/services/logging.ts";
import type { pause } from "../../core/services/pause.ts";
import type { Chat } from "./chats.ts";
import type { Pacing } from "./pacing.ts";
import type { Telegram } from "./telegram.ts";
import { TelegramError } from "./telegram_error.ts";
import type { Source, Work } from "./work.ts";

/** Milliseconds between two attempts: the first, and the longest while there is no way through. */
const firstRetry = 1_000;
const longestRetry = 60_000;
/** And in a chat that does not take messages any more. */
const retryGone = 600_000;
/** Milliseconds after which everything is looked at again, whatever the sources say. */
const glance = 30_000;

export interface LaneParts {
  readonly chat: Chat;
  readonly telegram: Pick<Telegram, "send" | "edit">;
  readonly pacing: Pacing;
  readonly pause: typeof pause;
  /** In the order of their urgency. */
  readonly sources: readonly Source[];
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Hears of what was sent, and of what was not. */
  readonly sent: (what: "sent" | "edited") => void;
  readonly failed: (error: TelegramError) => void;
}

export class Lane {
  readonly #parts: LaneParts;
  readonly #running: Promise<void>;
  #failures = 0;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.#running = this.#run();
  }

  /** Resolves when it has come to its end, after the signal. */
  get ended(): Promise<void> {
    return this.#running;
  }

  async #run(): Promise<void> {
    const { signal, chat, log, clock } = this.#parts;
    while (!signal.aborted) {
      try {
        const next = await this.#next();
        if (typeof next !== "number") await this.#do(next);
        else await chat.bell.wait(Math.max(0, Math.min(next - clock(), glance)));
      } catch (error) {
        // of the database, most likely: it says so itself
        log.error("a chat could not be served; it is tried again", { error });
        await this.#rest();
      }
    }
  }

  /** What is most urgent, or when something may be. */
  async #next(): Promise<Work | number> {
    const { sources, clock } = this.#parts;
    let soonest = Infinity;
    for (const source of sources) {
      const next = await source.next(clock());
      if (next !== null && typeof next !== "number") return next;
      soonest = Math.min(soonest, next ?? Infinity);
    }
    return soonest;
  }

  async #do(work: Work): Promise<void> {
    const { chat, telegram, pacing, signal, log, sent, failed } = this.#parts;
    const mayGo = await pacing.turn(chat.called, (ms) => this.#pause(ms));
    if (!mayGo) return;
    const { html, buttons, silent, message } = work;
    const { thread } = chat.config;
    try {
      const content = { chat: chat.called, html, buttons, ...(silent && { silent }), thread };
      if (message === undefined) await work.done(await telegram.send(content));
      else {
        await telegram.edit(message, content);
        await work.done(message);
      }
      sent(message === undefined ? "sent" : "edited");
      this.#well();
    } catch (error) {
      if (!(error instanceof TelegramError)) throw error;
      if (signal.aborted) return;
      switch (error.code) {
        case "message_same":
          await work.done(message!);
          return this.#well();
        case "message_gone":
          await work.dropped();
          return this.#well();
        case "refused":
          log.error("Telegram does not take a message", { chat: chat.id, error });
          failed(error);
          return await work.dropped();
        case "chat_moved":
          await chat.moved(error.movedTo!);
          return;
        case "chat_gone":
          failed(error);
          chat.trouble = messageOf(error);
          return await chat.way.wait(retryGone);
        default:
          failed(error);
          return await this.#rest(error.retryAfter);
      }
    }
  }

  #well(): void {
    this.#failures = 0;
    this.#parts.chat.trouble = null;
  }

  /** Waits until another attempt makes sense; whoever finds the way free again rings. */
  async #rest(milliseconds?: number): Promise<void> {
    const usual = Math.min(firstRetry * 2 ** this.#failures, longestRetry);
    if (this.#failures < 16) this.#failures++;
    await this.#parts.chat.way.wait(milliseconds ?? usual * (0.75 + this.#parts.random() / 2));
  }

  async #pause(milliseconds: number): Promise<boolean> {
    const { pause, signal } = this.#parts;
    await pause(milliseconds, signal);
    return !signal.aborted;
  }
}
