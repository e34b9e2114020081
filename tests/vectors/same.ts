/**
 * Two assertions in plain ECMAScript, for checks that run inside XS as well, where neither
 * node:assert nor a debugger is at hand: the message alone must show what is wrong.
 */
import { toHex } from "../../core/base/bytes.ts";

/** Compares plain values, bytes and maps included. @throws Error that names the first difference */
export function same(actual: unknown, expected: unknown, what: string): void {
  const difference = differenceOf(actual, expected, what);
  if (difference !== undefined) throw new Error(difference);
}

/** @throws Error when the act ends in anything but an error with this code */
export function refuses(code: string, act: () => unknown, what: string): void {
  same(outcomeOf(act), code, what);
}

/** The code of the error that an act ends in, "none" when it ends well. Other errors are thrown. */
export function outcomeOf(act: () => unknown): string {
  try {
    act();
    return "none";
  } catch (error) {
    return codeOf(error);
  }
}

/** The same for an act that may promise its end. */
export async function outcomeOfAsync(act: () => unknown): Promise<string> {
  try {
    await act();
    return "none";
  } catch (error) {
    return codeOf(error);
  }
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (typeof code !== "string") throw error;
  return code;
}

function differenceOf(actual: unknown, expected: unknown, path: string): string | undefined {
  if (isObject(actual) && isObject(expected)) {
    const [left, right] = [membersOf(actual), membersOf(expected)];
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
      const difference = differenceOf(left[key], right[key], `${path}.${key}`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  const [left, right] = [shown(actual), shown(expected)];
  return left === right ? undefined : `${path} is ${left}, not ${right}`;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof Uint8Array);
}

function membersOf(value: object): Record<string, unknown> {
  return value instanceof Map ? Object.fromEntries(value) : value as Record<string, unknown>;
}

function shown(value: unknown): string {
  const text = value instanceof Uint8Array ? `bytes ${toHex(value)}` : JSON.stringify(value);
  return text === undefined ? "nothing" : text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
