/**
 * Database errors without values. drizzle puts every bound parameter into its message, and a bound
 * parameter may be a key: what leaves this folder says what failed, never with what.
 */
import { CodedError } from "../../base/errors.ts";

export type DatabaseErrorCode =
  | "db_busy"
  | "db_full" // the disk is full
  | "db_read_only"
  | "db_damaged"
  | "db_constraint"
  | "db_closed"
  | "db_failed";

export class DatabaseError extends CodedError<DatabaseErrorCode> {
  override readonly name = "DatabaseError";
}

const meanings: readonly (readonly [RegExp, DatabaseErrorCode, string])[] = [
  [/SQLITE_BUSY|SQLITE_LOCKED|database is locked/, "db_busy", "another process holds its lock"],
  [/SQLITE_FULL|disk is full/, "db_full", "the disk is full"],
  [/SQLITE_IOERR/, "db_full", "the disk does not take or give data"],
  [/SQLITE_READONLY|SQLITE_PERM|readonly database/, "db_read_only", "it cannot be written"],
  [/SQLITE_CANTOPEN|unable to open/, "db_read_only", "the file cannot be opened"],
  [/SQLITE_CORRUPT|SQLITE_NOTADB|malformed|not a database/, "db_damaged", "the file is damaged"],
  [/SQLITE_CONSTRAINT/, "db_constraint", "a constraint refuses the change"],
  [/CLIENT_CLOSED|client is closed/, "db_closed", "it is closed"],
];

/** Errors that are not the database's pass unchanged. */
export function withoutValues(error: unknown): unknown {
  const texts: string[] = [];
  let foreign = true;
  for (let e: unknown = error; e instanceof Error; e = e.cause) {
    if (e instanceof DatabaseError) return e;
    if (/Libsql|Sqlite|Drizzle/i.test(e.constructor.name + e.name)) foreign = false;
    const code = (e as { code?: unknown }).code;
    // the driver's own message has no values in it; drizzle's has
    texts.push(
      `${typeof code === "string" ? code : ""} ${
        /Drizzle/.test(e.constructor.name + e.name) ? "" : e.message
      }`,
    );
  }
  if (foreign) return error;
  const text = texts.join(" ");
  const [, code, why] = meanings.find(([pattern]) => pattern.test(text)) ??
    [/$/, "db_failed" as const, statementTrouble(text)];
  return new DatabaseError(code, `Cannot use the database: ${why}`);
}

/** SQLite's complaint about the text of a statement names tables and columns only. */
function statementTrouble(text: string): string {
  return /no such (table|column): \w+|near "\w{1,20}": syntax error|has no column named \w+/.exec(
    text,
  )?.[0] ??
    "a statement failed";
}
