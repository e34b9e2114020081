/**
 * What the program writes: results on standard output, everything else on standard error behind
 * `edgeward: `. Progress is one line that rewrites itself, on a terminal only.
 */

const encoder = new TextEncoder();

/** A line of result. */
export function printLine(text: string): void {
  writeAll(Deno.stdout, `${text}\n`);
}

/** One JSON value on a line. */
export function printJson(value: unknown): void {
  printLine(JSON.stringify(value));
}

/** A line for the person at the terminal. */
export function warnLine(text: string): void {
  writeAll(Deno.stderr, `edgeward: ${text}\n`);
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
  } catch (error) {
    // whoever read our output has had enough: `edgeward … | head`
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** A progress line; silent where nobody would see it move. */
export interface Progress extends Disposable {
  show(text: string): void;
  /** Takes the line away for other output; the next `show` brings it back. */
  clear(): void;
}

export function progress(options: { quiet?: boolean } = {}): Progress {
  const visible = !options.quiet && Deno.stderr.isTerminal();
  const clear = () => {
    if (visible) writeAll(Deno.stderr, "\r\x1b[2K");
  };
  return {
    clear,
    show(text) {
      clear();
      if (visible) writeAll(Deno.stderr, text);
    },
    [Symbol.dispose]: clear,
  };
}
