/**
 * What an ordinary release leaves behind, a start, a release and an entry in the log, written down for
 * many devices at once: after a power cut all of them ask in the same second, and a few statements for
 * all cost little more than those for one. Lines that come while others are being written go together
 * into the next transaction.
 */
import type { AuditEntry, SiteAudit } from "../../core/services/audit.ts";
import type { Database, Queries } from "../../core/services/db/mod.ts";
import { recordAll, type ReleaseRecord } from "./releases.ts";
import { rememberBoots, type StartRecord } from "./store.ts";

export interface Line {
  /** Null when it is known already. */
  readonly start: StartRecord | null;
  readonly release: ReleaseRecord;
  readonly entry: AuditEntry;
  /** Asked at the moment of writing: whether what the decision was made from still holds. */
  readonly holds: () => boolean;
}

interface Waiting {
  readonly line: Line;
  readonly done: PromiseWithResolvers<boolean>;
}

/** In one transaction at the most. */
const most = 256;

export class Ledger {
  readonly #host: { readonly db: Database; readonly audit: SiteAudit };
  #waiting: Waiting[] = [];
  /** Whether a transaction will come by for those that wait. */
  #isQueued = false;

  constructor(host: { readonly db: Database; readonly audit: SiteAudit }) {
    this.#host = host;
  }

  /**
   * Resolves once it is on disk, or with false when it no longer holds, and then nothing is written.
   * @throws what the database or the log throws: nothing is written
   */
  write(line: Line): Promise<boolean> {
    const done = Promise.withResolvers<boolean>();
    this.#waiting.push({ line, done });
    if (!this.#isQueued) this.#queue();
    return done.promise;
  }

  #queue(): void {
    this.#isQueued = true;
    let taken: Waiting[] = [];
    const written = this.#host.db.write(async (tx) => {
      this.#isQueued = false;
      taken = this.#waiting.splice(0, most);
      if (this.#waiting.length > 0) this.#queue();
      const holding = taken.filter(({ line }) => line.holds());
      await this.#writeAll(tx, holding.map(({ line }) => line));
      return new Set(holding);
    });
    written.then(
      (holding) => taken.forEach((one) => one.done.resolve(holding.has(one))),
      (error) => {
        // when the transaction never began, whoever waits has waited for it
        if (taken.length === 0) [taken, this.#isQueued] = [this.#waiting.splice(0), false];
        for (const { done } of taken) done.reject(error);
      },
    );
  }

  async #writeAll(tx: Queries, lines: readonly Line[]): Promise<void> {
    if (lines.length === 0) return;
    await Promise.all([
      rememberBoots(tx, lines.flatMap(({ start }) => start ?? [])),
      recordAll(tx, lines.map(({ release }) => release)),
      this.#host.audit.appendAll(tx, lines.map(({ entry }) => entry)),
    ]);
  }
}
