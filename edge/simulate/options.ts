/** How long, how fast and with which load a simulation runs, as options of the command line. */
import type { Command } from "commander";
import { positiveNumber, readInput, wholeNumber } from "../options.ts";
import { parseHousehold } from "./household.ts";
import { loadModel } from "./load_model.ts";
import { householdSource, type Source } from "./source.ts";

export interface SimulationOptions {
  readonly household?: string;
  readonly seed: number;
  /** Minutes of load per minute. */
  readonly speed: number;
  /** Seconds. */
  readonly for?: number;
  readonly quiet?: true;
}

export function simulationOptions(command: Command, defaults: { speed: number }): Command {
  return command
    .option(
      "--household <file>",
      "replay a household's file (UCI format) instead of the load model",
    )
    .option("--seed <n>", "seed of everything that is drawn at random", wholeNumber(0, 2 ** 31), 1)
    .option("--speed <n>", "minutes of load per minute", positiveNumber, defaults.speed)
    .option("--for <seconds>", "stop after so many seconds (default: at Ctrl-C)", positiveNumber)
    .option("--quiet", "show no progress");
}

/** @throws CodedError "household_unreadable", "household_malformed" */
export async function loadSource({ household, seed }: SimulationOptions): Promise<Source> {
  if (household === undefined) return loadModel(seed);
  return householdSource(parseHousehold(await readInput(household, "household")));
}

/** A step is one minute of load: milliseconds between steps, and how many, without end unless said. */
export function paceOf(options: SimulationOptions): { interval: number; steps?: number } {
  const interval = 60_000 / options.speed;
  if (options.for === undefined) return { interval };
  return { interval, steps: Math.max(1, Math.round(options.for * 1000 / interval)) };
}
