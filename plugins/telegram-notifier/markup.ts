/**
 * Messages in Telegram's HTML. What comes from elsewhere is made plain, cut and escaped here, in this one
 * place; a message is built from whole lines, so that nothing is ever cut inside a tag.
 */
import { plainLine } from "../../core/base/plain_text.ts";
import type { Fact, Sheet } from "../../core/services/desk.ts";

declare const made: unique symbol;
/** Markup that was made here. */
export type Html = string & { readonly [made]: "Html" };

/** UTF-16 units of a message. Telegram counts what is left when the tags are read: that is less. */
export const longestMessage = 4_096;

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

/** The text as it is, on one line of at most so many characters. */
export function text(plain: string, most = 300): Html {
  return plainLine(plain, most).replace(/[&<>"]/g, (sign) => entities[sign]!) as Html;
}

/** Puts markup together: nothing but markup and numbers can be put into it. */
export function markup(pieces: TemplateStringsArray, ...values: readonly (Html | number)[]): Html {
  return String.raw({ raw: pieces }, ...values) as Html;
}

export function bold(plain: string, most = 200): Html {
  return markup`<b>${text(plain, most)}</b>`;
}

export function joined(parts: readonly Html[], between = "\n"): Html {
  return parts.join(between) as Html;
}

/**
 * As many of the lines as there is room for.
 * @param rest what stands for those that are left out, and after all of them, if anything
 */
export function fitted(lines: readonly Html[], rest: (left: number) => Html | null): Html {
  const end = rest(0);
  const whole = joined(end === null ? lines : [...lines, end]);
  if (whole.length <= longestMessage) return whole;
  let room = longestMessage - rest(lines.length)!.length;
  let taken = 0;
  for (; taken < lines.length; taken++) {
    room -= lines[taken]!.length + 1;
    if (room < 0) break;
  }
  return joined([...lines.slice(0, taken), rest(lines.length - taken)!]);
}

/** Ends a list of which so many are left out. */
export function andMore(left: number): Html | null {
  return left > 0 ? markup`… and ${left} more` : null;
}

/** `label value · label value` */
export function factsLine(facts: readonly Fact[]): Html {
  return joined(
    facts.map(([label, value]) =>
      label === "" ? text(value) : markup`<i>${text(label, 40)}</i> ${text(value)}`
    ),
    " · ",
  );
}

/** What a role shows. */
export function sheetHtml({ title, facts = [], rows = [], more = 0 }: Sheet): Html {
  const lines = [
    bold(title),
    ...facts.map((fact) => factsLine([fact])),
    ...rows.map(({ title, facts = [] }) =>
      facts.length === 0 ? markup`• ${bold(title)}` : markup`• ${bold(title)}: ${factsLine(facts)}`
    ),
  ];
  return fitted(lines, (left) => andMore(more + left));
}
