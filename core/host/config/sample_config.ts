/**
 * Writes a commented configuration from the schemas, as Telegraf does: `##` explains in sentences,
 * `# key = value` shows a default, and only what has to be set is set.
 */
import type { AnyPlugin } from "../plugin.ts";
import { keyInfo, type Schema, shapeOf } from "./_schema_keys.ts";
import { siteSchema } from "./_site_schema.ts";
import { exampleOf, toToml, toTomlKey } from "./_toml_value.ts";

const preamble = [
  "Configuration of an Edgeward site.",
  'A line "# key = value" shows a default: remove the "#" to set the key.',
  "A relative path starts at the folder of this file.",
  "Every key can be set from the environment instead, as EDGEWARD_HTTP__LISTEN.",
];

/** The sample for a site that plays these roles. It parses as it is. */
export function sampleConfig(
  plugins: readonly AnyPlugin[],
  options: { site?: string } = {},
): string {
  const { plugins: roles, ...host } = shapeOf(siteSchema(plugins))!;
  const lines = preamble.map((line) => `## ${line}`);
  writeTable(lines, host, {
    path: [],
    values: options.site === undefined ? {} : { site: options.site },
  });
  for (const [name, schema] of Object.entries(shapeOf(roles!) ?? {})) {
    writeHeader(lines, schema, { path: ["plugins", name] });
    writeTable(lines, shapeOf(schema)!, { path: ["plugins", name] });
  }
  return `${lines.join("\n")}\n`;
}

interface Place {
  readonly path: readonly string[];
  /** Whether the table stays commented out, because setting it is optional. */
  readonly isOff?: boolean;
  /** Values to write instead of the schema's examples. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/** Keys first, then the tables inside, since TOML would take later keys as theirs. */
function writeTable(lines: string[], shape: Readonly<Record<string, Schema>>, place: Place): void {
  const entries = Object.entries(shape);
  for (const [key, schema] of entries.filter(([, schema]) => !shapeOf(schema))) {
    const { required, preset, description } = keyInfo(schema);
    const isSample = !required && preset === undefined;
    if (place.path.length === 0) lines.push("");
    explain(lines, isSample ? `${description ?? ""} Not set by default.` : description);
    const value = place.values?.[key] ?? (preset === undefined ? exampleOf(schema) : preset);
    const pair = `${toTomlKey(key)} = ${toToml(value)}`;
    lines.push(required && !place.isOff ? pair : `# ${pair}`);
  }
  for (const [key, schema] of entries) {
    const inner = shapeOf(schema);
    if (!inner) continue;
    const { required, preset } = keyInfo(schema);
    const isOff = place.isOff === true || (!required && preset === undefined);
    const path = [...place.path, key];
    writeHeader(lines, schema, { path, isOff });
    writeTable(lines, inner, { path, isOff });
  }
}

function writeHeader(lines: string[], schema: Schema, place: Place): void {
  const header = `[${place.path.map(toTomlKey).join(".")}]`;
  lines.push("");
  explain(lines, keyInfo(schema).description);
  lines.push(place.isOff ? `# ${header}` : header);
}

/** Adds sentences as comments, broken between words at 80 columns. */
function explain(lines: string[], text = ""): void {
  let line = "##";
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line.length + word.length >= 80 && line !== "##") {
      lines.push(line);
      line = "##";
    }
    line += ` ${word}`;
  }
  if (line !== "##") lines.push(line);
}
