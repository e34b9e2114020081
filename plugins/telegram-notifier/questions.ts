/**
 * What waits for a yes or a no at the site's desk, compared with what people were asked: what is new is
 * asked, a few at a time, and what is over is shown to be over, whoever decided it, or time.
 */
import type { Clock } from "../../core/base/clock.ts";
import type { Desk, Docket } from "../../core/services/desk.ts";
import type { Log } from "../../core/services/logging.ts";
import { buckets } from "../../core/services/token_bucket.ts";
import type { Event } from "../../core/wire/event.ts";
import type { Decisions } from "./decisions.ts";
import type { QuestionBook } from "./question_book.ts";
import type { StoredQuestion } from "./question_store.ts";

/** Questions that are asked in chats at a time, and how fast others follow. */
const mostAsked = 10;
const asking = { perSecond: 1 / 30, burst: mostAsked };
/** Questions that are shown to whoever asks what waits. */
const mostListed = 20;

export interface QuestionParts {
  readonly desk: Pick<Desk, "dockets">;
  readonly book: QuestionBook;
  readonly decisions: Decisions;
  readonly clock: Clock;
  readonly log: Log;
  /** There are more, or fewer, that are not asked in chats. */
  readonly onChange: () => void;
}

export class Questions {
  readonly #parts: QuestionParts;
  readonly #rate = buckets(asking, { most: 1 });
  #more = 0;
  #looking: Promise<void> | undefined;
  #again = false;

  constructor(parts: QuestionParts) {
    this.#parts = parts;
  }

  /** How many wait that are not asked in chats. */
  get more(): number {
    return this.#more;
  }

  /** Whether the event begins something that people are asked about. */
  isAskedAbout({ type }: Pick<Event, "type">): boolean {
    return type.endsWith(".pending") && this.#isWatched(type);
  }

  /** Looks again, if the event may have to do with what waits. */
  hear({ type }: Pick<Event, "type">): void {
    if (this.#isWatched(type)) void this.look();
  }

  /** What waits now, the oldest first, with names that people can write. */
  async list(): Promise<{ questions: readonly StoredQuestion[]; more: number }> {
    const { desk, book } = this.#parts;
    await this.look();
    const questions: StoredQuestion[] = [];
    let more = 0;
    for (const docket of desk.dockets()) {
      for (const question of await docket.pending()) {
        if (questions.length === mostListed) more++;
        else {
          const known = book.ofQuestion(docket.kind, question) ??
            await book.add(docket.kind, question, { announced: false });
          questions.push(known);
        }
      }
    }
    return { questions, more };
  }

  /** The one of this handle or id, or else those whose id begins so, or names whom it is about. */
  async find(name: string): Promise<StoredQuestion | readonly StoredQuestion[]> {
    const known = this.#parts.book.ofHandle(name.toLowerCase());
    if (known !== null) return known;
    const { questions } = await this.list();
    return questions.find(({ id }) => id === name) ??
      questions.filter(({ id }) => id.startsWith(`${name}/`) || id.split("/")[1] === name);
  }

  /** Compares; calls in the meantime have it done once more. What fails is tried again with the next. */
  look(): Promise<void> {
    this.#again = true;
    return this.#looking ??= (async () => {
      while (this.#again) {
        this.#again = false;
        await this.#look();
      }
    })().catch((error) => {
      this.#parts.log.error("what people were asked could not be written down", { error });
    }).finally(() => this.#looking = undefined);
  }

  async #look(): Promise<void> {
    const { desk, book, log, onChange } = this.#parts;
    let more = 0;
    for (const docket of desk.dockets()) {
      try {
        const waiting = await docket.pending();
        await this.#endOthers(docket, new Set(waiting.map(({ id }) => id)));
        for (const question of waiting) {
          const known = book.ofQuestion(docket.kind, question);
          if (known !== null && (known.announced || known.state !== "open")) continue;
          if (!this.#mayAsk()) more++;
          else if (known !== null) await book.announce(known);
          else await book.add(docket.kind, question, { announced: true });
        }
      } catch (error) {
        log.warn("what waits could not be seen; it is tried again", { kind: docket.kind, error });
      }
    }
    await book.forget();
    if (more === this.#more) return;
    this.#more = more;
    onChange();
  }

  async #endOthers(docket: Docket, waiting: ReadonlySet<string>): Promise<void> {
    const { book, decisions, clock } = this.#parts;
    for (const known of book.all()) {
      const { kind, id, state, until } = known;
      if (kind !== docket.kind || state === "done" || decisions.isUnderWay(known)) continue;
      if (state === "deciding") await decisions.resume(known);
      else if (!waiting.has(id)) await decisions.end(docket, known);
      else if (state === "open" && until <= clock()) {
        await book.change({ ...known, state: "lapsed", at: clock() });
      }
    }
  }

  #mayAsk(): boolean {
    const { book, clock } = this.#parts;
    const open = book.all().filter(({ state, announced }) => state === "open" && announced);
    return open.length < mostAsked && this.#rate.take("", clock()) === 0;
  }

  #isWatched(type: Event["type"]): boolean {
    return this.#parts.desk.dockets().some(({ events }) => events.includes(type));
  }
}
