/** Writes values as TOML on one line, and makes up values for samples (TOML 1.0.0). */
import { keyInfo, type Schema } from "./_schema_keys.ts";
import { isTable } from "./_wording.ts";

/** `"text"`, `5`, `[1, 2]`, `{ a = 1 }`. JSON's strings are TOML's, but for DEL. */
export function toToml(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value).replaceAll("\x7f", "\\u007f");
  if (Array.isArray(value)) return `[${value.map(toToml).join(", ")}]`;
  if (value instanceof Date) return value.toISOString();
  if (isTable(value)) {
    const pairs = Object.entries(value).map(([key, inner]) =>
      `${toTomlKey(key)} = ${toToml(inner)}`
    );
    return pairs.length === 0 ? "{}" : `{ ${pairs.join(", ")} }`;
  }
  return String(value).replace("Infinity", "inf").replace("NaN", "nan");
}

/** A key, quoted when it has to be. */
export function toTomlKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : toToml(key);
}

/** What to write for a key: its example, else its default, else a value of the right kind. */
export function exampleOf(schema: Schema): unknown {
  const { example, preset, inner } = keyInfo(schema);
  if (example !== undefined) return example;
  if (preset !== undefined) return preset;
  const { def } = inner._zod;
  switch (def.type) {
    case "number":
      return 0;
    case "boolean":
      return false;
    case "array":
      return [];
    case "object":
    case "record":
      return {};
    case "enum":
      return Object.values(def.entries)[0];
    case "literal":
      return def.values[0];
    case "union":
      return exampleOf(def.options[0]!);
    default:
      return "change-me";
  }
}
