/** What becomes of readings, counted and, where they are refused, told: as they come or later. */
import type { Id } from "../../core/base/id.ts";
import type { Host } from "../../core/host/plugin.ts";
import { Flag, type Reading, type ReadingRefusal, type Receipt } from "../../core/wire/reading.ts";
import { maxAhead } from "./clock.ts";
import type { Config } from "./config.ts";

type Limits = Pick<Config, "max_power_W" | "max_voltage_V">;

/** Why a reading cannot be true, or null. @param now null when nobody knows the time */
export function refusalOf(
  reading: Reading,
  now: number | null,
  limits: Limits,
): ReadingRefusal | null {
  const hasTime = (reading.flags & Flag.clockUnset) === 0;
  if (now !== null && hasTime && reading.t > now + maxAhead) return "future";
  if (Math.abs(reading.power_W) > limits.max_power_W) return "implausible";
  if (reading.voltage_mV > limits.max_voltage_V * 1000) return "implausible";
  return null;
}

/** Hears the receipt of every batch; where there is none yet, of what was refused. */
export type Tell = (meter: Id, receipt: Receipt) => void;

export function tellReceipts({ bus, log, metrics }: Pick<Host, "bus" | "log" | "metrics">): Tell {
  const accepted = metrics.counter(
    "edgeward_readings_accepted_total",
    "Readings stored for the first time",
  );
  const duplicates = metrics.counter(
    "edgeward_readings_duplicate_total",
    "Readings that were stored before",
  );
  const refusedCount = metrics.counter(
    "edgeward_readings_refused_total",
    "Readings that were not taken, by reason",
  );
  return (meter, receipt) => {
    if (receipt.accepted > 0) accepted.add(receipt.accepted);
    if (receipt.duplicates > 0) duplicates.add(receipt.duplicates);
    if (receipt.refused.length === 0) return;
    const reasons: Record<string, number> = {};
    for (const { reason } of receipt.refused) {
      reasons[reason] = (reasons[reason] ?? 0) + 1;
      refusedCount.add(1, { reason });
    }
    log.warn("readings refused", { meter, reasons });
    bus.emit({
      type: "reading.refused",
      severity: "conflict" in reasons ? "alarm" : "warning",
      subject: meter,
      detail: { reasons },
    });
  };
}
