/** One message out of many groups of events: the worst first, and no longer than a message may be. */
import { spanText } from "../../core/base/when.ts";
import type { Group, Told } from "./groups.ts";
import { andMore, bold, fitted, type Html, joined, markup, text } from "./markup.ts";
import type { Times } from "./times.ts";
import { marks, overMark, phrases } from "./wording.ts";

/** Milliseconds after which it is said that the news are old. */
const old = 600_000;
const order = { alarm: 0, warning: 1, info: 2 } as const;

/** @param options.now when it was put together: the same groups then give the same message */
export function digestHtml(
  groups: Iterable<Group>,
  { site, now, times }: { site: string; now: number; times: Times },
): Html {
  const all = [...groups].sort((a, b) =>
    order[a.severity] - order[b.severity] || a.first - b.first
  );
  const count = all.reduce((sum, { n }) => sum + n, 0);
  const first = Math.min(...all.map((group) => group.first));
  const isOld = now - first > old;
  const head = joined([
    bold(site),
    ...(count > 1 ? [markup` · ${count} events`] : []),
    ...(isOld ? [markup` since ${text(times(first, now))}`] : []),
  ], "");
  const lines = all.map((group) => groupHtml(group, (t) => text(times(t, now))));
  return fitted([head, ...lines], andMore);
}

type Shown = (t: number) => Html;

function groupHtml(group: Group, shown: Shown): Html {
  const { type, severity, told, others, n, first, last } = group;
  const phrase = text(phrases[type]);
  const when = spanOf(first, last, shown);
  const [only] = told;
  if (told.length === 1 && !others) {
    const { subject, end, facts } = only!;
    const mark = text(end === null ? marks[severity] : overMark);
    const what = markup`${bold(subject, 80)} ${end === null ? phrase : markup`<s>${phrase}</s>`}`;
    const line = markup`${mark} ${what}${timesText(n)} · ${when}`;
    const more = [
      ...(end === null ? [] : [endHtml(only!, shown)]),
      ...(facts === "" ? [] : [text(facts)]),
    ];
    return more.length === 0 ? line : markup`${line}\n     ${joined(more, "\n     ")}`;
  }
  const isOver = !others && told.every(({ end }) => end !== null);
  const mark = text(isOver ? overMark : marks[severity]);
  const names = told.map((one) => {
    const name = markup`${bold(one.subject, 80)}${timesText(one.n)}`;
    return one.end === null ? name : markup`<s>${name}</s> (${endHtml(one, shown)})`;
  });
  const rest = others ? [text("others")] : [];
  const list = joined([...names, ...rest], ", ");
  return markup`${mark} ${phrase}${timesText(n)} · ${when}\n     ${list}`;
}

function endHtml({ first, end }: Told, shown: Shown): Html {
  const { type, t } = end!;
  return markup`${text(phrases[type])} ${shown(t)}, after ${
    text(spanText(Math.max(0, t - first)))
  }`;
}

function timesText(n: number): Html {
  return n > 1 ? markup` ×${n}` : text("");
}

function spanOf(first: number, last: number, shown: Shown): Html {
  const [from, to] = [shown(first), shown(last)];
  return from === to ? from : markup`${from}–${to}`;
}
