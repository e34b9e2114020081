/** What roles tell people, cut to what a person reads: lines of plain text, and not too many of them. */
import { plainLine } from "../base/plain_text.ts";
import type { Fact, Question, Sheet } from "./desk.ts";

/** How much a person is shown: in characters, and in pieces. */
export const bounds = {
  ...{ title: 200, label: 40, value: 300, args: 200, id: 200 },
  ...{ facts: 20, rows: 50, questions: 1_000 },
} as const;

export function plainSheet({ title, facts = [], rows = [], more = 0 }: Sheet): Sheet {
  const left = more + Math.max(0, rows.length - bounds.rows);
  return {
    title: plainLine(title, bounds.title),
    facts: plainFacts(facts),
    rows: rows.slice(0, bounds.rows).map(({ title, facts = [] }) => {
      return { title: plainLine(title, bounds.title), facts: plainFacts(facts) };
    }),
    ...(left > 0 && { more: left }),
  };
}

/** @throws Error when its name is of no use: cut, it would name something else */
export function plainQuestion({ id, title, facts, asked, expires }: Question): Question {
  if (id === "" || id.length > bounds.id) throw new Error("a question has no name of its own");
  return {
    ...{ id, title: plainLine(title, bounds.title), facts: plainFacts(facts), asked, expires },
  };
}

export function plainFacts(facts: readonly Fact[]): Fact[] {
  return facts.slice(0, bounds.facts).map(([label, value]) => {
    return [plainLine(label, bounds.label), plainLine(value, bounds.value)];
  });
}
