/**
 * What the role writes into the site's log, in the transaction that does it: every summary that is
 * stored, by the hash of its statement; what fogs say to have lost; and contradictions. Those hold the
 * hash of the statement among their details: it is evidence, and proves nothing of a window.
 */
import { toHex } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { AuditEntry, SiteAudit } from "../../core/services/audit.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Link } from "../../core/wire/uplink.ts";
import type { ChainRange, Decision, SignedSummary } from "./store.ts";

/** News of one fog's chain. */
export interface ChainNews {
  readonly stored?: readonly SignedSummary[];
  readonly missing?: readonly ChainRange[];
  /** Why they are missing, as the fog has it. */
  readonly reason?: string;
  readonly contradictions: readonly Link[];
}

export interface History {
  chainChanged(tx: Queries, fog: Id, news: ChainNews): Promise<void>;
  decided(tx: Queries, decision: Omit<Decision, "limit"> & { windows: number }): Promise<void>;
}

export function historyOf(audit: Pick<SiteAudit, "append" | "appendAll">): History {
  return {
    async chainChanged(tx, fog, { stored = [], missing = [], reason, contradictions }) {
      const told = { actor: fog, subject: fog };
      const entries: AuditEntry[] = [
        ...stored.map(({ summary: { epoch, seq, window, revision }, hash }) => {
          const detail = { epoch, seq, window, revision };
          return { ...told, type: "summary.stored", detail, statement: hash };
        }),
        ...missing.map((range) => {
          return { ...told, type: "cloud.summaries_missing", detail: { ...range, reason } };
        }),
        ...contradictions.map(({ epoch, seq, hash }) => {
          return { ...told, type: "cloud.conflict", detail: { epoch, seq, hash: toHex(hash) } };
        }),
      ];
      if (entries.length > 0) await audit.appendAll(tx, entries);
    },

    decided: (tx, { fog, actor, from, to, epoch, windows }) =>
      audit.append(tx, {
        ...{ type: "windows.decided", actor, subject: fog },
        detail: { from, to, epoch, windows },
      }),
  };
}
