/**
 * Reads published test vectors from the folder `shared/vectors` beside the project. They are not part
 * of the project; where the folder is missing the tests are skipped by name, but in CI they fail.
 */
import { existsSync, readFileSync } from "node:fs";

const folder = new URL("../../../shared/vectors/", import.meta.url);

/** Whether a test over vectors must be skipped here. */
export const missing = !existsSync(folder) && Deno.env.get("CI") !== "true";

/** Parses one vector file. */
export function readVectors<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(file, folder), "utf8")) as T;
}

/** One test of a Project Wycheproof file with its group's properties. */
export interface WycheproofCase {
  readonly tcId: number;
  readonly comment: string;
  readonly flags: readonly string[];
  readonly result: "valid" | "invalid" | "acceptable";
}

/** Every test of a Wycheproof file beside its group. */
export function wycheproof<G, C>(file: string): { group: G; test: C & WycheproofCase }[] {
  const { testGroups } = readVectors<{ testGroups: (G & { tests: (C & WycheproofCase)[] })[] }>(
    `wycheproof/${file}_test.json`,
  );
  return testGroups.flatMap((group) => group.tests.map((test) => ({ group, test })));
}
