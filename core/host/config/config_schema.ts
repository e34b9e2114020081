/** The JSON Schema of the configuration file, for editors. */
import { z } from "zod";
import type { AnyPlugin } from "../plugin.ts";
import { siteSchema } from "./_site_schema.ts";

/**
 * Draft 4, because that is the newest draft that the TOML language servers read. A table without a
 * catch-all is closed at every depth, as `parseConfig` treats it.
 */
export function configSchema(plugins: readonly AnyPlugin[]): object {
  return z.toJSONSchema(siteSchema(plugins), {
    target: "draft-4",
    io: "input",
    unrepresentable: "any",
    override({ zodSchema, jsonSchema }) {
      if (zodSchema._zod.def.type === "object") jsonSchema.additionalProperties ??= false;
    },
  });
}
