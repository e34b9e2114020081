/** Presses of Approve and Deny: whoever presses is looked at then, and whoever comes first decides. */
import { CodedError } from "../../core/base/errors.ts";
import type { Clock } from "../../core/base/clock.ts";
import type { Log } from "../../core/services/logging.ts";
import type { pause } from "../../core/services/pause.ts";
import type { Chat } from "./chats.ts";
import type { Decisions } from "./decisions.ts";
import type { Html } from "./markup.ts";
import { isEnough, type People, type Sender } from "./people.ts";
import type { QuestionBook } from "./question_book.ts";
import type { Asked, StoredQuestion } from "./question_store.ts";
import { pressedButton, questionHtml } from "./question_text.ts";
import type { Questions } from "./questions.ts";
import type { Telegram } from "./telegram.ts";

export interface Press {
  /** By which it is answered. */
  readonly id: string;
  /** What the button carried. */
  readonly data: string;
  readonly sender: Sender;
  /** The chat of the message as Telegram calls it, and where that is one of the configuration. */
  readonly place: number;
  readonly chat: Chat | undefined;
  /** Null when it is too old for Telegram to say. */
  readonly message: number | null;
}

export interface PressParts {
  readonly site: string;
  readonly telegram: Pick<Telegram, "answer" | "send">;
  readonly people: People;
  readonly book: QuestionBook;
  readonly questions: Questions;
  readonly decisions: Decisions;
  /** Says something in a chat of the configuration. @param message one that is changed to that */
  readonly reply: (chat: Chat, html: Html, message?: number) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly pause: typeof pause;
  readonly signal: AbortSignal;
}

/** Milliseconds after which whoever has pressed is told that it takes longer. */
const patience = 3_000;

export class Presses {
  readonly #parts: PressParts;

  constructor(parts: PressParts) {
    this.#parts = parts;
  }

  async heard(press: Press): Promise<void> {
    const { people } = this.#parts;
    if (!people.isHeard(press.sender)) return;
    const { said, alert = false } = await this.#answer(press);
    // nothing depends on it: the message shows what is so
    await this.#parts.telegram.answer(press.id, said, { alert }).catch(() => {});
  }

  async #answer(press: Press): Promise<{ said: string; alert?: boolean }> {
    const { people, book, questions, decisions, clock } = this.#parts;
    const { sender, chat } = press;
    const member = people.find(sender);
    if (member === null || chat === undefined) {
      await people.refused(sender, {
        ...{ what: "a button", reason: "stranger", chat: press.place },
      });
      return { said: `This is not for you to decide. You are user ${sender.id}.`, alert: true };
    }
    const pressed = pressedButton(press.data);
    const found = pressed && book.ofButton(pressed.button);
    if (pressed === null || found === null || found.asked.chat !== chat.id) {
      return { said: "This is over. /pending shows what waits.", alert: true };
    }
    const { question } = found;
    const docket = decisions.docketOf(question);
    if (docket !== null && !isEnough(member.role, docket.needs)) {
      const what = `${pressed.verdict} a ${question.kind}`;
      await people.refused(sender, { what, reason: "role_too_low", chat: chat.id });
      const said = `This needs the role ${docket.needs}; you are ${member.role}.`;
      return { said, alert: true };
    }
    if (question.state === "lapsed" || question.until <= clock()) {
      void questions.look();
      const said = "These buttons are too old. /pending shows what still waits.";
      return { said, alert: true };
    }
    const done = await this.#decide(press, { chat, found, verdict: pressed.verdict, member });
    return done;
  }

  async #decide(
    press: Press,
    { chat, found, verdict, member }: {
      chat: Chat;
      found: { asked: Asked; question: StoredQuestion };
      verdict: "approve" | "deny";
      member: NonNullable<ReturnType<People["find"]>>;
    },
  ): Promise<{ said: string; alert?: boolean }> {
    const { decisions, book, site, reply, log, pause, signal } = this.#parts;
    const { handle } = found.question;
    const over = decisions.decide(handle, { verdict, by: member, chat: chat.id }).then(
      ({ ended }) => ({ said: ended ?? "Done" }),
      (error) => ({ said: saidOf(error, log), alert: true }),
    ).finally(() => {
      // a message that was sent twice, because the answer to the first was lost, has buttons still
      const now = book.ofButton(found.asked.button);
      const known = now?.asked.message ?? null;
      const isOther = known !== null && press.message !== null && press.message !== known;
      if (now?.question.state === "done" && isOther) {
        reply(chat, questionHtml(site, now.question), press.message!);
      }
    });
    const late = pause(patience, signal).then(() => ({ said: "It is under way…" }));
    return await Promise.race([over, late]);
  }
}

function saidOf(error: unknown, log: Log): string {
  if (error instanceof CodedError) return error.message;
  log.error("a decision failed", { error });
  return "Something went wrong here: the log of the site says what.";
}
