/** Sharing is what share.json says, under every Suite. That the file is what make.ts makes: checks_test. */
import { readFileSync } from "node:fs";
import { playShares, type ShareVectors } from "./share.ts";
import { suites } from "./suites.ts";

const file = new URL("share.json", import.meta.url);

for (const suite of suites) {
  Deno.test(`shares, rosters and keys are those of share.json (${suite.name})`, async () => {
    await playShares(suite, JSON.parse(readFileSync(file, "utf8")) as ShareVectors);
  });
}
