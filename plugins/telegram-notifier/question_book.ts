/**
 * The questions that people were asked, in memory as on disk: each with a handle that people can write,
 * and with buttons of its own in every chat.
 */
import { toBase64url } from "../../core/base/bytes.ts";
import type { Clock } from "../../core/base/clock.ts";
import type { Database, Queries } from "../../core/services/db/mod.ts";
import type { Question } from "../../core/services/desk.ts";
import {
  type Asked,
  deleteQuestion,
  readQuestions,
  type StoredQuestion,
  writeAsked,
  writeQuestion,
} from "./question_store.ts";

/** For how long, in milliseconds, and how many of those that are over are remembered. */
const remembered = 86_400_000;
const mostRemembered = 200;
/** What handles are made of: nothing that looks like something else. */
const letters = "abcdefghijkmnpqrstuvwxyz23456789";
const handleLength = 8;

export interface BookParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly randomBytes: (count: number) => Uint8Array;
  /** Ids of chats that are asked. */
  readonly chats: readonly number[];
  /** Milliseconds for which buttons work. */
  readonly within: number;
  /** What a chat shows may be out of date. */
  readonly onChange: () => void;
}

export class QuestionBook {
  readonly #parts: BookParts;
  readonly #questions = new Map<string, StoredQuestion>();
  readonly #asked = new Map<string, Asked>();

  private constructor(parts: BookParts) {
    this.#parts = parts;
  }

  static async open(parts: BookParts): Promise<QuestionBook> {
    const book = new QuestionBook(parts);
    const stored = await readQuestions(parts.db);
    for (const one of stored.questions) book.#questions.set(one.handle, one);
    for (const one of stored.asked) book.#asked.set(one.button, one);
    // chats that were not in the configuration when it was asked
    for (const question of stored.questions) {
      if (question.state !== "open" || !question.announced) continue;
      const chats = new Set(
        stored.asked.filter((one) => one.handle === question.handle)
          .map(({ chat }) => chat),
      );
      const missing = book.#everywhere(question).filter(({ chat }) => !chats.has(chat));
      if (missing.length > 0) await book.#write(question, missing);
    }
    return book;
  }

  all(): readonly StoredQuestion[] {
    return [...this.#questions.values()];
  }

  ofHandle(handle: string): StoredQuestion | null {
    return this.#questions.get(handle) ?? null;
  }

  ofButton(button: string): { asked: Asked; question: StoredQuestion } | null {
    const asked = this.#asked.get(button);
    const question = asked && this.#questions.get(asked.handle);
    return asked === undefined || question === undefined ? null : { asked, question };
  }

  /** The one that is known, unless it was over before this one was asked. */
  ofQuestion(kind: string, { id, asked }: Question): StoredQuestion | null {
    const known = this.all().find((one) => one.kind === kind && one.id === id);
    return known === undefined || known.state === "done" && asked > known.at ? null : known;
  }

  /** What was asked in a chat, the oldest first. */
  *inChat(chat: number): Iterable<{ asked: Asked; question: StoredQuestion }> {
    for (const asked of this.#asked.values()) {
      const question = this.#questions.get(asked.handle);
      if (asked.chat === chat && question !== undefined) yield { asked, question };
    }
  }

  /** Takes a new question, in the place of an older one with the same id. */
  async add(
    kind: string,
    { id, title, facts, expires }: Question,
    { announced }: { announced: boolean },
  ): Promise<StoredQuestion> {
    const { clock, within } = this.#parts;
    const at = clock();
    const added: StoredQuestion = {
      ...{ handle: this.#newHandle(), kind, id, title, facts, announced, at },
      ...{ state: "open", verdict: null, by: null, ended: null },
      until: Math.min(at + within, expires ?? Infinity),
    };
    const older = this.all().filter((one) => one.kind === kind && one.id === id);
    await this.#write(added, announced ? this.#everywhere(added) : [], older);
    return added;
  }

  /** From now on it is asked in chats. */
  async announce(question: StoredQuestion): Promise<void> {
    const { clock, within } = this.#parts;
    const announced = { ...question, announced: true, until: clock() + within };
    await this.#write(announced, this.#everywhere(question));
  }

  /** @param also what is to be written in the same transaction */
  async change(question: StoredQuestion, also?: (tx: Queries) => Promise<void>): Promise<void> {
    await this.#write(question, [], [], also);
  }

  /** Whoever asks finds it so already, though it is not on disk yet. */
  hold(question: StoredQuestion): void {
    this.#questions.set(question.handle, question);
  }

  /** A chat shows it so. */
  async shown(asked: Asked): Promise<void> {
    if (!this.#asked.has(asked.button)) return;
    // first in memory: while the disk takes nothing, the same must not be sent again and again
    this.#asked.set(asked.button, asked);
    await this.#parts.db.write((tx) => writeAsked(tx, asked));
  }

  /** Forgets what has been over for long. */
  async forget(): Promise<void> {
    const since = this.#parts.clock() - remembered;
    const over = this.all().filter(({ state }) => state === "done").sort((a, b) => b.at - a.at);
    const old = over.filter(({ at }, i) => at < since || i >= mostRemembered);
    if (old.length === 0) return;
    await this.#parts.db.write(async (tx) => {
      for (const { handle } of old) await deleteQuestion(tx, handle);
    });
    this.#drop(old);
  }

  async #write(
    question: StoredQuestion,
    asked: readonly Asked[],
    older: readonly StoredQuestion[] = [],
    also?: (tx: Queries) => Promise<void>,
  ): Promise<void> {
    await this.#parts.db.write(async (tx) => {
      for (const { handle } of older) await deleteQuestion(tx, handle);
      await writeQuestion(tx, question);
      for (const one of asked) await writeAsked(tx, one);
      await also?.(tx);
    });
    this.#drop(older);
    this.#questions.set(question.handle, question);
    for (const one of asked) this.#asked.set(one.button, one);
    this.#parts.onChange();
  }

  #everywhere({ handle }: StoredQuestion): Asked[] {
    return this.#parts.chats.map((chat) => ({
      button: toBase64url(this.#parts.randomBytes(16)),
      ...{ handle, chat, message: null, shown: null },
    }));
  }

  #newHandle(): string {
    const bytes = this.#parts.randomBytes(handleLength);
    return Array.from(bytes, (byte) => letters[byte % letters.length]).join("");
  }

  #drop(questions: readonly StoredQuestion[]): void {
    for (const { handle } of questions) {
      this.#questions.delete(handle);
      for (const [button, asked] of this.#asked) {
        if (asked.handle === handle) this.#asked.delete(button);
      }
    }
  }
}
