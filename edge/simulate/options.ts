/** Where a simulation's load comes from, as options of the command line. */
import type { Command } from "commander";
import { readInput, wholeNumber } from "../options.ts";
import { parseHousehold } from "./household.ts";
import { loadModel } from "./load_model.ts";
import { householdSource, type Source } from "./source.ts";

/** Adds `--household` and `--seed`. */
export function sourceOptions(command: Command): Command {
  return command
    .option(
      "--household <file>",
      "replay a household's file (UCI format) instead of the load model",
    )
    .option("--seed <n>", "seed of the load model", wholeNumber(0, 2 ** 31), 1);
}

/** @throws CodedError "household_unreadable", "household_malformed" */
export async function loadSource(
  options: { household?: string; seed: number },
): Promise<Source> {
  if (options.household === undefined) return loadModel(options.seed);
  return householdSource(parseHousehold(await readInput(options.household, "household")));
}
