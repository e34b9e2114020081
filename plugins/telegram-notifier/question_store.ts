/** Questions that people were asked, on disk: what was asked, where, and what has become of it. */
import { sql } from "drizzle-orm";
import type { Fact, Verdict } from "../../core/services/desk.ts";
import type { Database, Queries } from "../../core/services/db/mod.ts";

/**
 * `open` has buttons; `lapsed` has none any more and waits still; `deciding` was decided, and whether it
 * took effect is not known yet.
 */
export type QuestionState = "open" | "lapsed" | "deciding" | "done";

/** Somebody who decides: for the audit, and for people. */
export interface Person {
  readonly actor: string;
  readonly name: string;
}

export interface StoredQuestion {
  /** What people write for it: eight letters and digits, which mean this one and no other. */
  readonly handle: string;
  readonly kind: string;
  readonly id: string;
  readonly title: string;
  readonly facts: readonly Fact[];
  /** When its buttons stop to work, in Unix milliseconds. */
  readonly until: number;
  /** Whether it is asked in chats, or only shown to who asks what waits. */
  readonly announced: boolean;
  readonly state: QuestionState;
  readonly verdict: Verdict | null;
  readonly by: Person | null;
  /** How it ended, in a line. */
  readonly ended: string | null;
  /** Of its last change, in Unix milliseconds. */
  readonly at: number;
}

/** A question in one chat. */
export interface Asked {
  /** What its buttons say, besides yes or no: nobody can guess it. */
  readonly button: string;
  readonly handle: string;
  /** As the configuration calls it. */
  readonly chat: number;
  /** Null until it is sent. */
  readonly message: number | null;
  /** The state that the message shows. */
  readonly shown: QuestionState | null;
}

interface Row extends Omit<StoredQuestion, "facts" | "announced" | "by"> {
  readonly facts: string;
  readonly announced: number;
  readonly actor: string | null;
  readonly person: string | null;
}

export async function readQuestions(
  db: Database,
): Promise<{ questions: StoredQuestion[]; asked: Asked[] }> {
  return await db.read(async (q) => {
    const rows = await q.all<Row>(sql`SELECT handle, kind, id, title, facts, until, announced,
      state, verdict, actor, person, ended, at FROM telegram_notifier_questions ORDER BY at`);
    const asked = await q.all<Asked>(
      sql`SELECT button, handle, chat, message, shown FROM telegram_notifier_asked`,
    );
    return {
      questions: rows.map(({ facts, announced, actor, person, ...row }) => ({
        ...row,
        facts: JSON.parse(facts) as Fact[],
        announced: announced === 1,
        by: actor === null ? null : { actor, name: person ?? actor },
      })),
      asked: asked.map((one) => ({ ...one })),
    };
  });
}

export async function writeQuestion(tx: Queries, question: StoredQuestion): Promise<void> {
  const { handle, kind, id, title, facts, until, announced, state, verdict, by, ended, at } =
    question;
  await tx.run(sql`INSERT INTO telegram_notifier_questions (handle, kind, id, title, facts, until,
      announced, state, verdict, actor, person, ended, at)
    VALUES (${handle}, ${kind}, ${id}, ${title}, ${JSON.stringify(facts)}, ${until},
      ${announced ? 1 : 0}, ${state}, ${verdict}, ${by?.actor ?? null}, ${by?.name ?? null},
      ${ended}, ${at})
    ON CONFLICT (handle) DO UPDATE SET announced = excluded.announced, until = excluded.until,
      state = excluded.state, verdict = excluded.verdict, actor = excluded.actor,
      person = excluded.person, ended = excluded.ended, at = excluded.at`);
}

export async function writeAsked(tx: Queries, asked: Asked): Promise<void> {
  const { button, handle, chat, message, shown } = asked;
  await tx.run(sql`INSERT INTO telegram_notifier_asked (button, handle, chat, message, shown)
    VALUES (${button}, ${handle}, ${chat}, ${message}, ${shown})
    ON CONFLICT (button) DO UPDATE SET message = excluded.message, shown = excluded.shown`);
}

export async function deleteQuestion(tx: Queries, handle: string): Promise<void> {
  await tx.run(sql`DELETE FROM telegram_notifier_asked WHERE handle = ${handle}`);
  await tx.run(sql`DELETE FROM telegram_notifier_questions WHERE handle = ${handle}`);
}
