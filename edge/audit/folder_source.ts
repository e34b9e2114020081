/** A log in a folder, as `--save` left it there: the paths below it are those of the address. */
import { join } from "node:path";
import { CodedError } from "../../core/base/errors.ts";
import { type LogSource, tooLarge, unreadable } from "./source.ts";

export function folderSource(folder: string): LogSource {
  return {
    name: folder,
    read: (path, maxBytes) => Promise.try(readFile, join(folder, path), { path, maxBytes }),
    [Symbol.dispose]() {},
  };
}

/**
 * A file, at once: thousands of small ones are not worth waiting for a thread each.
 * @param options.path how messages call the file
 */
export function readFile(
  file: string,
  { path, maxBytes }: { path: string; maxBytes: number },
): Uint8Array | null {
  try {
    using opened = Deno.openSync(file);
    const { size, isFile } = opened.statSync();
    if (!isFile) throw unreadable(file, "it is no file");
    if (size > maxBytes) throw tooLarge(path, maxBytes);
    const bytes = new Uint8Array(size);
    let at = 0;
    while (at < size) {
      const length = opened.readSync(bytes.subarray(at));
      if (length === null) break;
      at += length;
    }
    return bytes.subarray(0, at);
  } catch (error) {
    if (error instanceof CodedError) throw error;
    // where a folder of the path is a file, there is nothing below it
    const isAbsent = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (isAbsent) return null;
    throw unreadable(file, error);
  }
}
