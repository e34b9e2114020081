/** Files that the configuration names: readable, and where they hold a secret, not for everybody. */
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isEnvironmentReference } from "../../services/secret_reference.ts";
import { messageOf } from "../../base/errors.ts";
import type { SiteConfig } from "../config/mod.ts";
import type { Finding } from "../plugin.ts";
import type { Patient } from "./_probe.ts";

interface NamedFile {
  /** Where the configuration names it: "plugins.fog-aggregator.code_file". */
  readonly key: string;
  readonly path: string;
  /** Whether somebody else tells when it cannot be read. */
  readonly isChecked: boolean;
}

/** What anybody may read. */
const open = /(cert|ca)_file$/;

export async function* secrets({ config }: Patient): AsyncIterable<Finding> {
  for (const { key, path, isChecked } of namedFiles(config)) {
    try {
      await access(path, constants.R_OK);
    } catch (error) {
      if (isChecked) continue;
      yield {
        state: "failed",
        what: `${key}: ${messageOf(error)}`,
        hint: "the file must exist and be readable by the user running edgeward",
      };
      continue;
    }
    if (open.test(key)) yield { state: "ok", what: `${key} is readable` };
    else if (await isExposed(path)) {
      yield {
        state: "failed",
        what: `${key}: every user of this machine can read ${path}`,
        hint: `chmod 600 ${path}`,
      };
    } else yield { state: "ok", what: `${key} is readable, and not by everybody` };
  }
}

function namedFiles({ roles, ...host }: SiteConfig): NamedFile[] {
  return [
    ...filesIn(host, "", false),
    ...roles.flatMap(({ plugin, config }) =>
      filesIn(config, `plugins.${plugin.name}.`, plugin.check !== undefined)
    ),
  ];
}

function filesIn(value: unknown, prefix: string, isChecked: boolean): NamedFile[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    typeof inner === "string" && key.endsWith("_file") && !isEnvironmentReference(inner)
      ? [{ key: prefix + key, path: inner, isChecked }]
      : filesIn(inner, `${prefix}${key}.`, isChecked)
  );
}

/** Whether the modes of the file and of every folder above let everybody read it. */
async function isExposed(path: string): Promise<boolean> {
  if (((await stat(path)).mode & 0o004) === 0) return false;
  for (let folder = dirname(path);; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
