/** `--misbehave`: how simulated meters are told to misbehave, and what is said of it in the end. */
import { InvalidArgumentError, Option } from "commander";
import {
  type Misbehaviour,
  misbehaviours,
  misbehavioursExplained,
  type Misdeeds,
} from "./misbehaviour.ts";

/** `--misbehave KIND[,KIND…]`, which may be given more than once. */
export function misbehaviourOption(): Option {
  return new Option("--misbehave <kinds>", "let the meters misbehave: see below")
    .argParser((text: string, before: readonly Misbehaviour[] = []) => {
      const kinds = text.split(",").map((name) => {
        const kind = misbehaviours.find((one) => one === name.trim());
        if (kind !== undefined) return kind;
        throw new InvalidArgumentError(`expected some of ${misbehaviours.join(", ")}.`);
      });
      return [...new Set([...before, ...kinds])];
    });
}

const width = Math.max(...misbehaviours.map(({ length }) => length));

/** Stands below the options. */
export const misbehavioursHelp: string = [
  "",
  "Misbehaviour (--misbehave KIND[,KIND...], repeatable by --seed): a meter, now and then,",
  ...misbehavioursExplained.map(([kind, does]) => `  ${kind.padEnd(width)}  ${does}`),
].join("\n");

/** What each count counts. */
const counted: Record<Misbehaviour, string> = {
  late: "readings held back",
  duplicate: "readings sent again",
  disorder: "readings sent after a later one",
  reset: "counters begun at 0 again",
  rollover: "counters started over",
  replace: "meters replaced",
  clock: "readings with a wrong time, or none",
  gap: "numbers never sent",
};

/** A line for everything that happened, so that it can be compared with what fog and cloud say. */
export function misdeedsText(misdeeds: Misdeeds): string[] {
  return misbehaviours.flatMap((kind) => {
    const count = misdeeds[kind];
    return count === undefined ? [] : [`${kind}: ${count} ${counted[kind]}`];
  });
}
