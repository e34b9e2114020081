/** Text that people write about peers and read on terminals and pages: one line of what can be seen. */
import { PeerError } from "./_states.ts";

/** Characters of what a peer is called, and of why it is banned. */
export const longestName = 64;
export const longestReason = 200;

/** Neither control characters nor what turns or hides other text (UAX #44, categories C, Zl, Zp). */
const unseen = /[\p{C}\p{Zl}\p{Zp}]/u;

/** Whether it is one line of at most so many characters that can be seen. */
export function isPrintable(text: string, most: number): boolean {
  return text.length <= 2 * most && [...text].length <= most && !unseen.test(text);
}

/** The text without blanks around it; null when nothing is left. @throws PeerError "bad_text" */
export function printable(
  text: string,
  { what, most }: { what: string; most: number },
): string | null {
  if (isPrintable(text, most)) return text.trim() || null;
  throw new PeerError("bad_text", `Cannot take the ${what}: it is too long, or not one line`, {
    hint: `use at most ${most} characters that can be seen`,
  });
}
