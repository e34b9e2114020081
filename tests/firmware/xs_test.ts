/**
 * The PURE floors inside XS, the engine of the Moddable SDK: every module is evaluated there, with
 * nothing but the language and the text codecs, and the checks of tests/vectors give what they give
 * in Deno.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checks } from "../vectors/checks.ts";
import { lacksVectors, vectorsOf } from "../vectors/files.ts";
import { plainSuite } from "../vectors/plain_suite.ts";
import { bundle } from "./_bundle.ts";
import { missing } from "./_home.ts";
import type { Answer, Request } from "./_inside.ts";
import { Machine } from "./_machine.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const pureFiles = ["core/base", "core/trust", "core/wire"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith("_test.ts"))
    .map((file) => `${folder}/${file}`)
).sort();
const milliseconds = 60_000;

/** Made once, by the first test that needs it. */
let script: Promise<string> | undefined;

Deno.test({
  name: "every PURE module is evaluated in XS",
  ignore: missing,
  async fn() {
    assert.ok(pureFiles.length > 20, pureFiles.join());
    assert.deepEqual(await inXS({ check: "modules", vectors: null }), pureFiles);
  },
});

for (const [name, check] of Object.entries(checks)) {
  Deno.test({
    name: `${name} (XS)`,
    ignore: missing || lacksVectors(check),
    async fn() {
      const vectors = vectorsOf(check);
      const here = await check.run(plainSuite(), vectors) ?? null;
      assert.deepEqual(await inXS({ check: name, vectors }), here);
    },
  });
}

async function inXS(request: Request): Promise<unknown> {
  await using machine = await Machine.start(await (script ??= bundle(entryOf(pureFiles))));
  const answer = await machine.request(JSON.stringify(request), { milliseconds });
  if (answer === "") throw new Error("XS did not finish: it waits for what never comes");
  const { value, error } = JSON.parse(answer) as { value?: unknown; error?: string } & Answer;
  if (error !== undefined) throw new Error(`XS: ${error}`);
  return value;
}

/** Imports every file whole, so that nothing of it is left out, after the engine is made bare. */
function entryOf(files: readonly string[]): string {
  return [
    'import "./tests/firmware/_engine.ts";',
    'import { serve } from "./tests/firmware/_inside.ts";',
    ...files.map((file, i) => `import * as m${i} from "./${file}";`),
    `serve({ ${files.map((file, i) => `"${file}": m${i}`).join(", ")} });`,
  ].join("\n");
}
