/** `--misbehave`: how simulated devices are told to misbehave, and what is said of it in the end. */
import { InvalidArgumentError, Option } from "commander";
import type { Kinds, MisdeedsOf } from "./mischief.ts";

/** `--misbehave KIND[,KIND…]`, which may be given more than once. @param who "meters", for instance */
export function misbehaviourOption<K extends string>(kinds: Kinds<K>, who: string): Option {
  const names = namesOf(kinds);
  return new Option("--misbehave <kinds>", `let the ${who} misbehave: see below`)
    .argParser((text: string, before: readonly K[] = []) => {
      const told = text.split(",").map((name) => {
        const kind = names.find((one) => one === name.trim());
        if (kind !== undefined) return kind;
        throw new InvalidArgumentError(`expected some of ${names.join(", ")}.`);
      });
      return [...new Set([...before, ...told])];
    });
}

/** Stands below the options. @param one "a meter", for instance */
export function misbehavioursHelp<K extends string>(kinds: Kinds<K>, one: string): string {
  const names = namesOf(kinds);
  const width = Math.max(...names.map(({ length }) => length));
  return [
    "",
    `Misbehaviour (--misbehave KIND[,KIND...], repeatable by --seed): ${one}, now and then,`,
    ...names.map((kind) => `  ${kind.padEnd(width)}  ${kinds[kind].does}`),
  ].join("\n");
}

/** A line for everything that happened, so that it can be compared with what the sites say. */
export function misdeedsText<K extends string>(kinds: Kinds<K>, misdeeds: MisdeedsOf<K>): string[] {
  return namesOf(kinds).flatMap((kind) => {
    const count = misdeeds[kind];
    return count === undefined ? [] : [`${kind}: ${count} ${kinds[kind].counted}`];
  });
}

function namesOf<K extends string>(kinds: Kinds<K>): readonly K[] {
  return Object.keys(kinds) as K[];
}
