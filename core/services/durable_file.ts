/** Writing a small file so that after a crash it holds either its old contents or its new ones. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { utf8 } from "../base/bytes.ts";

/** Writes beside the file, syncs, renames over it and syncs the directory. */
export function writeDurably(file: string, text: string, mode: number): void {
  const temporary = `${file}.new`;
  rmSync(temporary, { force: true });
  try {
    const handle = openSync(temporary, "wx", mode);
    try {
      const bytes = utf8(text);
      // a disk that is nearly full takes a part of it without complaint
      for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  const directory = openSync(dirname(file), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
