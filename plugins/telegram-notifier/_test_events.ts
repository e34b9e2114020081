/** Events made up for the tests of this folder. */
import fc from "fast-check";
import { type Event, eventTypes } from "../../core/wire/event.ts";

export function eventOf(event: Partial<Event> = {}): Event {
  return {
    ...{ seq: 1, t: 1_700_000_000_000, type: "reading.refused", severity: "warning" },
    ...{ role: "fog-aggregator", subject: "meter-1", detail: {} },
    ...event,
  };
}

/** Whatever a role could say: text that looks like markup, turns directions, and is long. */
export const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 400 }),
  fc.stringMatching(/^[<>&"';/ab\u202e\n]{0,60}$/),
);

export const anyEvent: fc.Arbitrary<Event> = fc.record({
  seq: fc.nat(),
  t: fc.integer({ min: 1_700_000_000_000, max: 1_700_100_000_000 }),
  type: fc.constantFrom(...eventTypes),
  severity: fc.constantFrom("info", "warning", "alarm"),
  role: fc.oneof(fc.constantFrom("core", "fog-aggregator"), anyText),
  subject: fc.oneof(fc.constantFrom("a", "b", "c", "d", "e", "f", "g"), anyText),
  detail: fc.dictionary(anyText, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 }),
});

/** The text without its tags. @throws Error when they are not closed in order, or are none of ours */
export function plainOf(markup: string): string {
  const open: string[] = [];
  const rest = markup.replace(/<(\/?)(b|i|s|code)>/g, (_, close: string, tag: string) => {
    if (close === "") open.push(tag);
    else if (open.pop() !== tag) throw new Error(`</${tag}> closes something else: ${markup}`);
    return "";
  });
  if (open.length > 0) throw new Error(`<${open[0]}> is not closed: ${markup}`);
  if (/[<>]|&(?!(lt|gt|amp|quot);)/.test(rest)) throw new Error(`it holds a tag: ${markup}`);
  return rest;
}
