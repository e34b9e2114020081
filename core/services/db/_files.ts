/**
 * Whether the files of the database are still those that were opened. Into a file that somebody
 * removes or replaces, SQLite goes on writing, and all of that would be acknowledged and lost.
 */
import { type BigIntStats, statSync } from "node:fs";
import { databaseError } from "./_errors.ts";

export class OpenFiles {
  readonly #paths: readonly string[];
  readonly #known = new Map<string, string>();

  /** @param path of the database, just opened; the write-ahead log beside it may be yet to come */
  constructor(path: string) {
    this.#paths = [path, `${path}-wal`];
    this.check();
  }

  /** @throws DatabaseError "db_gone"; no more once the files are back */
  check(): void {
    for (const path of this.#paths) {
      const known = this.#known.get(path);
      const now = identify(statSync(path, { bigint: true, throwIfNoEntry: false }));
      if (known === undefined && now !== undefined) this.#known.set(path, now);
      if (known !== undefined && now !== known) {
        throw databaseError(
          "db_gone",
          "its file was removed or replaced under the running site",
          "stop edgeward before you touch the files in data_dir, and start it afterwards",
        );
      }
    }
  }
}

/** A file that is open keeps its number although it has no name any more. */
function identify(stats: BigIntStats | undefined): string | undefined {
  return stats && `${stats.dev}/${stats.ino}`;
}
