/**
 * Paths in the configuration.
 *
 * The rule, for the host and for every role: after validation each key whose name ends in `_file`
 * or `_dir`, at any depth, has its text resolved against the folder of the configuration file,
 * whether it came from the file, a default or an environment variable. So a role receives absolute
 * paths and never asks where the file was. `env:NAME`, where a secret is asked for, is no path.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { isEnvironmentReference } from "../../services/secret_reference.ts";
import { isTable } from "./_wording.ts";

/** A schema of a path: text that is not empty and holds no NUL. Name its key `…_file` or `…_dir`. */
export function filePath() {
  return z.string().refine((path) => path !== "" && !path.includes("\0"), "expected a path");
}

/** Applies the rule to a validated configuration; what is neither table nor array stays as it is. */
export function resolvePaths<T>(value: T, dir: string): T;
export function resolvePaths(value: unknown, dir: string): unknown {
  if (Array.isArray(value)) return value.map((entry) => resolvePaths(entry, dir));
  if (!isTable(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const isPath = typeof inner === "string" && /_(file|dir)$/.test(key) &&
        !isEnvironmentReference(inner);
      return [key, isPath ? resolve(dir, inner) : resolvePaths(inner, dir)];
    }),
  );
}
