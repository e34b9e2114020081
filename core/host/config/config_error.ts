/**
 * The one error of this folder. Its message begins with the place, as compilers write it, and names
 * keys but never values: a configuration may hold a secret in the wrong place.
 */
import { CodedError } from "../../base/errors.ts";

type Code = "config_missing" | "config_unreadable" | "config_syntax" | "config_invalid";

/** A configuration that cannot be used. @example `site.toml:12:1: unknown key "windo" in [http]` */
export class ConfigError extends CodedError<Code> {
  override readonly name = "ConfigError";
  /** The file as the caller named it; absent when an environment variable is at fault. */
  readonly file: string | undefined;
  /** Counted from 1. */
  readonly line: number | undefined;
  /** Counted from 1, in UTF-16 code units. */
  readonly column: number | undefined;
  /** How many further problems there are: the message tells of the first one in file order. */
  readonly more: number;

  constructor(
    code: Code,
    message: string,
    options: { hint?: string; file?: string; line?: number; column?: number; more?: number } = {},
  ) {
    super(code, message, options);
    this.file = options.file;
    this.line = options.line;
    this.column = options.column;
    this.more = options.more ?? 0;
  }
}
