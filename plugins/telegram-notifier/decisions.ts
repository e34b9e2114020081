/**
 * How a question is decided: once, however many people press. Who decides is on disk, with its record,
 * before it takes effect; when the site stops in between, it takes effect when it runs again.
 */
import type { Clock } from "../../core/base/clock.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { SiteAudit } from "../../core/services/audit.ts";
import type { Desk, Docket, Verdict } from "../../core/services/desk.ts";
import { PatienceError } from "./patient_desk.ts";
import type { QuestionBook } from "./question_book.ts";
import type { Person, StoredQuestion } from "./question_store.ts";
import { type End, endedText } from "./question_text.ts";
import type { Times } from "./times.ts";

export class DecisionError
  extends CodedError<"question_unknown" | "question_decided" | "nobody_asks"> {
  override readonly name = "DecisionError";
}

/** What somebody decides, and the chat in which they do. */
export interface Decision {
  readonly verdict: Verdict;
  readonly by: Person;
  readonly chat: number;
}

export interface DecisionParts {
  readonly book: QuestionBook;
  readonly desk: Pick<Desk, "dockets">;
  readonly audit: SiteAudit;
  readonly clock: Clock;
  readonly times: Times;
}

export class Decisions {
  readonly #parts: DecisionParts;
  /** Handles of what takes effect right now. */
  readonly #underWay = new Set<string>();

  constructor(parts: DecisionParts) {
    this.#parts = parts;
  }

  isUnderWay({ handle }: StoredQuestion): boolean {
    return this.#underWay.has(handle);
  }

  /** Who decides about such things; null when nobody does now. */
  docketOf({ kind }: Pick<StoredQuestion, "kind">): Docket | null {
    return this.#parts.desk.dockets().find((docket) => docket.kind === kind) ?? null;
  }

  /**
   * In the name of a person who may.
   * @throws DecisionError when it is decided or over, CodedError when it does not take effect
   */
  async decide(handle: string, { verdict, by, chat }: Decision): Promise<StoredQuestion> {
    const { book, clock, audit } = this.#parts;
    const question = book.ofHandle(handle);
    if (question === null) {
      throw new DecisionError("question_unknown", "Cannot decide: nobody waits for this any more", {
        hint: "/pending shows what waits",
      });
    }
    if (question.state !== "open" && question.state !== "lapsed") {
      const how = question.ended ?? "somebody is deciding it";
      throw new DecisionError("question_decided", `Cannot decide again: ${how}`);
    }
    const deciding = { ...question, state: "deciding", verdict, by, at: clock() } as const;
    // at once, before anything is awaited: whoever comes next finds it decided
    book.hold(deciding);
    this.#underWay.add(handle);
    try {
      await book.change(deciding, (tx) =>
        audit.append(tx, {
          ...{ type: `telegram.${verdict}`, actor: by.actor, detail: { chat } },
          subject: `${question.kind}/${question.id}`,
        })).catch((error) => {
          book.hold(question);
          throw error;
        });
      return await this.#carryOut(deciding, question);
    } finally {
      this.#underWay.delete(handle);
    }
  }

  /** Carries out what was decided before the site stopped. */
  async resume(deciding: StoredQuestion): Promise<void> {
    this.#underWay.add(deciding.handle);
    try {
      const before = { ...deciding, state: "open", verdict: null, by: null } as const;
      await this.#carryOut(deciding, before);
    } finally {
      this.#underWay.delete(deciding.handle);
    }
  }

  /** It does not wait any more: says what became of it. */
  async end(docket: Docket, question: StoredQuestion): Promise<void> {
    const { verdict, by } = await docket.outcome(question.id);
    const isOurs = by !== null && by === question.by?.actor;
    await this.#finish(question, { verdict, by: isOurs ? question.by!.name : by });
  }

  /** @param before what it is again when that cannot be */
  async #carryOut(deciding: StoredQuestion, before: StoredQuestion): Promise<StoredQuestion> {
    const { book } = this.#parts;
    const docket = this.docketOf(deciding);
    if (docket === null) {
      await book.change(before);
      throw new DecisionError("nobody_asks", "Cannot decide: the role that asks has stopped", {
        hint: "try again when it runs: /status shows whether it does",
      });
    }
    const { verdict, by, id } = deciding;
    try {
      await docket.decide(id, verdict!, { actor: by!.actor });
    } catch (error) {
      // nobody knows whether it took effect: it is asked for again, which does no harm
      if (error instanceof PatienceError) throw error;
      const waiting = await docket.pending();
      if (waiting.some((one) => one.id === id)) await book.change(before);
      else await this.end(docket, deciding);
      throw error;
    }
    const outcome = {
      verdict: verdict === "approve" ? "approved" : "denied",
      by: by!.name,
    } as const;
    return await this.#finish(deciding, outcome);
  }

  async #finish(question: StoredQuestion, end: End): Promise<StoredQuestion> {
    const { book, clock, times } = this.#parts;
    const at = clock();
    const done: StoredQuestion = {
      ...question,
      ...{ state: "done", ended: endedText(end, times(at, at)), at },
    };
    await book.change(done);
    return done;
  }
}
