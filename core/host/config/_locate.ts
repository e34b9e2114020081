/**
 * Finds where a key stands in a TOML text, which smol-toml does not tell (TOML 1.0.0: keys, tables,
 * arrays of tables, inline tables, strings over several lines). It expects a text that parsed
 * before; on any other it stops early, and a path that it did not see stands where the nearest table
 * or key around it does.
 */
import { parse } from "smol-toml";
import type { Path } from "./_wording.ts";

/** Deeper keys are placed at their ancestor, which bounds the work on hostile texts. */
const deepest = 16;
/** What smol-toml accepts, so that the recursion below is bounded too. */
const deepestValue = 1000;

/** A place in a text, both counted from 1; columns in UTF-16 code units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Reads the text once; the function returned gives the offset of a path. */
export function locate(text: string): (path: Path) => number {
  const offsets = new Map<string, number>();
  const counts = new Map<string, number>();
  let at = 0;
  let table: Path = [];

  for (skipBlank(); at < text.length; skipBlank()) {
    const start = at;
    if (text[at] === "[") readHeader();
    else readPair(table, 0);
    if (at === start) break;
  }

  return (path) => {
    for (let length = Math.min(path.length, deepest); length > 0; length--) {
      const offset = offsets.get(JSON.stringify(path.slice(0, length)));
      if (offset !== undefined) return offset;
    }
    return 0;
  };

  function note(path: Path, offset: number): void {
    if (path.length > deepest) return;
    const name = JSON.stringify(path);
    if (!offsets.has(name)) offsets.set(name, offset);
  }

  function readHeader(): void {
    const start = at;
    const isEntry = text[at + 1] === "[";
    at += isEntry ? 2 : 1;
    const path: (string | number)[] = [];
    const keys = readKeys("]");
    keys.forEach(({ key }, i) => {
      path.push(key);
      note(path, start);
      const name = JSON.stringify(path);
      const count = counts.get(name) ?? 0;
      if (isEntry && i === keys.length - 1) {
        counts.set(name, count + 1);
        path.push(count);
        note(path, start);
      } else if (count > 0) path.push(count - 1);
    });
    if (!isEntry) offsets.set(JSON.stringify(path), start);
    if (isEntry) at++;
    table = path;
  }

  function readPair(parent: Path, depth: number): void {
    const path = [...parent];
    for (const { key, offset } of readKeys("=")) {
      path.push(key);
      note(path, offset);
    }
    readValue(path, depth);
  }

  /** Reads dotted keys and the character that ends them. */
  function readKeys(end: string): { key: string; offset: number }[] {
    const keys: { key: string; offset: number }[] = [];
    while (at < text.length && text[at] !== "\n") {
      skipSpace();
      const offset = at;
      if (text[at] === '"' || text[at] === "'") skipString();
      else while (at < text.length && !/[\s.="'\]]/.test(text[at]!)) at++;
      if (keys.length <= deepest) keys.push({ key: unquote(text.slice(offset, at)), offset });
      skipSpace();
      if (text[at] === end) {
        at++;
        break;
      }
      if (text[at] !== ".") break;
      at++;
    }
    return keys;
  }

  function readValue(path: Path, depth: number): void {
    skipSpace();
    const open = text[at];
    if (open === '"' || open === "'") return skipString();
    if (open !== "[" && open !== "{") {
      while (at < text.length && !/[,\]}#\n]/.test(text[at]!)) at++;
      return;
    }
    if (depth > deepestValue) {
      at = text.length;
      return;
    }
    const close = open === "[" ? "]" : "}";
    at++;
    for (let index = 0; at < text.length; index++) {
      skipBlank();
      if (text[at] === close) break;
      if (open === "[") {
        const entry = path.length > deepest ? path : [...path, index];
        note(entry, at);
        readValue(entry, depth + 1);
      } else readPair(path, depth + 1);
      skipBlank();
      if (text[at] !== ",") break;
      at++;
    }
    if (text[at] === close) at++;
  }

  function skipString(): void {
    const quote = text[at]!;
    const isLong = text.startsWith(quote.repeat(3), at);
    const end = isLong ? quote.repeat(3) : quote;
    at += end.length;
    while (at < text.length && !text.startsWith(end, at)) {
      at += text[at] === "\\" && quote === '"' ? 2 : 1;
    }
    at += end.length;
    while (isLong && text[at] === quote) at++;
  }

  function skipSpace(): void {
    while (text[at] === " " || text[at] === "\t") at++;
  }

  function skipBlank(): void {
    for (;;) {
      while (at < text.length && /\s/.test(text[at]!)) at++;
      if (text[at] !== "#") return;
      while (at < text.length && text[at] !== "\n") at++;
    }
  }
}

/** The line and column of an offset. */
export function positionAt(text: string, offset: number): Position {
  const lines = text.slice(0, offset).split("\n");
  return { line: lines.length, column: lines.at(-1)!.length + 1 };
}

function unquote(key: string): string {
  if (!/^["']/.test(key)) return key;
  try {
    return Object.keys(parse(`${key} = 0`))[0] ?? key;
  } catch {
    return key;
  }
}
