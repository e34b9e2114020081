/** Profile v1 in Deno under every Suite: v1.json comes from another implementation. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { same } from "./same.ts";
import { suites } from "./suites.ts";
import { type LegacyVector, playLegacy } from "./v1.ts";

const file = readFileSync(new URL("v1.json", import.meta.url), "utf8");
const { associations } = JSON.parse(file) as { associations: readonly LegacyVector[] };

for (const suite of suites) {
  Deno.test(`profile v1 is that of v1.json (${suite.name})`, () => {
    assert.equal(associations.length, 3);
    for (const vector of associations) same(playLegacy(suite, vector), vector, vector.name);
  });
}
