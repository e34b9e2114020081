/**
 * Overrides from the environment: `EDGEWARD_` + the path of a key in upper case, dots as `__`,
 * hyphens as `_`. A name is matched against the keys that the schemas declare, so that
 * `FOG_AGGREGATOR` finds `fog-aggregator`, and a name that matches none is an error. The value is
 * read as TOML, else as a string; a key that takes strings only gets a string in any case.
 */
import { parse } from "smol-toml";
import { schemaAt, shapeOf, takesText } from "./_schema_keys.ts";
import type { Schema } from "./_schema_keys.ts";
import { closest } from "./_suggest.ts";
import { isTable, type Path } from "./_wording.ts";

export type Environment = Readonly<Record<string, string>>;

/** A key of the configuration that the environment sets. */
export interface Override {
  readonly variable: string;
  readonly path: Path;
  readonly value: unknown;
  /** The variable's text, which no message may show. */
  readonly raw: string;
}

/** The name of the variable that overrides a key. */
export function variableOf(path: Path): string {
  const parts = path.map((part) => String(part).toUpperCase().replaceAll("-", "_"));
  return `EDGEWARD_${parts.join("__")}`;
}

/** The roles whose table a variable sets, or sets a key of. */
export function rolesIn(env: Environment, roles: readonly string[]): string[] {
  return roles.filter((role) => {
    const table = variableOf(["plugins", role]);
    return Object.keys(env).some((name) => name === table || name.startsWith(`${table}__`));
  });
}

/** The overrides, tables before the keys inside them, and the variables that match no key. */
export function readOverrides(
  env: Environment,
  schema: Schema,
): { overrides: Override[]; strays: string[] } {
  const known = variables(schema);
  const overrides: Override[] = [];
  const strays: string[] = [];
  for (const [variable, raw] of Object.entries(env)) {
    if (!variable.startsWith("EDGEWARD_")) continue;
    const path = known.get(variable);
    if (path === undefined) strays.push(variable);
    else overrides.push({ variable, path, value: readValue(raw, schemaAt(schema, path)!), raw });
  }
  overrides.sort((a, b) => a.path.length - b.path.length);
  return { overrides, strays: strays.sort() };
}

/** Sets the overridden keys; a table that is missing is made, a value in its place is left. */
export function applyOverrides(
  data: Record<string, unknown>,
  overrides: readonly Override[],
): void {
  for (const { path, value } of overrides) {
    let table: unknown = data;
    for (const key of path.slice(0, -1)) {
      if (isTable(table)) table = table[key] ??= Object.create(null);
    }
    if (isTable(table)) table[path.at(-1)!] = value;
  }
}

/** The known variable that a stray one was meant to be; `roles` may not be loaded. */
export function nearestVariable(
  variable: string,
  schema: Schema,
  roles: readonly string[],
): string | undefined {
  const [, , ...keys] = variable.split("__");
  const ofRoles = roles.map((role) => [variableOf(["plugins", role]), ...keys].join("__"));
  const candidates = [...variables(schema).keys(), ...ofRoles];
  return closest(variable, candidates.filter((name) => name !== variable));
}

/** Every key that can be overridden; not `plugins` itself, whose keys decide what is loaded. */
function variables(schema: Schema, path: Path = []): Map<string, Path> {
  const found = new Map<string, Path>();
  if (path.length > 8) return found;
  for (const [key, inner] of Object.entries(shapeOf(schema) ?? {})) {
    const here = [...path, key];
    if (here.length > 1 || key !== "plugins") found.set(variableOf(here), here);
    for (const [name, deeper] of variables(inner, here)) found.set(name, deeper);
  }
  return found;
}

function readValue(raw: string, schema: Schema): unknown {
  let value: unknown = raw;
  try {
    const document = parse(`value = ${raw}`);
    if (Object.keys(document).length === 1) value = document["value"];
  } catch {
    // Not TOML, so it is a string without quotes.
  }
  return takesText(schema) && typeof value !== "string" ? raw : value;
}
