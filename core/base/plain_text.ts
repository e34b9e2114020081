/** Text that others have written, as people read it: nothing in it that acts on what shows it. */

/** Text without anything that moves a cursor or turns the direction of writing (UAX #44, C, Zl, Zp). */
export function plainText(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\u{FFFD}");
}

/** The text as one line of at most so many characters; what was cut off has left a "…". */
export function plainLine(text: string, most: number): string {
  const start = [...text.slice(0, 4 * most).replace(/\s+/g, " ").trim()];
  const isWhole = start.length <= most && text.length <= 4 * most;
  return plainText((isWhole ? start : [...start.slice(0, most - 1), "…"]).join(""));
}
