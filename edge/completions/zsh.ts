/** Completions for zsh: as for bash, and each word with what it means. */
import { branches, flagValues, operandsAt, paths } from "./branches.ts";
import type { Place, Value } from "./grammar.ts";

export function zshScript(places: readonly Place[]): string {
  const skipped = flagValues(places).flatMap(([patterns]) => patterns);
  const flags = places.map(({ path, flags }) => {
    const words = flags.flatMap(({ names, summary }) => names.map((text) => ({ text, summary })));
    return [[`"${path}"`], `offers=(${listOf(words)})`] as const;
  });
  return `#compdef edgeward
# edgeward's completions for zsh; in ~/.zshrc, after compinit: source <(edgeward completions zsh)
_edgeward() {
  local at="" place=0 previous=\${words[CURRENT - 1]} i
  local -a offers
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
${branches([[paths(places), 'at="$at ${words[i]}" place=0'], [skipped, "((i++))"]], 6)}
      *" -"*) ;;
      *) ((place++)) ;;
    esac
  done
  if [[ $PREFIX == --*=* ]]; then
    previous=\${PREFIX%%=*}
    compset -P '*='
  fi
  case "$at $previous" in
${branches(flagValues(places).map(([patterns, value]) => [patterns, `${offer(value)}; return`]), 4)}
  esac
  if [[ $PREFIX == -* ]]; then
    case "$at" in
${branches(flags, 6)}
    esac
    _describe -o flag offers
    return
  fi
  case "$at $place" in
${branches(operandsAt(places).map(([patterns, value]) => [patterns, offer(value)]), 4)}
  esac
}
if [ "$funcstack[1]" = "_edgeward" ]; then _edgeward "$@"; else compdef _edgeward edgeward; fi
`;
}

function offer(value: Value): string {
  if (typeof value !== "string") return `offers=(${listOf(value)}); _describe value offers`;
  return value === "file" ? "_files" : value === "folder" ? "_files -/" : "_message value";
}

/** Each word and its meaning, apart by a colon. */
function listOf(words: readonly { text: string; summary: string }[]): string {
  return words.map(({ text, summary }) => {
    const entry = summary === "" ? text : `${text}:${summary.replaceAll(":", "\\:")}`;
    return `'${entry.replaceAll("'", "'\\''")}'`;
  }).join(" ");
}
