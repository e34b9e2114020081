/** Completions for bash: a function that walks along the words, then offers what may stand next. */
import { branches, flagValues, operandsAt, paths } from "./branches.ts";
import type { Place, Value } from "./grammar.ts";

export function bashScript(places: readonly Place[]): string {
  const step = 'at="$at ${COMP_WORDS[i]}" place=0';
  const skip = '[ "${COMP_WORDS[i + 1]}" = "=" ] && ((i++)); ((i++))';
  const flags = places.map(({ path, flags }) =>
    [[`"${path}"`], offer(flags.flatMap(({ names }) => names.map(wordOf)))] as const
  );
  return `# edgeward's completions for bash; in ~/.bashrc: source <(edgeward completions bash)
_edgeward() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  local at="" place=0 words="" files="" i
  # bash takes --flag=value apart
  if [ "$current" = "=" ]; then
    current=""
  elif [ "$previous" = "=" ]; then
    previous=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
${
    branches(
      [[paths(places), step], [flagValues(places).flatMap(([patterns]) => patterns), skip]],
      6,
    )
  }
      *" -"*) ;;
      *) ((place++)) ;;
    esac
  done
  case "$at $previous" in
${branches(flagValues(places).map(([patterns, value]) => [patterns, offer(value)]), 4)}
    *)
      case "$current" in
        -*)
          case "$at" in
${branches(flags, 12)}
          esac
          ;;
        *)
          case "$at $place" in
${branches(operandsAt(places).map(([patterns, value]) => [patterns, offer(value)]), 12)}
          esac
          ;;
      esac
      ;;
  esac
  if [ -n "$files" ]; then
    local IFS=$'\\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen "$files" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -F _edgeward edgeward
`;
}

function offer(value: Value): string {
  if (typeof value !== "string") return `words="${value.map(({ text }) => text).join(" ")}"`;
  return value === "file" ? "files=-f" : value === "folder" ? "files=-d" : ":";
}

function wordOf(text: string): { text: string; summary: string } {
  return { text, summary: "" };
}
