/**
 * The one shape of every error that Edgeward raises on purpose: a closed `code` for programs, a
 * sentence for people and, where there is one, a `hint` with the next step. Each floor subclasses it
 * with its own union of codes. A secret never reaches a message.
 */
export class CodedError<Code extends string = string> extends Error {
  override readonly name: string = "CodedError";
  readonly code: Code;
  /** What the reader can do about it: one sentence, shown as `edgeward: hint: …`. */
  readonly hint: string | undefined;

  constructor(code: Code, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** Says in a sentence what was thrown, whatever it was. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
