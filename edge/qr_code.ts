/**
 * A QR code in characters, two modules each. Readers want dark modules on a light ground with a margin of
 * four; which of its colours a terminal shows as light nobody can know, so both are named. Without
 * colours the blocks are the light modules, as dark terminals show them.
 */
import { renderUnicodeCompact } from "uqr";

/** ISO/IEC 18004 §6.3.8. */
const quietZone = 4;
/** White and black of the 256 colours: other than the first 16, no theme changes them. */
const white = "\x1b[38;5;231m";
const whiteOnBlack = "\x1b[38;5;231;48;5;16m";
const reset = "\x1b[0m";

export interface QrCode {
  readonly lines: readonly string[];
  /** In columns of the terminal. */
  readonly width: number;
}

export function qrCode(text: string, { colours }: { colours: boolean }): QrCode {
  const lines = renderUnicodeCompact(text, { ecc: "L", border: quietZone }).split("\n");
  // the lower half of the last line lies outside of the code, whose height is odd
  const coloured = lines.map((line, i) =>
    `${i === lines.length - 1 ? white : whiteOnBlack}${line}${reset}`
  );
  return { width: lines[0]!.length, lines: colours ? coloured : lines };
}
