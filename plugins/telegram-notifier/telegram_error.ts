/** What Telegram says no to, in codes: nothing of an address, which would hold the token, gets this far. */
import { GrammyError, HttpError } from "grammy/web";
import { plainLine } from "../../core/base/plain_text.ts";
import { CodedError } from "../../core/base/errors.ts";

export type TelegramErrorCode =
  | "token_refused"
  | "elsewhere" // somebody else gets what is meant for this bot
  | "chat_gone"
  | "chat_moved"
  | "message_gone"
  | "message_same"
  | "too_many"
  | "refused"
  | "unreachable"
  | "stopped";

export class TelegramError extends CodedError<TelegramErrorCode> {
  override readonly name = "TelegramError";
  /** Milliseconds after which it may be tried again, where Telegram says so. */
  readonly retryAfter: number | undefined;
  /** What the chat is called now. */
  readonly movedTo: number | undefined;

  constructor(
    code: TelegramErrorCode,
    message: string,
    options: { hint?: string | undefined; retryAfter?: number; movedTo?: number } = {},
  ) {
    super(code, message, options.hint === undefined ? {} : { hint: options.hint });
    this.retryAfter = options.retryAfter;
    this.movedTo = options.movedTo;
  }
}

/** By the beginning of what Telegram describes (core.telegram.org/bots/api has no list of them). */
const descriptions: readonly (readonly [RegExp, TelegramErrorCode])[] = [
  [/message is not modified/i, "message_same"],
  [/message to edit not found|message can't be edited|MESSAGE_ID_INVALID/i, "message_gone"],
  [
    /chat not found|user not found|PEER_ID_INVALID|group chat was (deleted|deactivated)/i,
    "chat_gone",
  ],
  [/not enough rights|have no rights|CHAT_WRITE_FORBIDDEN|need administrator/i, "chat_gone"],
  [/message thread not found|TOPIC_(CLOSED|DELETED)/i, "chat_gone"],
];

const hints: Partial<Record<TelegramErrorCode, string>> = {
  token_refused: "put the token that BotFather shows into token_file",
  elsewhere: "give every site a bot of its own: one bot has one listener, and no webhook",
  chat_gone: "add the bot to the chat again, or let somebody write /start to it there",
};

/** @param what was tried: "send a message" */
export function telegramError(what: string, error: unknown, signal: AbortSignal): TelegramError {
  if (error instanceof TelegramError) return error;
  if (signal.aborted) return new TelegramError("stopped", `Cannot ${what}: the site stops`);
  if (error instanceof CodedError) { // the token is no token
    const { message, hint } = error;
    return new TelegramError("token_refused", `Cannot ${what}: ${message}`, { hint });
  }
  if (!(error instanceof GrammyError)) {
    const why = error instanceof HttpError ? "Telegram cannot be reached" : "something failed here";
    return new TelegramError("unreachable", `Cannot ${what}: ${why}`, {
      hint: "it is tried again and again; look at the network of this machine",
    });
  }
  const { error_code: status, description, parameters } = error;
  const movedTo = parameters.migrate_to_chat_id;
  const code = movedTo === undefined ? codeOf(status, description) : "chat_moved";
  return new TelegramError(code, `Cannot ${what}: Telegram says "${plainLine(description, 200)}"`, {
    hint: hints[code],
    ...(parameters.retry_after !== undefined && { retryAfter: parameters.retry_after * 1_000 }),
    ...(movedTo !== undefined && { movedTo }),
  });
}

function codeOf(status: number, description: string): TelegramErrorCode {
  if (status === 401 || status === 404) return "token_refused";
  if (status === 403) return "chat_gone";
  if (status === 409) return "elsewhere";
  if (status === 429) return "too_many";
  if (status >= 500) return "unreachable";
  return descriptions.find(([form]) => form.test(description))?.[1] ?? "refused";
}
