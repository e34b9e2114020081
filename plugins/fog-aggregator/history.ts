/**
 * What the role writes into the site's log: every batch of readings and every summary, by the hash of
 * its statement, in the transaction that stores it. So nobody takes one away or puts another in its
 * place later, not the operator of this site either.
 */
import { hash } from "node:crypto";
import type { Host } from "../../core/host/plugin.ts";
import type { AuditEntry } from "../../core/services/audit.ts";
import type { Queries } from "../../core/services/db/mod.ts";

export interface History {
  /** Statements of batches that are stored, together: an entry of its own for each would cost more. */
  batchesStored(tx: Queries, statements: readonly Uint8Array[]): Promise<void>;
  /** A summary that is in the outbox. */
  summarySigned(tx: Queries, summary: SignedSummary): Promise<void>;
}

interface SignedSummary {
  readonly epoch: number;
  readonly seq: number;
  readonly window: { readonly start: number; readonly end: number };
  readonly revision: number;
  /** SHA-256 of its statement. */
  readonly hash: Uint8Array;
}

/** With these, 67 bytes each, an entry is well below the 8 KiB that one may have. */
const batchesPerEntry = 100;

/** @param options.readings whether batches are written down, or summaries alone */
export function historyOf(
  { audit, site }: Pick<Host, "audit" | "site">,
  { readings }: { readonly readings: boolean },
): History {
  return {
    async batchesStored(tx, statements) {
      if (!readings) return;
      // at once and as text: the Suite's bytes, and their text after that, cost several times as much
      const hashes = statements.map((statement) => hash("sha256", statement, "hex"));
      const entries: AuditEntry[] = [];
      for (let from = 0; from < hashes.length; from += batchesPerEntry) {
        const batches = hashes.slice(from, from + batchesPerEntry);
        entries.push({
          type: "readings.stored",
          actor: "site",
          subject: site,
          detail: { batches },
        });
      }
      await audit.appendAll(tx, entries);
    },

    summarySigned: (tx, { hash, epoch, seq, window, revision }) =>
      audit.append(tx, {
        type: "summary.signed",
        actor: "site",
        subject: site,
        statement: hash,
        detail: { epoch, seq, window, revision },
      }),
  };
}
