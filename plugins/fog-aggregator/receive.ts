/**
 * The border of the role: a call of an enrolled meter is one signed batch. What is not authentic or
 * not readable refuses the whole batch, what cannot be true refuses single readings; both are counted
 * by reason and answered with it.
 */
import type { Host } from "../../core/host/plugin.ts";
import { type Handler, Refusal } from "../../core/services/sessions/mod.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import {
  decodeBatch,
  encodeReceipt,
  Flag,
  type Reading,
  type ReadingRefusal,
  readingsType,
  type Receipt,
} from "../../core/wire/reading.ts";
import type { Config } from "./config.ts";
import type { Ingest } from "./ingest.ts";

/** How far ahead of the fog's clock a reading may be. */
const maxAhead = 120_000;

/** Answers each batch with a receipt, once it is on disk. */
export function receiveBatch(host: Host, config: Config, ingest: Ingest): Handler {
  const verifiers = new WeakMap<Peer, StatementVerifier>();
  const usual = new Map<number, Uint8Array>();
  const accepted = host.metrics.counter(
    "edgeward_readings_accepted_total",
    "Readings stored for the first time",
  );
  const duplicates = host.metrics.counter(
    "edgeward_readings_duplicate_total",
    "Readings that were stored before",
  );
  const refusedCount = host.metrics.counter(
    "edgeward_readings_refused_total",
    "Readings that were not taken, by reason",
  );

  return async (statement, peer) => {
    const batch = decodeBatch(verifierOf(peer).open(statement));
    if (batch.meter !== peer.id) {
      throw new Refusal("wrong_meter", "Cannot take the batch: it is of another meter");
    }
    const now = host.clock();
    const taken: Reading[] = [];
    const refused: { seq: number; reason: ReadingRefusal }[] = [];
    for (const reading of batch.readings) {
      const reason = refusalOf(reading, now, config);
      if (reason !== null) refused.push({ seq: reading.seq, reason });
      else taken.push(reading.flags & Flag.clockUnset ? { ...reading, t: now } : reading);
    }
    const receipt: Receipt = taken.length === 0
      ? { accepted: 0, duplicates: 0, refused }
      : await ingest.store({ ...batch, readings: taken, statement, receivedAt: now }, refused);
    accepted.add(receipt.accepted);
    if (receipt.duplicates > 0) duplicates.add(receipt.duplicates);
    if (receipt.refused.length > 0) report(peer, receipt.refused);
    return encoded(receipt);
  };

  /** Nearly all receipts say that so many readings were new, and nothing else. */
  function encoded(receipt: Receipt): Uint8Array {
    const { accepted, duplicates, refused } = receipt;
    if (duplicates > 0 || refused.length > 0) return encodeReceipt(receipt);
    let bytes = usual.get(accepted);
    if (bytes === undefined) usual.set(accepted, bytes = encodeReceipt(receipt));
    return bytes;
  }

  function verifierOf(peer: Peer): StatementVerifier {
    let verifier = verifiers.get(peer);
    if (verifier === undefined) {
      verifier = new StatementVerifier(host.suite, peer.signKey!, readingsType);
      verifiers.set(peer, verifier);
    }
    return verifier;
  }

  function report(peer: Peer, refused: Receipt["refused"]): void {
    const reasons: Record<string, number> = {};
    for (const { reason } of refused) {
      reasons[reason] = (reasons[reason] ?? 0) + 1;
      refusedCount.add(1, { reason });
    }
    host.log.warn("readings refused", { meter: peer.id, reasons });
    host.bus.emit({
      type: "reading.refused",
      severity: "conflict" in reasons ? "alarm" : "warning",
      subject: peer.id,
      detail: { reasons },
    });
  }
}

/** Why a reading cannot be true, or null. */
export function refusalOf(
  reading: Reading,
  now: number,
  limits: Pick<Config, "max_power_W" | "max_voltage_V">,
): ReadingRefusal | null {
  const hasTime = (reading.flags & Flag.clockUnset) === 0;
  if (hasTime && reading.t > now + maxAhead) return "future";
  if (Math.abs(reading.power_W) > limits.max_power_W) return "implausible";
  if (reading.voltage_mV > limits.max_voltage_V * 1000) return "implausible";
  return null;
}
