/** Checks what a TOML file and the environment hold against the schema of the whole file. */
import type { z } from "zod";
import { wordIssue } from "./_issue_wording.ts";
import { type Override, variableOf } from "./_overrides.ts";
import type { Problem } from "./_problem.ts";
import { keyInfo, type Schema, schemaAt, shapeOf, unknownKeys } from "./_schema_keys.ts";
import { closest, suggest } from "./_suggest.ts";
import { exampleOf, toToml, toTomlKey } from "./_toml_value.ts";
import { isTable, namePath, type Path, quoteKey } from "./_wording.ts";

export interface CheckOptions {
  readonly overrides: readonly Override[];
  /** All roles that could be switched on, loaded or not. */
  readonly roles: readonly string[];
}

/** Gives the validated value, or undefined together with everything that is wrong. */
export function check<T>(
  schema: z.ZodType<T>,
  data: unknown,
  options: CheckOptions,
): { value: T | undefined; problems: Problem[] } {
  const ours = new Set<string>();
  const result = schema.safeParse(data, {
    error(issue) {
      const text = wordIssue(issue);
      if (text !== undefined) ours.add(text);
      return text;
    },
  });
  const problems: Problem[] = [];
  const unknown = new Map(unknownKeys(schema, data).map((path) => [JSON.stringify(path), path]));
  for (const issue of result.error?.issues ?? []) {
    const path = issue.path as Path;
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) unknown.set(JSON.stringify([...path, key]), [...path, key]);
    } else {
      const isOurs = ours.has(issue.message);
      problems.push(describeIssue({ issue, isOurs, path, schema, data, ...options }));
    }
  }
  for (const path of unknown.values()) problems.push(describeUnknown(path, schema, options));
  return { value: problems.length === 0 ? result.data : undefined, problems };
}

function describeUnknown(path: Path, schema: z.ZodType, options: CheckOptions): Problem {
  const key = String(path.at(-1));
  const variable = variableAt(path, options.overrides);
  if (path.length === 2 && path[0] === "plugins") {
    const hint = suggest(key, options.roles, "roles");
    return { path, variable, message: `unknown role ${quoteKey(key)}`, hint };
  }
  if (path.length === 1 && variable === undefined && options.roles.includes(key)) {
    return {
      path,
      message: `unknown key ${namePath(path)}`,
      hint: `did you mean [plugins.${key}]?`,
    };
  }
  const table = schemaAt(schema, path.slice(0, -1));
  const known = Object.keys((table && shapeOf(table)) ?? {});
  if (variable !== undefined) {
    const hint = known.length === 0 ? undefined : `known keys: ${known.join(", ")}`;
    return { path, variable, message: "the value holds an unknown key", hint };
  }
  return { path, message: `unknown key ${namePath(path)}`, hint: suggest(key, known, "keys") };
}

interface Complaint extends CheckOptions {
  readonly issue: z.core.$ZodIssue;
  /** Whether this program worded the issue, so that it cannot hold a value. */
  readonly isOurs: boolean;
  readonly path: Path;
  readonly schema: z.ZodType;
  readonly data: unknown;
}

function describeIssue(complaint: Complaint): Problem {
  const { issue, isOurs, path, schema, data, overrides } = complaint;
  const variable = variableAt(path, overrides);
  const declared = schemaAt(schema, path);
  const key = path.at(-1);
  const value = valueAt(data, path);
  if (issue.code !== "custom" && typeof key === "string" && value === undefined) {
    const name = variable === undefined ? namePath(path) : quoteKey(key);
    const hint = missingHint(path, declared, overrides);
    return { path, variable, message: `missing key ${name}`, hint };
  }
  const isSafe = isOurs || !mentions(`${issue.message} ${ownHint(issue)}`, overrides);
  const text = isSafe ? issue.message : "the value is not accepted";
  const hint = (isSafe ? ownHint(issue) : undefined) ??
    (variable === undefined ? nearWord(issue, value) : undefined) ??
    (declared && exampleHint(declared, path, variable));
  const message = variable === undefined ? `invalid ${namePath(path)}: ${text}` : text;
  return { path, variable, message, hint };
}

/** Speaks of the environment where a variable sets another key of the same table. */
function missingHint(
  path: Path,
  declared: Schema | undefined,
  overrides: readonly Override[],
): string {
  const table = path.slice(0, -1);
  const isFromEnvironment = table.length > 0 &&
    overrides.some((override) =>
      override.path.length === path.length && table.every((part, i) => part === override.path[i])
    );
  if (isFromEnvironment) return `set ${variableOf(path)}`;
  return `add ${toTomlKey(String(path.at(-1)))} = ${declared ? toToml(exampleOf(declared)) : "…"}`;
}

function ownHint(issue: z.core.$ZodIssue): string | undefined {
  const hint: unknown = issue.code === "custom" ? issue.params?.["hint"] : undefined;
  return typeof hint === "string" ? hint : undefined;
}

function nearWord(issue: z.core.$ZodIssue, value: unknown): string | undefined {
  if (issue.code !== "invalid_value" || typeof value !== "string") return undefined;
  const near = closest(value, issue.values.map(String));
  return near === undefined ? undefined : `did you mean "${near}"?`;
}

function exampleHint(
  declared: Schema,
  path: Path,
  variable: string | undefined,
): string | undefined {
  const { example, preset } = keyInfo(declared);
  const value = example ?? preset;
  const key = path.at(-1);
  if (typeof key !== "string") return undefined;
  if (variable === undefined) {
    if (shapeOf(declared)) return "write it as a table";
    return value === undefined ? undefined : `for example: ${toTomlKey(key)} = ${toToml(value)}`;
  }
  // Deeper than the variable's own key, a path may hold keys of its value.
  if (value === undefined || variable !== variableOf(path)) return undefined;
  return `for example: ${variable}=${typeof value === "string" ? value : toToml(value)}`;
}

/** The variable that set the value at a path: the nearest one at or above it. */
function variableAt(path: Path, overrides: readonly Override[]): string | undefined {
  return overrides.findLast((override) => override.path.every((part, i) => part === path[i]))
    ?.variable;
}

function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const part of path) {
    if (Array.isArray(value)) value = value[Number(part)];
    else if (isTable(value) && Object.hasOwn(value, part)) value = value[part];
    else return undefined;
  }
  return value;
}

/** Whether a text that a role worded holds what a variable set, as words of its own. */
function mentions(text: string, overrides: readonly Override[]): boolean {
  return overrides.flatMap(({ raw, value }) => [raw, ...textsIn(value)]).some((secret) => {
    if (secret === "") return false;
    const words = secret.replace(/[^\w\s]/g, "\\$&");
    return new RegExp(`(?<![A-Za-z0-9])${words}(?![A-Za-z0-9])`).test(text);
  });
}

function textsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (isTable(value)) {
    return Object.entries(value).flatMap(([key, inner]) => [key, ...textsIn(inner)]);
  }
  return [String(value)];
}
