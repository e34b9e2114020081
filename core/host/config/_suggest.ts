/** "Did you mean": finds the known word that a misspelt one was meant to be. */

/** A hint that names the nearest known word, or all of them when there are few. */
export function suggest(word: string, known: readonly string[], what: string): string | undefined {
  const near = closest(word, known);
  if (near !== undefined) return `did you mean ${JSON.stringify(near)}?`;
  if (known.length === 0 || known.length > 12) return undefined;
  return `known ${what}: ${known.join(", ")}`;
}

/** The nearest candidate within a third of the word's length and three edits. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > 128) return undefined;
  let least = Math.max(1, Math.min(3, Math.floor(word.length / 3))) + 1;
  let found: string | undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= least) continue;
    const edits = distance(fold(word), fold(candidate));
    if (edits < least) [least, found] = [edits, candidate];
  }
  return found;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll("-", "_");
}

/** Edits between two words, a swap of neighbours being one (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min(above[j - 1]! + (same ? 0 : 1), above[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, before[j - 2]! + 1);
      }
      row.push(edits);
    }
    [before, above] = [above, row];
  }
  return above[b.length]!;
}
