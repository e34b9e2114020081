/** What is wrong with a configuration, and the error that tells of it. */
import { ConfigError } from "./config_error.ts";
import { locate, positionAt } from "./_locate.ts";
import type { Path } from "./_wording.ts";

/** One mistake. It is the variable's if there is one, else it stands in the file at the path. */
export interface Problem {
  readonly path: Path;
  readonly variable?: string | undefined;
  /** A sentence without the place. */
  readonly message: string;
  readonly hint?: string | undefined;
}

/** Tells of the first problem in file order; those of the environment come after the file's. */
export function configInvalid(
  problems: readonly [Problem, ...Problem[]],
  options: { text: string; file: string },
): ConfigError {
  const { text, file } = options;
  const offsetOf = locate(text);
  let first = problems[0], least = Infinity;
  for (const problem of problems) {
    const offset = problem.variable === undefined ? offsetOf(problem.path) : Infinity;
    if (offset < least) [first, least] = [problem, offset];
  }
  const hint = first.hint === undefined ? {} : { hint: first.hint };
  const more = problems.length - 1;
  if (first.variable !== undefined) {
    return new ConfigError("config_invalid", `${first.variable}: ${first.message}`, {
      ...hint,
      more,
    });
  }
  const { line, column } = positionAt(text, least);
  const place = { file, line, column };
  const message = `${file}:${line}:${column}: ${first.message}`;
  return new ConfigError("config_invalid", message, { ...hint, ...place, more });
}
