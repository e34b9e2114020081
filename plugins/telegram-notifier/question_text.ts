/** Questions as people read them in a chat. */
import { andMore, bold, factsLine, fitted, type Html, joined, markup, text } from "./markup.ts";
import type { StoredQuestion } from "./question_store.ts";
import type { Buttons } from "./telegram.ts";

/** How a question ended. @param by a name, or as the audit names whoever it was; null: nobody did */
export interface End {
  readonly verdict: "approved" | "denied" | "gone";
  readonly by: string | null;
}

/** In a line: `Approved by @ann 14:32`. */
export function endedText({ verdict, by }: End, time: string): string {
  if (verdict === "gone") return `Over: it does not wait any more, ${time}`;
  const word = verdict === "approved" ? "Approved" : "Denied";
  return `${word}${by === null ? "" : ` by ${personOf(by)}`} ${time}`;
}

/** Whom the audit means. */
function personOf(actor: string): string {
  if (actor === "site") return "the operator of this machine";
  if (actor.startsWith("token:")) return `API token ${actor.slice("token:".length)}`;
  return actor;
}

/** The question as it stands. */
export function questionHtml(site: string, question: StoredQuestion): Html {
  const { title, facts, state, ended } = question;
  const head = markup`${bold(site)}: ${bold(title)}`;
  const lines = facts.map((fact) => factsLine([fact]));
  if (state === "done") {
    const mark = ended?.startsWith("Approved") ? "✅" : ended?.startsWith("Denied") ? "❌" : "⌛";
    return fitted([
      head,
      ...lines,
      markup`${text(mark)} ${text(ended ?? "")}`,
    ], andMore);
  }
  if (state === "lapsed") {
    const how = markup`Not decided in time. /approve_${text(question.handle)} lets it in still.`;
    return fitted([head, ...lines, how], andMore);
  }
  return fitted([head, ...lines], andMore);
}

/** Yes and no. What they carry is as long as Telegram allows, and nobody can guess it. */
export function buttonsOf(button: string): Buttons {
  return [{ text: "Approve", data: `a:${button}` }, { text: "Deny", data: `d:${button}` }];
}

/** What a button carried: null when it is none of ours. */
export function pressedButton(
  data: string,
): { verdict: "approve" | "deny"; button: string } | null {
  const [, verb, button] = /^([ad]):([\w-]{22})$/.exec(data) ?? [];
  if (button === undefined) return null;
  return { verdict: verb === "a" ? "approve" : "deny", button };
}

/** What waits, each with what to write. */
export function pendingHtml(questions: readonly StoredQuestion[], more: number): Html {
  if (questions.length === 0) return text("Nothing waits for a decision.");
  const entries = questions.map(({ title, facts, handle, state, ended }) =>
    joined([
      markup`• ${bold(title)}`,
      ...(facts.length === 0 ? [] : [factsLine(facts)]),
      state === "done" ? text(ended ?? "") : markup`/approve_${text(handle)} /deny_${text(handle)}`,
    ])
  );
  return fitted([bold("What waits for a decision"), ...entries], (left) => andMore(more + left));
}

/** Instead of those for which there is no message. */
export function moreHtml(site: string, more: number): Html {
  return more === 0
    ? markup`${bold(site)}: nothing more waits.`
    : markup`${bold(site)}: and ${more} more wait for a decision: /pending`;
}
