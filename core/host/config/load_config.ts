/** Reads and checks the configuration of a site. */
import { dirname, resolve } from "node:path";
import { parse, TomlError } from "smol-toml";
import type { z } from "zod";
import { messageOf } from "../../base/errors.ts";
import type { AnyPlugin, Registry } from "../plugin.ts";
import { check } from "./_check.ts";
import { ConfigError } from "./config_error.ts";
import { resolvePaths } from "./file_path.ts";
import {
  applyOverrides,
  type Environment,
  nearestVariable,
  readOverrides,
  rolesIn,
} from "./_overrides.ts";
import { configInvalid, type Problem } from "./_problem.ts";
import { roleProblems, startOrder } from "./_roles.ts";
import { type hostSchema, siteSchema } from "./_site_schema.ts";
import { isTable } from "./_wording.ts";

const maxBytes = 1 << 20;
const tomlHint = 'a line is key = "text", key = 5 or [table]; a comment begins with #';

/** A role that the configuration switches on. */
export interface EnabledRole {
  readonly plugin: AnyPlugin;
  /** What the role's own schema made of its table. */
  readonly config: unknown;
}

/** A checked configuration: the keys are the file's, every default is filled in. */
export type SiteConfig = Readonly<z.output<typeof hostSchema>> & {
  /** In the order of their start: by `after`, then as the file has them. */
  readonly roles: readonly EnabledRole[];
};

/**
 * Reads a configuration of at most 1 MiB. Of the environment only `env` counts, in which variables
 * without the prefix `EDGEWARD_` are ignored. @throws ConfigError
 */
export async function loadConfig(
  options: { path: string; env?: Environment; registry: Registry },
): Promise<SiteConfig> {
  const { path, env = {}, registry } = options;
  const text = await readText(path, Object.keys(registry)[0] ?? "ROLE");
  return parseConfig(text, { file: path, dir: dirname(resolve(path)), env, registry });
}

/**
 * Checks the text of a configuration. `file` is its name in messages, `dir` the folder that relative
 * paths start from. Imports the roles that it switches on, and no others. @throws ConfigError
 */
export async function parseConfig(
  text: string,
  options: { file: string; dir: string; env?: Environment; registry: Registry },
): Promise<SiteConfig> {
  const { file, dir, env = {}, registry } = options;
  const data = parseToml(text, file);
  const roles = Object.keys(registry);
  const tables = isTable(data["plugins"]) ? Object.keys(data["plugins"]) : [];
  const names = new Set([...tables, ...rolesIn(env, roles)]);
  const plugins = await Promise.all(
    roles.filter((role) => names.has(role)).map(async (role) => (await registry[role]!()).default),
  );

  const schema = siteSchema(plugins);
  const { overrides, strays } = readOverrides(env, schema);
  applyOverrides(data, overrides);
  const { value, problems } = check(schema, data, { overrides, roles });
  const byName = new Map(plugins.map((plugin) => [plugin.name, plugin]));
  const enabled = [...names].flatMap((name) => byName.get(name) ?? []);
  const [first, ...others] = [
    ...problems,
    ...roleProblems(enabled, value?.plugins),
    ...strays.map((variable): Problem => {
      const near = nearestVariable(variable, schema, roles);
      const hint = near === undefined ? undefined : `did you mean ${near}?`;
      return { path: [], variable, message: "no key of the configuration has this name", hint };
    }),
  ];
  if (first !== undefined) throw configInvalid([first, ...others], { text, file });

  const { plugins: configs, ...host } = resolvePaths(value!, dir);
  return {
    ...host,
    roles: startOrder(enabled).order.map((plugin) => ({ plugin, config: configs[plugin.name] })),
  };
}

function parseToml(text: string, file: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) {
      throw new ConfigError("config_syntax", `${file}: cannot parse TOML`, {
        file,
        hint: tomlHint,
      });
    }
    // The message goes on to quote the lines around the mistake, and with them secrets.
    const reason = error.message.split("\n")[0]!.replace(/^Invalid TOML document: /, "");
    const { line, column } = error;
    const message = `${file}:${line}:${column}: cannot parse TOML: ${reason}`;
    throw new ConfigError("config_syntax", message, { file, line, column, hint: tomlHint });
  }
}

async function readText(path: string, role: string): Promise<string> {
  const failed = `Cannot read the configuration ${JSON.stringify(path)}`;
  try {
    const { size } = await Deno.stat(path);
    if (size > maxBytes) throw new RangeError("it is larger than 1 MiB");
    return new TextDecoder("utf-8", { fatal: true }).decode(await Deno.readFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new ConfigError("config_missing", `${failed}: there is no such file`, {
        file: path,
        hint: `write one with: edgeward init ${role} > ${path}`,
      });
    }
    throw new ConfigError("config_unreadable", `${failed}: ${whyUnreadable(error)}`, {
      file: path,
    });
  }
}

function whyUnreadable(error: unknown): string {
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  return error instanceof TypeError ? "it is not UTF-8" : messageOf(error);
}
