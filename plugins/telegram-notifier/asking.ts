/**
 * Questions in one chat: a message with two buttons each, which is changed when somebody has decided,
 * and one message for all for which there is no room.
 */
import { sql } from "drizzle-orm";
import type { Database } from "../../core/services/db/mod.ts";
import type { Chat } from "./chats.ts";
import type { QuestionBook } from "./question_book.ts";
import type { Asked, StoredQuestion } from "./question_store.ts";
import { buttonsOf, moreHtml, questionHtml } from "./question_text.ts";
import type { Questions } from "./questions.ts";
import type { Source, Work } from "./work.ts";

/** Milliseconds between two changes of the message about how many more there are. */
const settling = 30_000;

export interface AskingParts {
  readonly site: string;
  readonly chat: Chat;
  readonly book: QuestionBook;
  readonly questions: Pick<Questions, "more">;
  readonly db: Database;
}

export class Asking implements Source {
  readonly #parts: AskingParts;
  #moreMessage: number | null;
  /** What the message says; null when that is not known. */
  #moreShown: number | null = null;
  #moreAt = -Infinity;

  private constructor(parts: AskingParts, moreMessage: number | null) {
    this.#parts = parts;
    this.#moreMessage = moreMessage;
  }

  static async open(parts: AskingParts): Promise<Asking> {
    const [row] = await parts.db.read((q) =>
      q.all<{ more_message: number | null }>(
        sql`SELECT more_message FROM telegram_notifier_chats WHERE chat = ${parts.chat.id}`,
      )
    );
    return new Asking(parts, row?.more_message ?? null);
  }

  /** Questions that are open in this chat. */
  get open(): number {
    let count = 0;
    for (const { question } of this.#parts.book.inChat(this.#parts.chat.id)) {
      if (question.state === "open") count++;
    }
    return count;
  }

  next(now: number): Work | number | null {
    const { book, chat } = this.#parts;
    for (const { asked, question } of book.inChat(chat.id)) {
      const { state } = question;
      const isNew = asked.message === null && asked.shown === null && state === "open" &&
        !chat.isStopped;
      if (isNew || asked.message !== null && isOutdated(asked, question)) {
        return this.#say(asked, question, now);
      }
    }
    return chat.isStopped || !chat.config.questions ? null : this.#sayMore(now);
  }

  #say(asked: Asked, question: StoredQuestion, now: number): Work {
    const { site, book, chat } = this.#parts;
    const { state } = question;
    return {
      html: questionHtml(site, question),
      ...(state === "open" && { buttons: buttonsOf(asked.button) }),
      ...(asked.message !== null && { message: asked.message }),
      silent: chat.config.silent || chat.isQuiet(now),
      done: (message) => book.shown({ ...asked, message, shown: state }),
      dropped: () => book.shown({ ...asked, shown: "done" }),
    };
  }

  #sayMore(now: number): Work | number | null {
    const { site, questions: { more } } = this.#parts;
    const message = this.#moreMessage;
    if (message === null ? more === 0 : more === this.#moreShown) return null;
    const mayChange = this.#moreAt + settling;
    if (now < mayChange && mayChange <= now + settling) return mayChange;
    const settle = async (message: number | null) => {
      this.#moreShown = more;
      this.#moreAt = now;
      if (message !== this.#moreMessage) await this.#keep(message);
    };
    return {
      html: moreHtml(site, more),
      ...(message !== null && { message }),
      silent: true,
      done: (message) => settle(more === 0 ? null : message),
      dropped: () => settle(null),
    };
  }

  async #keep(message: number | null): Promise<void> {
    const { chat, db } = this.#parts;
    this.#moreMessage = message;
    await db.write((tx) =>
      tx.run(sql`INSERT INTO telegram_notifier_chats (chat, called, stopped, more_message)
        VALUES (${chat.id}, ${chat.called}, ${chat.isStopped ? 1 : 0}, ${message})
        ON CONFLICT (chat) DO UPDATE SET more_message = excluded.more_message`)
    );
  }
}

/** A decision that is under way is shown when it is over. */
function isOutdated({ shown }: Asked, { state }: StoredQuestion): boolean {
  return state !== shown && state !== "deciding" && shown !== "done";
}
