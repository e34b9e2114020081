/**
 * Database errors without values. drizzle puts every bound parameter into its message, SQLite quotes
 * what it could not read, and both may be a key: what leaves this folder says what kind of failure it
 * was, never with what.
 */
import { CodedError } from "../../base/errors.ts";

export type DatabaseErrorCode =
  | "db_busy"
  | "db_full"
  | "db_io" // the disk fails
  | "db_read_only"
  | "db_gone" // the file was removed or replaced
  | "db_damaged"
  | "db_constraint"
  | "db_closed"
  | "db_failed";

export class DatabaseError extends CodedError<DatabaseErrorCode> {
  override readonly name = "DatabaseError";
}

/** From the driver's code, by its beginning, to ours with its sentence and the next step. */
const meanings: readonly (readonly [string, DatabaseErrorCode, string, string?])[] = [
  ["SQLITE_BUSY", "db_busy", "another process holds its lock"],
  ["SQLITE_LOCKED", "db_busy", "another process holds its lock"],
  ["SQLITE_FULL", "db_full", "the disk is full", "make room on the disk of data_dir"],
  ["SQLITE_IOERR", "db_io", "the disk does not take or give data", "check the disk of data_dir"],
  ["SQLITE_READONLY", "db_read_only", "it cannot be written", "data_dir must be writable"],
  ["SQLITE_PERM", "db_read_only", "it cannot be written", "data_dir must be writable"],
  ["SQLITE_CANTOPEN", "db_read_only", "the file cannot be opened", "data_dir must be writable"],
  ["SQLITE_CORRUPT", "db_damaged", "the file is damaged", "restore data_dir from a backup"],
  ["SQLITE_NOTADB", "db_damaged", "the file is damaged", "restore data_dir from a backup"],
  ["SQLITE_CONSTRAINT", "db_constraint", "a constraint refuses the change"],
  ["CLIENT_CLOSED", "db_closed", "it is closed"],
];

/** Said before a statement runs, of its text alone: it names tables and columns, never a value. */
const aboutTheStatement =
  /^SQLITE_ERROR: (no such (?:table|column): [\w.]+|near "\w+": syntax error)$/;

/** Errors that are not the database's pass unchanged. */
export function withoutValues(error: unknown): unknown {
  const isOurs = /Libsql|Sqlite|Drizzle/;
  let driverError = false;
  for (let e: unknown = error; e instanceof Error; e = e.cause) {
    if (e instanceof DatabaseError) return e;
    driverError ||= isOurs.test(e.constructor.name) || isOurs.test(e.name);
    const { code } = e as { code?: unknown };
    const meaning = meanings.find(([known]) => typeof code === "string" && code.startsWith(known));
    if (meaning !== undefined) return databaseError(meaning[1], meaning[2], meaning[3]);
    const complaint = aboutTheStatement.exec(e.message)?.[1];
    if (driverError && complaint !== undefined) return databaseError("db_failed", complaint);
  }
  return driverError ? databaseError("db_failed", "a statement failed") : error;
}

/** What stopped the database from opening: the driver has no code for that. */
export function openingError(error: unknown): unknown {
  const known = withoutValues(error);
  if (known instanceof DatabaseError) return known;
  return databaseError("db_read_only", "the file cannot be opened", "data_dir must be writable");
}

/** Whether it tells of the machine, and not of what was asked: then others fail too. */
export function isTrouble(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError &&
    !["db_constraint", "db_closed", "db_failed"].includes(error.code);
}

/** `Cannot use the database: WHY` */
export function databaseError(code: DatabaseErrorCode, why: string, hint?: string): DatabaseError {
  return new DatabaseError(code, `Cannot use the database: ${why}`, hint ? { hint } : {});
}
