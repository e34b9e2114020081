/** Branches of `case` in bash and zsh: where on the command line one is, and what to do there. */
import type { Place, Value } from "./grammar.ts";

/** Patterns as the shell reads them, and what belongs to them. */
export type Branch<T> = readonly [patterns: readonly string[], T];

/** The lines of the branches; one without a pattern is left out. */
export function branches(all: readonly Branch<string>[], indent: number): string {
  return all.filter(([patterns]) => patterns.length > 0)
    .map(([patterns, body]) => `${" ".repeat(indent)}${patterns.join(" | ")}) ${body} ;;`)
    .join("\n");
}

/** Every command but the program itself, as its path. */
export function paths(places: readonly Place[]): string[] {
  return places.flatMap(({ path }) => path === "" ? [] : [`"${path}"`]);
}

/** A path and a flag after it: what the flag's value may be. */
export function flagValues(places: readonly Place[]): Branch<Value>[] {
  return grouped(
    places.flatMap(({ path, flags }) =>
      flags.flatMap(({ names, value }): Branch<Value>[] =>
        value === null ? [] : [[names.map((name) => `"${path} ${name}"`), value]]
      )
    ),
  );
}

/** A path and the count of words after it: what the next word may be. */
export function operandsAt(places: readonly Place[]): Branch<Value>[] {
  return grouped(
    places.flatMap(({ path, operands }) =>
      operands.map(({ value, isRepeated }, i): Branch<Value> => [
        [isRepeated ? `"${path} "*` : `"${path} ${i}"`],
        value,
      ])
    ),
  );
}

/** What has the same value becomes one branch. */
function grouped(all: readonly Branch<Value>[]): Branch<Value>[] {
  const groups = new Map<string, [string[], Value]>();
  for (const [patterns, value] of all) {
    const key = JSON.stringify(value);
    const group = groups.get(key) ?? [[], value];
    group[0].push(...patterns);
    groups.set(key, group);
  }
  return [...groups.values()];
}
