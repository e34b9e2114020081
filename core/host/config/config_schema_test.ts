/** Tests of what editors learn about the file. */
import assert from "node:assert/strict";
import { fog, plain } from "./_fakes.ts";
import { configSchema } from "./mod.ts";

interface JsonSchema {
  readonly $schema?: string;
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly required?: readonly string[];
  readonly additionalProperties?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
}

const schema = configSchema([fog, plain("other")]) as JsonSchema;

function* tables(of: JsonSchema, path = ""): Generator<[string, JsonSchema]> {
  if (of.properties) yield [path, of];
  for (const [key, inner] of Object.entries(of.properties ?? {})) {
    yield* tables(inner, `${path}.${key}`);
  }
}

Deno.test("configSchema() closes every table and describes every key", () => {
  assert.match(schema.$schema!, /draft-04/);
  for (const [path, table] of tables(schema)) {
    assert.equal(table.additionalProperties, false, path);
    for (const [key, { description }] of Object.entries(table.properties!)) {
      assert.match(description ?? "", /^[A-Z].*\.$/, `${path}.${key}`);
    }
  }
});

Deno.test("configSchema() speaks of the file: defaults as text, required keys only", () => {
  assert.deepEqual(schema.required, ["site", "data_dir"]);
  const role = schema.properties!["plugins"]!.properties!["fog-meter"]!;
  assert.deepEqual(role.required, ["cloud"]);
  const { type, default: preset } = role.properties!["window"]!;
  assert.deepEqual({ type, preset }, { type: "string", preset: "60s" });
});
