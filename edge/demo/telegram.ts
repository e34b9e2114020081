/**
 * A chat that hears what happens in the demo, for those who have a bot: the site `demo` tells it, and whoever
 * it belongs to may ask and decide there. What reached the chat the role says; the demo only asks it.
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import { resolve } from "node:path";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import { pause } from "../../core/services/pause.ts";
import { isEnvironmentReference } from "../../core/services/secret_reference.ts";
import { askSite } from "../admin_client.ts";
import type { DemoSystem } from "./system.ts";

export interface TelegramOptions {
  readonly telegramTokenFile?: string;
  readonly telegramChat?: number;
  readonly telegramApi?: string;
}

export interface TelegramVerdict {
  /** Messages that the chat has. */
  readonly sent: number;
}

/** How long the last messages may take. */
const patience = 30_000;
const role = "telegram-notifier";

export function telegramOptions(command: Command): Command {
  return command
    .option("--telegram-token-file <file>", "token of a Telegram bot that tells what happens")
    .option("--telegram-chat <id>", "the chat that it tells; the bot says the id to /start", chatId)
    .addOption(new Option("--telegram-api <url>").hideHelp());
}

/** The role's table; null when nobody wants to be told. @throws CodedError "usage" */
export function telegramTable(options: TelegramOptions): string | null {
  const { telegramTokenFile: file, telegramChat: chat, telegramApi: api } = options;
  if (file === undefined && chat === undefined) return null;
  if (file === undefined || chat === undefined) {
    throw new CodedError("usage", "Cannot tell a Telegram chat: one of two options is missing", {
      hint: "give both --telegram-token-file and --telegram-chat",
    });
  }
  const reference = isEnvironmentReference(file) ? file : resolve(file);
  const lines = [
    `[plugins.${role}]`,
    `token_file = ${JSON.stringify(reference)}`,
    `chats = [${chat}]`,
    `group_within = "1s"`,
  ];
  // the chat of a person has that person's number
  if (chat > 0) lines.push(`users = { "${chat}" = "operator" }`);
  if (api !== undefined) lines.push(`api_root = ${JSON.stringify(api)}`);
  return lines.join("\n");
}

/** Waits until the chat has all that there is to tell. Never throws what went wrong: it is the verdict. */
export async function toldTelegram(
  { cloud, dataDirOf }: DemoSystem,
): Promise<{ telegram: TelegramVerdict; trouble: CodedError | null }> {
  let sent = 0;
  let why = "it had no time";
  for (const deadline = AbortSignal.timeout(patience); !deadline.aborted;) {
    try {
      const status = await askSite(dataDirOf(cloud), `/${role}/status`) as RoleStatus;
      sent = status.sent;
      if (sent > 0 && status.queued === 0) return { telegram: { sent }, trouble: null };
      why = status.last_error ?? why;
    } catch (error) {
      why = messageOf(error);
    }
    await pause(200, deadline);
  }
  const trouble = new CodedError("telegram_silent", `Not everything reached the chat: ${why}`, {
    hint: "write /start to the bot, which then says the id of the chat, and check the token",
  });
  return { telegram: { sent }, trouble };
}

/** What is read here of the role's `/status`. */
interface RoleStatus {
  readonly sent: number;
  readonly queued: number;
  readonly last_error: string | null;
}

/** The identifiers of groups are negative. */
function chatId(text: string): number {
  const id = Number(text);
  if (/^-?[1-9]\d{0,15}$/.test(text) && Number.isSafeInteger(id)) return id;
  throw new InvalidArgumentError("expected the id of a chat, a whole number.");
}
