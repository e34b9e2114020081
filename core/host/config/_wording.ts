/**
 * How messages name things. Keys are quoted with JSON's escapes, so that a hostile key can neither
 * colour a terminal nor fill it; values are named by their kind only.
 */

/** Keys and array indices that lead from the root of the configuration to a value. */
export type Path = readonly (string | number)[];

/** Whether the value is a TOML table or an object that a schema made from one. */
export function isTable(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** "a string", "a table", "nothing": what was found, without showing it. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return "a date";
  return typeof value === "object" ? "a table" : `a ${typeof value}`;
}

/** A key in quotes, shortened when it is long. */
export function quoteKey(key: string): string {
  return JSON.stringify(key.length > 64 ? `${key.slice(0, 64)}…` : key);
}

/** Names the value at a path: `"window" in [plugins.fog]`, `entry 2 of "chats" in [plugins.bot]`. */
export function namePath(path: Path): string {
  const at = path.findLastIndex((part) => typeof part === "string");
  const key = path[at];
  if (typeof key !== "string") return "the file";
  const entries = path.slice(at + 1).map((index) => `entry ${Number(index) + 1} of `);
  const table = path.slice(0, at).filter((part) => typeof part === "string");
  const name = `${entries.reverse().join("")}${quoteKey(key)}`;
  return table.length === 0 ? name : `${name} in [${table.map(bareKey).join(".")}]`;
}

/** `"a"`, `"a" or "b"`, `"a", "b" or "c"`. */
export function either(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

function bareKey(key: string): string {
  return /^[A-Za-z0-9_-]{1,64}$/.test(key) ? key : quoteKey(key);
}
