/** Chats of the Bot API server for tests, with the messages as people see them. */
import type { Entity, FormattedText } from "./_bot_html.ts";

export interface BotUserFacts {
  readonly id: number;
  readonly name: string;
  readonly username: string | null;
}

export interface Button {
  readonly text: string;
  readonly data: string | null;
}

export type Keyboard = readonly (readonly Button[])[];

/** A message; each edit makes a new one, so whoever has one in hand keeps what they saw. */
export interface Message {
  readonly chat: number;
  readonly id: number;
  readonly from: BotUserFacts;
  readonly text: string;
  readonly entities: readonly Entity[];
  readonly buttons: Keyboard;
  /** Unix milliseconds. */
  readonly sent: number;
  readonly edits: number;
  readonly silent: boolean;
  /** The topic that it is in. */
  readonly thread: number | null;
}

export type ChatKind = "private" | "group" | "supergroup";

export class Chat {
  readonly id: number;
  readonly kind: ChatKind;
  /** Of a group; a private chat has the name of its user. */
  readonly title: string;
  readonly members = new Map<number, BotUserFacts>();
  readonly topics = new Set<number>();
  /** Whether the bot may write here: people block it, groups throw it out. */
  isOpen = true;
  /** The supergroup that this group has become. */
  successor: number | null = null;
  readonly #messages = new Map<number, Message>();
  #last = 0;

  constructor(facts: { readonly id: number; readonly kind: ChatKind; readonly title: string }) {
    this.id = facts.id;
    this.kind = facts.kind;
    this.title = facts.title;
  }

  /** All that are there, oldest first. */
  messages(): readonly Message[] {
    return [...this.#messages.values()];
  }

  message(id: number): Message | undefined {
    return this.#messages.get(id);
  }

  add(
    content: FormattedText & Pick<Message, "from" | "sent" | "buttons" | "silent" | "thread">,
  ): Message {
    const message = { ...content, chat: this.id, id: ++this.#last, edits: 0 };
    this.#messages.set(message.id, message);
    return message;
  }

  edit(message: Message, change: Partial<FormattedText & Pick<Message, "buttons">>): Message {
    const edited = { ...message, ...change, edits: message.edits + 1 };
    this.#messages.set(message.id, edited);
    return edited;
  }

  delete(id: number): boolean {
    return this.#messages.delete(id);
  }
}

/** A message as the Bot API writes it down. */
export function messageToJson(message: Message, chat: Chat, bot: number): Record<string, unknown> {
  const { id, from, text, entities, buttons, sent, edits, thread } = message;
  const date = Math.floor(sent / 1_000);
  return {
    message_id: id,
    from: userToJson(from, bot),
    chat: chatToJson(chat),
    date,
    ...(edits > 0 && { edit_date: date }),
    ...(thread !== null && { message_thread_id: thread, is_topic_message: true }),
    text,
    ...(entities.length > 0 && { entities }),
    ...(buttons.length > 0 && { reply_markup: { inline_keyboard: buttons.map(rowToJson) } }),
  };
}

export function chatToJson(chat: Chat): Record<string, unknown> {
  const { id, kind: type, title, members } = chat;
  if (type !== "private") return { id, type, title };
  const { name, username } = members.get(id)!;
  return { id, type, first_name: name, ...(username !== null && { username }) };
}

export function userToJson(user: BotUserFacts, bot: number): Record<string, unknown> {
  const { id, name, username } = user;
  return {
    ...{ id, is_bot: id === bot, first_name: name },
    ...(username !== null && { username }),
    ...(id !== bot && { language_code: "en" }),
  };
}

function rowToJson(row: readonly Button[]) {
  return row.map(({ text, data }) => ({ text, ...(data !== null && { callback_data: data }) }));
}
