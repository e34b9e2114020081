/** What a log says, as people and programs read it: whoever wrote it may not be a friend. */
import { toHex } from "../../core/base/bytes.ts";
import type { LogEntry } from "../../core/wire/log_entry.ts";

/** An entry, and where in the log it is. */
export interface NumberedEntry extends LogEntry {
  readonly index: number;
}

/** Unix milliseconds as an RFC 3339 instant, where there is one. */
export function instantOf(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? `${milliseconds} ms after 1970` : date.toISOString();
}

/** An entry on a line: number, instant, role, type, actor, subject, and the detail if there is any. */
export function entryLine({ index, t, role, type, actor, subject, detail }: NumberedEntry): string {
  const line = `${index}  ${instantOf(t)}  ${role}  ${type}  ${actor}  ${subject}`;
  return detail === "{}" ? line : `${line}  ${detail}`;
}

/** The same for programs: the detail as what it is JSON of, or else as the text that it is. */
export function shownEntry({ index, t, detail, statement, ...who }: NumberedEntry) {
  const hash = statement === null ? null : toHex(statement);
  return { index, t: instantOf(t), ...who, detail: parsed(detail), statement: hash };
}

function parsed(detail: string): unknown {
  try {
    return JSON.parse(detail);
  } catch {
    return detail;
  }
}
