/** What the site hears of the chains of fogs: events, log and counters. */
import type { Id } from "../../core/base/id.ts";
import type { Host } from "../../core/host/plugin.ts";
import type { Severity } from "../../core/wire/event.ts";
import type { Appended, ChainChange, Lost, SignedSummary } from "./store.ts";

export interface Tidings {
  appended(fog: Id, news: {
    links: readonly SignedSummary[];
    appended: Appended;
    refused: readonly { index: number; reason: string }[];
  }): void;
  lost(fog: Id, news: { lost: Lost; reason: string }): void;
}

export function tidings({ bus, log, metrics }: Pick<Host, "bus" | "log" | "metrics">): Tidings {
  const taken = metrics.counter(
    "edgeward_summaries_total",
    "Summaries of fogs, by what became of them",
  );
  const refusedCount = metrics.counter(
    "edgeward_summaries_refused_total",
    "Summaries of fogs that were not taken, by reason",
  );
  const missingCount = metrics.counter(
    "edgeward_summaries_missing_total",
    "Summaries that fogs have told to be lost",
  );

  return {
    appended(fog, { links, appended, refused }) {
      appended.outcomes.forEach((outcome, i) => {
        if (outcome !== "conflict") taken.add(1, { outcome });
        if (outcome === "stored") stored(links[i]!.summary);
      });
      for (const { index, reason } of refused) {
        refusedCount.add(1, { reason });
        log.error("a summary was refused", { fog, index, reason });
      }
      changed(fog, appended);
    },

    lost(fog, { lost, reason }) {
      for (const [i, { epoch, from, to }] of lost.missing.entries()) {
        missingCount.add(to - from + 1);
        if (i < holesTold) {
          tell("cloud.summaries_missing", "warning", fog, { epoch, from, to, reason });
        }
      }
      changed(fog, lost);
    },
  };

  function stored({ fog_id, window, revision, num_meters, n }: SignedSummary["summary"]): void {
    const detail = { window, revision, num_meters, n };
    bus.emit({ type: "cloud.summary_stored", severity: "info", subject: fog_id, detail });
  }

  function changed(fog: Id, { conflicts, epochs }: ChainChange): void {
    for (const place of conflicts) tell("cloud.conflict", "alarm", fog, { ...place });
    for (const epoch of epochs) tell("cloud.epoch_began", "warning", fog, { epoch });
  }

  function tell(
    type: "cloud.summaries_missing" | "cloud.conflict" | "cloud.epoch_began",
    severity: Severity,
    fog: Id,
    detail: Record<string, unknown>,
  ): void {
    log[severity === "alarm" ? "error" : "warn"](sentences[type], { fog, ...detail });
    bus.emit({ type, severity, subject: fog, detail });
  }
}

/** Holes of one call that are told one by one; all of them are in the answer of `/completeness`. */
const holesTold = 16;

const sentences = {
  "cloud.summaries_missing": "a fog has lost summaries",
  "cloud.conflict": "a fog contradicts itself",
  "cloud.epoch_began": "a fog has begun a new epoch",
};
