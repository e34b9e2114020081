/**
 * What the program asks the person at the terminal, and what it reads from standard input. Questions go
 * to standard error: standard output is for results.
 */
import { CodedError } from "../core/base/errors.ts";

/** More than any answer is long. */
const maxLength = 4_096;
const encoder = new TextEncoder();

/** Whether there is somebody to ask. */
export function canAsk(): boolean {
  return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
}

/** Asks a question to be answered with yes or no; anything but a yes is a no. */
export function confirmed(question: string): boolean {
  return /^y(es)?$/i.test(readLine(`${question} [y/N]`));
}

/**
 * The first line of standard input, without spaces around it. The prompt is shown on a terminal only.
 * @throws CodedError "usage" when the line is too long for an answer
 */
export function readLine(prompt: string): string {
  if (canAsk()) Deno.stderr.writeSync(encoder.encode(`edgeward: ${prompt} `));
  let text = "";
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(maxLength);
  while (!text.includes("\n")) {
    const count = Deno.stdin.readSync(buffer);
    if (count === null) break;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
    if (text.length > maxLength) {
      throw new CodedError("usage", "Cannot take the answer: it is longer than an answer is", {
        hint: "give one line on standard input",
      });
    }
  }
  return text.split("\n")[0]!.trim();
}
