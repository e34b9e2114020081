/** People of the Bot API server for tests: they write, read, and press buttons. */
import type { BotUserFacts, Chat, Message } from "./_bot_chats.ts";
import type { Press } from "./_bot_methods.ts";
import { eventually } from "./_test_site.ts";

/** What people need of the server. */
export interface Stage {
  chatOf(facts: BotUserFacts, id: number): Chat;
  say(
    from: BotUserFacts,
    what: { readonly chat: Chat; readonly text: string; readonly thread: number | null },
  ): Message;
  press(by: BotUserFacts, message: Message, data: string): Press;
  sees(chat: number, pattern: RegExp, options: { after: number }): Promise<Message>;
}

/** Somebody with Telegram. Their chat with the bot begins with the first word they say in it. */
export class Person {
  readonly facts: BotUserFacts;
  readonly #stage: Stage;

  constructor(stage: Stage, facts: BotUserFacts) {
    this.#stage = stage;
    this.facts = facts;
  }

  get id(): number {
    return this.facts.id;
  }

  /** @param options.chat a group's; otherwise it is said to the bot alone */
  says(
    text: string,
    { chat = this.id, thread = null }: { chat?: number; thread?: number | null } = {},
  ): Message {
    return this.#stage.say(this.facts, {
      ...{ chat: this.#stage.chatOf(this.facts, chat), text, thread },
    });
  }

  /** Says something and waits for what the bot says after it. */
  async asks(
    text: string,
    { chat = this.id, reply = /^/ }: { chat?: number; reply?: RegExp } = {},
  ): Promise<Message> {
    const { id } = this.says(text, { chat });
    return await this.#stage.sees(chat, reply, { after: id });
  }

  /**
   * Presses a button of a message as it was when they saw it: a slow client shows buttons that are
   * gone. Resolves with what the bot says to it.
   */
  async presses(message: Message, label: string): Promise<{ text: string; alert: boolean }> {
    this.#stage.chatOf(this.facts, message.chat);
    const button = message.buttons.flat().find(({ text }) => text.includes(label));
    if (button === undefined || button.data === null) {
      throw new Error(`There is no button ${label}: ${JSON.stringify(message.buttons)}`);
    }
    const press = this.#stage.press(this.facts, message, button.data);
    const what = `the bot answers ${this.facts.name}, who has pressed ${label}`;
    return await eventually(what, () => press.answer ?? undefined, 60_000);
  }

  /** Blocks the bot, or lets it write again. */
  blocks(isBlocked = true): void {
    this.#stage.chatOf(this.facts, this.id).isOpen = !isBlocked;
  }
}
