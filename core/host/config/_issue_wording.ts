/** What zod's own issues say in this program: what was expected and what kind of value was found. */
import type { z } from "zod";
import { either, kindOf } from "./_wording.ts";

/** Words one issue, or leaves it to zod. The text never holds the value. */
export function wordIssue(issue: z.core.$ZodRawIssue): string | undefined {
  const got = `got ${kindOf(issue.input)}`;
  switch (issue.code) {
    case "invalid_type":
      return `expected ${nameType(issue.expected)}, ${got}`;
    case "invalid_value":
      return `expected ${either(issue.values.map((value) => JSON.stringify(value)))}`;
    case "too_small":
      return wordBound(issue.origin, issue.inclusive ? "at least" : "more than", issue.minimum);
    case "too_big":
      return wordBound(issue.origin, issue.inclusive ? "at most" : "less than", issue.maximum);
    case "not_multiple_of":
      return `expected a multiple of ${issue.divisor}`;
    case "invalid_format":
      return wordFormat(issue.format, issue.pattern);
    case "invalid_union":
      return wordUnion(issue.errors, got);
    default:
      return undefined;
  }
}

function nameType(type: string): string {
  const names: Readonly<Record<string, string>> = {
    object: "a table",
    record: "a table",
    array: "an array",
    int: "a whole number",
  };
  return names[type] ?? `a ${type}`;
}

function wordBound(origin: string, relation: string, bound: number | bigint): string {
  const units: Readonly<Record<string, string>> = { string: " characters", array: " entries" };
  return `expected ${relation} ${bound}${units[origin] ?? ""}`;
}

function wordFormat(format: string, pattern: string | undefined): string {
  if (format === "regex") return `expected text that matches ${pattern}`;
  return format === "url" ? "expected a URL" : `expected text in the format "${format}"`;
}

/** Joins what the branches expect, if all of them looked at the value itself and not into it. */
function wordUnion(branches: readonly z.core.$ZodIssue[][], got: string): string {
  const expected = branches.map(([issue]) =>
    issue?.path.length === 0 ? /^expected (.+?)(, got .*)?$/.exec(issue.message)?.[1] : undefined
  );
  if (expected.length === 0 || expected.includes(undefined)) return "expected another value";
  return `expected ${either(expected as string[])}, ${got}`;
}
