/**
 * What an audit finds out: checks that held, told one by one, and the first thing that is wrong, which
 * ends it and is named by the file in which it is.
 */
import { CodedError } from "../../core/base/errors.ts";

export type FindingErrorCode =
  | "log_wrong" // something is not what was signed
  | "log_incomplete" // something that must be there is not
  | "log_other" // another log than the one that was meant
  | "quorum_missing" // too few witnesses have cosigned
  | "key_missing"; // nothing says whose log it is

export class FindingError extends CodedError<FindingErrorCode> {
  override readonly name = "FindingError";
  /** The file of the log in which it is, as `tile/0/001.p/44`; null when it is in none. */
  readonly where: string | null;

  constructor(
    code: FindingErrorCode,
    message: string,
    options: { where?: string; hint?: string; cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.where = options.where ?? null;
  }
}

/** One thing that was looked at. */
export interface Check {
  readonly part: string;
  /** `degraded`: it was not, or not all of it, and that may matter. */
  readonly state: "ok" | "degraded";
  readonly what: string;
  /** The same for programs: members of one object that holds those of every check. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export type Found = (check: Check) => void;
