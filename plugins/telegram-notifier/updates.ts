/**
 * What comes in, one after another, by long polling: a site behind a router has no address that Telegram
 * could reach. An update is confirmed when it is done with, so it may come twice, and never not at all;
 * whatever is done with it stands that.
 */
import { CodedError } from "../../core/base/errors.ts";
import type { Log } from "../../core/services/logging.ts";
import type { Bell } from "./bell.ts";
import type { Trouble } from "./condition.ts";
import type { Telegram } from "./telegram.ts";
import type { TelegramError } from "./telegram_error.ts";

/** Milliseconds between two attempts: the first, the longest, and while somebody has to do something. */
const firstRetry = 1_000;
const longestRetry = 60_000;
const standing = 15_000;
/** In the last moments of the site. */
const farewell = 2_000;
/** Conflicts in a row that may be an earlier run of this site. */
const excusable = 2;

export interface UpdateParts {
  readonly telegram: Telegram;
  readonly log: Log;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Rings when another attempt may make sense. */
  readonly way: Bell;
  /** Telegram was reached, or not. */
  readonly onState: (trouble: Trouble | null, error: TelegramError | null) => void;
  /** Telegram knows the bot by this name. */
  readonly onMet: (username: string) => Promise<void>;
}

export class Updates {
  readonly #parts: UpdateParts;
  readonly #running: Promise<void>;
  /** One more than the last update that is done with; 0 when none is to be confirmed. */
  #done = 0;
  #failures = 0;
  #conflicts = 0;

  constructor(parts: UpdateParts) {
    this.#parts = parts;
    this.#running = this.#run();
  }

  /** Resolves when it has come to its end, after the signal. */
  get ended(): Promise<void> {
    return this.#running;
  }

  async #run(): Promise<void> {
    const { signal, telegram } = this.#parts;
    let isKnown = false;
    while (!signal.aborted) {
      try {
        if (!isKnown) {
          const username = await telegram.meet();
          this.#works();
          await this.#parts.onMet(username);
          isKnown = true;
        }
        await this.#take();
      } catch (error) {
        if (!signal.aborted) await this.#fails(error as TelegramError);
      }
    }
    if (this.#done === 0) return;
    const confirmed = telegram.confirm(this.#done, AbortSignal.timeout(farewell));
    await confirmed.catch(() => {}); // it comes again, then
  }

  async #take(): Promise<void> {
    const { signal, telegram } = this.#parts;
    const updates = await telegram.updates(this.#done);
    this.#works();
    // confirmed by now. Numbers may begin anew after a quiet week: an old one would hide new updates
    this.#done = 0;
    for (const update of updates) {
      if (signal.aborted) return;
      await telegram.bot.handleUpdate(update).catch((error) => this.#complain(error));
      this.#done = update.update_id + 1;
    }
  }

  #complain(error: { error?: unknown }): void {
    this.#parts.log.error("an update could not be handled", { error: error.error ?? error });
  }

  #works(): void {
    this.#failures = 0;
    this.#conflicts = 0;
    this.#parts.onState(null, null);
  }

  async #fails(error: TelegramError): Promise<void> {
    const { onState, way, random } = this.#parts;
    const { code, message, hint } = error;
    this.#conflicts = code === "elsewhere" ? this.#conflicts + 1 : 0;
    const isForPeople = code === "token_refused" || this.#conflicts > excusable;
    const detail = hint === undefined ? message : `${message}: ${hint}`;
    onState({ state: isForPeople ? "failed" : "degraded", detail }, error);
    if (!(error instanceof CodedError)) this.#complain(error);
    const usual = isForPeople
      ? standing
      : Math.min(firstRetry * 2 ** Math.min(this.#failures, 16), longestRetry);
    this.#failures++;
    await way.wait(error.retryAfter ?? usual * (0.75 + random() / 2));
  }
}
