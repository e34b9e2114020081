/**
 * What a zod schema says about the keys of a table. It looks through the wrappers (default,
 * prefault, optional, …) and, at a transform, at what goes in: this is the file's side of a schema.
 */
import { z } from "zod";
import { isTable, type Path } from "./_wording.ts";

export type Schema = z.core.$ZodType;

/** One key as its schema declares it. */
export interface KeyInfo {
  readonly required: boolean;
  readonly description: string | undefined;
  /** The default as one writes it in the file. */
  readonly preset: unknown;
  /** From `.meta({ example })`. */
  readonly example: unknown;
  /** The schema inside the wrappers. */
  readonly inner: z.core.$ZodTypes;
}

/** Unwraps a schema down to the one that looks at the text of the file. */
export function keyInfo(schema: Schema): KeyInfo {
  let inner = schema as z.core.$ZodTypes;
  let description: string | undefined, example: unknown, preset: unknown;
  let isPresetOutput = false;
  for (;;) {
    const meta = z.globalRegistry.get(inner);
    description ??= meta?.description;
    example ??= meta?.["example"];
    const def = inner._zod.def;
    let next: Schema;
    switch (def.type) {
      case "default":
      case "prefault":
        preset ??= def.defaultValue;
        isPresetOutput = def.type === "default";
        next = def.innerType;
        break;
      case "optional":
      case "nullable":
      case "nonoptional":
      case "readonly":
      case "catch":
        next = def.innerType;
        break;
      case "lazy":
        next = def.getter();
        break;
      case "pipe":
        if (isPresetOutput) preset = undefined;
        next = isTransform(def.in) ? def.out : def.in;
        break;
      default:
        return { required: isRequired(schema), description, preset, example, inner };
    }
    inner = next as z.core.$ZodTypes;
  }
}

/** The keys of a table's schema; absent when the schema is not of a table. */
export function shapeOf(schema: Schema): Readonly<Record<string, Schema>> | undefined {
  const { def } = keyInfo(schema).inner._zod;
  return def.type === "object" ? def.shape : undefined;
}

/** The schema of the key at a path; absent when no table declares it. */
export function schemaAt(schema: Schema, path: Path): Schema | undefined {
  let current: Schema | undefined = schema;
  for (const part of path) {
    const def: z.core.$ZodTypes["_zod"]["def"] = keyInfo(current).inner._zod.def;
    if (def.type === "object" && Object.hasOwn(def.shape, part)) current = def.shape[part];
    else if (def.type === "array") current = def.element;
    else if (def.type === "record") current = def.valueType;
    else return undefined;
    if (current === undefined) return undefined;
  }
  return current;
}

/** Whether every value that the schema accepts is written as a string. */
export function takesText(schema: Schema): boolean {
  const { def } = keyInfo(schema).inner._zod;
  switch (def.type) {
    case "string":
    case "template_literal":
      return true;
    case "enum":
      return Object.values(def.entries).every((value) => typeof value === "string");
    case "literal":
      return def.values.every((value) => typeof value === "string");
    case "union":
      return def.options.every(takesText);
    default:
      return false;
  }
}

/**
 * The paths of all keys that no schema declares. zod drops them in silence unless every nested
 * table is strict, and never looks at `__proto__` in a record; in a configuration both are mistakes.
 */
export function unknownKeys(schema: Schema, value: unknown, path: Path = []): Path[] {
  const { def } = keyInfo(schema).inner._zod;
  if (def.type === "array" && Array.isArray(value)) {
    return value.flatMap((entry, i) => unknownKeys(def.element, entry, [...path, i]));
  }
  if (!isTable(value)) return [];
  return Object.keys(value).flatMap((key): Path[] => {
    const here = [...path, key];
    if (def.type === "record" && key !== "__proto__") {
      return unknownKeys(def.valueType, value[key], here);
    }
    if (def.type !== "object" && def.type !== "record") return [];
    if (def.type === "object" && Object.hasOwn(def.shape, key)) {
      return unknownKeys(def.shape[key]!, value[key], here);
    }
    const isOpen = def.type === "object" && def.catchall !== undefined &&
      def.catchall._zod.def.type !== "never" && key !== "__proto__";
    return isOpen ? [] : [here];
  });
}

function isTransform(schema: Schema): boolean {
  return schema._zod.def.type === "transform";
}

function isRequired(schema: Schema): boolean {
  return schema._zod.optin === undefined;
}
