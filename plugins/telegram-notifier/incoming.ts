/**
 * What comes from Telegram: commands and presses. Who sends it is looked at before anything else; what
 * was sent long ago, while nobody listened, does nothing any more; forwarded words are not the sender's.
 */
import type { Bot, Context, Filter } from "grammy/web";
import { CodedError } from "../../core/base/errors.ts";
import type { Log } from "../../core/services/logging.ts";
import { rateLimit } from "../../core/services/token_bucket.ts";
import type { Chat } from "./chats.ts";
import { CommandError, type Commands } from "./commands.ts";
import { type Html, joined, markup, text } from "./markup.ts";
import { isEnough, type People, type Sender } from "./people.ts";
import { Presses } from "./presses.ts";
import type { PressParts } from "./presses.ts";

/** Milliseconds after which nobody means it any more. */
const stale = 900_000;
/** How often one stranger is told who they are here, and all of them together. */
const polite = { perSecond: 1 / 3_600, burst: 1 };
const politeToAll = { perSecond: 0.2, burst: 5 };
const mostStrangers = 1_000;

export interface IncomingParts extends PressParts {
  readonly commands: Commands;
  readonly people: People;
  readonly chats: readonly Chat[];
}

type TextMessage = Filter<Context, "message:text">;

/** Adds what is done with updates to the bot. */
export function handleIncoming(bot: Bot, parts: IncomingParts): void {
  const { chats, people, commands, telegram, log, reply } = parts;
  const isFirstVisit = rateLimit(polite, { most: mostStrangers });
  const mayGreet = rateLimit(politeToAll, { most: 1 });
  const presses = new Presses(parts);
  const chatOf = (id: number) => chats.find(({ called }) => called === id);

  bot.on("message:migrate_to_chat_id", async ({ message }) => {
    await chatOf(message.chat.id)?.moved(message.migrate_to_chat_id);
  });
  bot.on("message:text", heardMessage);
  bot.on("callback_query:data", async (ctx) => {
    const { id, data, from: sender, message } = ctx.callbackQuery;
    const place = message?.chat.id ?? 0;
    const pressed = message?.message_id ?? null;
    await presses.heard({ id, data, sender, place, chat: chatOf(place), message: pressed });
  });
  // other buttons: clients wait for an answer to each
  bot.on("callback_query", (ctx) => telegram.answer(ctx.callbackQuery.id, "").catch(() => {}));

  async function heardMessage({ message, me }: TextMessage): Promise<void> {
    const { from } = message;
    const isOwn = message.forward_origin === undefined && message.via_bot === undefined &&
      message.sender_chat === undefined && !from.is_bot;
    if (!isOwn || !people.isHeard(from)) return;
    const written = commandIn(message.text, me.username);
    if (written === null) return;
    const chat = chatOf(message.chat.id);
    const member = people.find(from);
    if (chat === undefined || member === null) return await turnAway(from, message.chat.id);
    chat.way.ring();
    reply(chat, await answer(written, { chat, sender: from, sent: message.date * 1_000 }));
  }

  async function answer(
    { name, args }: Written,
    { chat, sender, sent }: { chat: Chat; sender: Sender; sent: number },
  ): Promise<Html> {
    const member = people.find(sender)!;
    try {
      const command = commands.find(name);
      if (!isEnough(member.role, command.needs)) {
        await people.refused(sender, { what: `/${name}`, reason: "role_too_low", chat: chat.id });
        throw new CommandError(
          "role_too_low",
          `Cannot do that: it needs the role ${command.needs}`,
        );
      }
      if (command.isDeed && parts.clock() - sent > stale) {
        return text("That was long ago, and was not done: write it again if it is still right.");
      }
      return await command.run({ args, chat, member });
    } catch (error) {
      return errorHtml(error, log);
    }
  }

  /** A stranger, or a place that nobody has allowed: a line with what the configuration would need. */
  async function turnAway(sender: Sender, place: number): Promise<void> {
    const now = parts.clock();
    if (!isFirstVisit(String(sender.id), now) || !mayGreet("", now)) return;
    await people.refused(sender, { what: "a command", reason: "stranger", chat: place });
    const line =
      markup`This bot answers people it knows, in chats it knows. You are user <code>${sender.id}</code>, and this is chat <code>${place}</code>: whoever runs the site can let you in.`;
    // not waited for: a stranger does not hold up others
    telegram.send({ chat: place, html: line }).catch(() => {});
  }
}

/** What went wrong, for whoever asked. */
function errorHtml(error: unknown, log: Log): Html {
  if (error instanceof CodedError) {
    const { message, hint } = error;
    return joined([text(`${message}.`), ...(hint === undefined ? [] : [text(`${hint}.`)])]);
  }
  log.error("something that was asked in Telegram failed", { error });
  return text("Something went wrong here: the log of the site says what.");
}

interface Written {
  readonly name: string;
  readonly args: string;
}

/** A command for this bot: `/status`, `/devices@this_bot pump`, `/approve_k3f9m2xq`. */
export function commandIn(said: string, bot: string): Written | null {
  const form = /^\/([a-z0-9_]{1,64})(?:@(\w{1,64}))?(?:\s+([^]*))?$/i;
  const [, word, addressee, rest = ""] = form.exec(said.trim()) ?? [];
  if (word === undefined) return null;
  if (addressee !== undefined && addressee.toLowerCase() !== bot.toLowerCase()) return null;
  const [name, ...handle] = word.toLowerCase().split("_");
  return { name: name!, args: [...handle, rest.trim()].filter((part) => part !== "").join(" ") };
}
