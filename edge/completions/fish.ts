/** Completions for fish: a line for each word, with the place where it is offered. */
import type { Flag, Place, Value } from "./grammar.ts";

export function fishScript(places: readonly Place[]): string {
  const paths = places.flatMap(({ path }) => path === "" ? [] : [quoted(path)]);
  const skipped = places.flatMap(({ path, flags }) =>
    flags.flatMap(({ names, value }) =>
      value === null ? [] : names.map((name) => quoted(`${path} ${name}`))
    )
  );
  return `# edgeward's completions for fish: edgeward completions fish > \\
#   ~/.config/fish/completions/edgeward.fish
function __edgeward_at
    set -l at ''
    set -l place 0
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch "$at $word"
            case ${paths.join(" ")}
                set at "$at $word"
                set place 0
            case ${skipped.join(" ")}
                set skip 1
            case '* -*'
            case '*'
                set place (math $place + 1)
        end
    end
    test "$at" = "$argv[1]"; or return 1
    set -q argv[2]; or return 0
    string match -q -- "$argv[2]" $place
end
complete -c edgeward -f
${places.flatMap(linesFor).join("\n")}
`;
}

function linesFor({ path, flags, operands }: Place): string[] {
  return [
    ...flags.map((flag) => line(`__edgeward_at ${quoted(path)}`, flagPart(flag), flag.summary)),
    ...operands.flatMap(({ value, isRepeated }, i) => {
      const condition = `__edgeward_at ${quoted(path)} ${quoted(isRepeated ? "*" : String(i))}`;
      if (typeof value === "string") return value === "anything" ? [] : [line(condition, "-F")];
      return value.map(({ text, summary }) => line(condition, `-a ${quoted(text)}`, summary));
    }),
  ];
}

function line(condition: string, what: string, summary = ""): string {
  const meaning = summary === "" ? "" : ` -d ${quoted(summary)}`;
  return `complete -c edgeward -n ${quoted(condition)} ${what}${meaning}`;
}

function flagPart({ names, value }: Flag): string {
  const parts = names.map((name) =>
    name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`
  );
  return [...parts, ...(value === null ? [] : [valuePart(value)])].join(" ");
}

function valuePart(value: Value): string {
  if (typeof value !== "string") {
    return `-x -a ${quoted(value.map(({ text }) => text).join(" "))}`;
  }
  if (value === "folder") return "-x -a '(__fish_complete_directories)'";
  return value === "file" ? "-r -F" : "-x";
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
