/**
 * The HTML of the Bot API, read as strictly as Telegram reads it: a handful of tags that must be closed
 * in order, four named entities, and a refusal that names the byte where it went wrong.
 */
import { badRequest } from "./_bot_refusal.ts";

/** A part of a text that looks different, in UTF-16 code units. */
export interface Entity {
  readonly type: string;
  readonly offset: number;
  readonly length: number;
  readonly url?: string;
  readonly language?: string;
}

export interface FormattedText {
  readonly text: string;
  readonly entities: readonly Entity[];
}

/** What each tag makes of its content; `null` is decided by the tag's attributes. */
const tags: Readonly<Record<string, string | null>> = {
  ...{ b: "bold", strong: "bold", i: "italic", em: "italic", u: "underline", ins: "underline" },
  ...{
    s: "strikethrough",
    strike: "strikethrough",
    del: "strikethrough",
    code: "code",
    pre: "pre",
  },
  ...{ "tg-spoiler": "spoiler", span: null, a: null, blockquote: null, "tg-emoji": null },
};
const named: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"' };

interface OpenTag {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly offset: number;
}

/** @throws BotApiRefusal as the server does, when the markup is wrong */
export function parseHtml(html: string): FormattedText {
  const entities: Entity[] = [];
  const open: OpenTag[] = [];
  let text = "";
  let at = 0;
  const wrong = (what: string, where?: number) => {
    const place = where === undefined ? "" : ` at byte offset ${bytesBefore(html, where)}`;
    return badRequest(`can't parse entities: ${what.replace("{}", place)}`);
  };
  for (;;) {
    const next = html.indexOf("<", at);
    text += decoded(html.slice(at, next < 0 ? undefined : next));
    if (next < 0) break;
    at = next;
    const end = html.indexOf(">", at);
    if (html[at + 1] === "/") {
      const last = open.pop();
      if (last === undefined) throw wrong("Unexpected end tag{}", at);
      if (end < 0) throw wrong("Unclosed end tag{}", at);
      const name = html.slice(at + 2, end).trim().toLowerCase();
      if (name !== "" && name !== last.name) {
        throw wrong(`Unmatched end tag{}, expected "</${last.name}>", found "</${name}>"`, at);
      }
      const entity = entityOf(last, text.length);
      if (entity !== null) entities.push(entity);
      at = end + 1;
      continue;
    }
    const name = /^[^\s>]*/.exec(html.slice(at + 1))![0].toLowerCase();
    if (end < 0) throw wrong("Unclosed start tag{}", at);
    if (!Object.hasOwn(tags, name)) throw wrong(`Unsupported start tag "${name}"{}`, at);
    const attributes = attributesOf(html.slice(at + 1 + name.length, end));
    if (attributes === null) throw wrong("Unclosed start tag{}", at);
    if (name === "span" && attributes.get("class") !== "tg-spoiler") {
      throw wrong('Tag "span" must have class "tg-spoiler"{}', at);
    }
    open.push({ name, attributes, offset: text.length });
    at = end + 1;
  }
  const last = open.pop();
  if (last !== undefined) {
    throw wrong(`Can't find end tag corresponding to start tag "${last.name}"`);
  }
  return { text, entities: entities.sort((a, b) => a.offset - b.offset || b.length - a.length) };
}

/** The text with its entities replaced; what is no entity stands for itself. */
function decoded(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-f]+)|#(\d+)|([a-z]+));?/gi,
    (all, hexadecimal?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return named[name] ?? all;
      const code = hexadecimal === undefined ? Number(decimal) : parseInt(hexadecimal, 16);
      return code > 0 && code < 0x10ffff ? String.fromCodePoint(code) : all;
    },
  );
}

/** Null when it is not a list of names with values. */
function attributesOf(text: string): Map<string, string> | null {
  const attributes = new Map<string, string>();
  let end = 0;
  const form = /\s+([a-z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/gy;
  for (const [all, name, double, single, bare] of text.matchAll(form)) {
    attributes.set(name!, decoded(double ?? single ?? bare ?? ""));
    end += all.length;
  }
  return text.slice(end).trim() === "" ? attributes : null;
}

function entityOf({ name, attributes, offset }: OpenTag, end: number): Entity | null {
  const place = { offset, length: end - offset };
  if (place.length === 0) return null;
  const type = tags[name];
  if (type !== null && type !== undefined) return { type, ...place };
  if (name === "span") return { type: "spoiler", ...place };
  if (name === "blockquote") {
    return { type: attributes.has("expandable") ? "expandable_blockquote" : name, ...place };
  }
  if (name === "tg-emoji") return { type: "custom_emoji", ...place };
  const url = attributes.get("href");
  // a link to nowhere is only its text
  return url === undefined || url === "" ? null : { type: "text_link", ...place, url };
}

function bytesBefore(text: string, at: number): number {
  return new TextEncoder().encode(text.slice(0, at)).length;
}
