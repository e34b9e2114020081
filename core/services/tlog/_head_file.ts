/**
 * `data_dir/log.head`: a copy of the latest checkpoint outside the database. A database that is put
 * back to an earlier state contradicts it, and then nothing is signed that contradicts it, too.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CodedError, messageOf } from "../../base/errors.ts";
import { writeDurably } from "../durable_file.ts";

const nameOf = (dataDir: string) => join(dataDir, "log.head");

/** The note in the file, or null. @throws CodedError "log_head_unreadable" */
export function readHeadFile(dataDir: string): string | null {
  try {
    return readFileSync(nameOf(dataDir), "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return null;
    throw new CodedError("log_head_unreadable", `Cannot read log.head: ${messageOf(error)}`, {
      hint: "make it readable again: without it the log would not notice that it was rolled back",
    });
  }
}

/** Returns once it is on disk. */
export function writeHeadFile(dataDir: string, note: string): void {
  writeDurably(nameOf(dataDir), note, 0o644);
}
