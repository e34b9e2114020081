/** The latest entries of a log, read bundle by bundle from its end. Nothing is checked but the form. */
import { tilePath, tileWidth, widthOf } from "../../core/trust/log/tile.ts";
import { decodeLogEntry, type LogEntry, LogEntryError } from "../../core/wire/log_entry.ts";
import type { NumberedEntry } from "./shown.ts";
import { openCheckpoint } from "./signatures.ts";
import { type LogSource, readBundle, readCheckpoint, wrong } from "./source.ts";

/**
 * The oldest first.
 * @param options.type only entries of this type
 * @throws FindingError, CodedError
 */
export async function latestEntries(
  source: LogSource,
  { last, type }: { last: number; type: string | undefined },
): Promise<NumberedEntry[]> {
  const { size } = openCheckpoint(await readCheckpoint(source), "checkpoint");
  const found: NumberedEntry[] = [];
  for (let index = Math.ceil(size / tileWidth) - 1; index >= 0 && found.length < last; index--) {
    const width = widthOf({ level: "entries", index }, size);
    const entries = await readBundle(source, { index, width });
    for (let i = width - 1; i >= 0 && found.length < last; i--) {
      const entry = entryOf(entries[i]!, tilePath({ level: "entries", index, width }));
      const isMeant = type === undefined || entry.type === type;
      if (isMeant) found.push({ index: index * tileWidth + i, ...entry });
    }
  }
  return found.reverse();
}

function entryOf(bytes: Uint8Array, path: string): LogEntry {
  try {
    return decodeLogEntry(bytes);
  } catch (error) {
    if (error instanceof LogEntryError) throw wrong(path, "it holds what is no entry of a site");
    throw error;
  }
}
