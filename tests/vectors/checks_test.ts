/** The checks of every engine in Deno under every Suite, and that our own vectors are what we make. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { checks } from "./checks.ts";
import { lacksVectors, vectorsOf } from "./files.ts";
import { makeVectorFiles } from "./make.ts";
import { suites } from "./suites.ts";

for (const [name, check] of Object.entries(checks)) {
  for (const suite of suites) {
    Deno.test({
      name: `${name} (${suite.name})`,
      ignore: lacksVectors(check),
      fn: async () => void await check.run(suite, vectorsOf(check)),
    });
  }
}

Deno.test("our own vectors are what make.ts makes", async () => {
  for (const [name, text] of Object.entries(await makeVectorFiles())) {
    const file = readFileSync(new URL(name, import.meta.url), "utf8");
    assert.equal(file, text, `${name} is stale: deno run -A tests/vectors/make.ts`);
  }
});
