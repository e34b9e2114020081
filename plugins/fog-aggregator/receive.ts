/**
 * The border of the role: a call of an enrolled meter is one signed batch. What is not authentic or
 * not readable refuses the whole batch, what cannot be true refuses single readings; both are counted
 * by reason and answered with it. While the fog does not know the time, batches wait on disk.
 */
import type { Host } from "../../core/host/plugin.ts";
import { CodedError } from "../../core/base/errors.ts";
import { type Handler, Refusal } from "../../core/services/sessions/mod.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import type { Verification } from "../../core/services/verification.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import {
  type Batch,
  decodeBatch,
  encodeReceipt,
  Flag,
  type Reading,
  type ReadingRefusal,
  readingsType,
  type Receipt,
} from "../../core/wire/reading.ts";
import type { FogClock } from "./clock.ts";
import type { Config } from "./config.ts";
import type { Ingest } from "./ingest.ts";
import { refusalOf, type Tell } from "./refusals.ts";
import type { Waiting } from "./waiting.ts";

interface Parts {
  readonly clock: Pick<FogClock, "now" | "doubt" | "hear">;
  readonly ingest: Pick<Ingest, "store">;
  readonly waiting: Pick<Waiting, "store">;
  readonly limits: Pick<Config, "max_power_W" | "max_voltage_V">;
  readonly tell: Tell;
  /** Says why nothing may be stored, or null. */
  readonly blocked: () => string | null;
}

/** Answers each batch with a receipt, once it is on disk. */
export function receiveBatch(
  { suite, verification }: Pick<Host, "suite" | "verification">,
  parts: Parts,
): Handler {
  const { clock, ingest, waiting, limits, tell } = parts;
  const check: Verification["verify"] = verification.verify.bind(verification);
  const verifiers = new WeakMap<Peer, StatementVerifier>();
  const usual = new Map<number, Uint8Array>();

  return async (statement, peer) => {
    const blocked = parts.blocked();
    if (blocked !== null) {
      throw new CodedError("storage_full", `Cannot take the batch: ${blocked}`);
    }
    const batch = decodeBatch(await verifierOf(peer).openBy(check, statement));
    if (batch.meter !== peer.id) {
      throw new Refusal("wrong_meter", "Cannot take the batch: it is of another meter");
    }
    hear(batch);
    if (clock.doubt !== null) return encoded(await kept(batch, statement));
    const receipt = await taken(batch, statement);
    tell(batch.meter, receipt);
    return encoded(receipt);
  };

  /** What a meter measured last says what time it is there. */
  function hear({ meter, readings }: Batch): void {
    const last = readings.at(-1)!;
    if ((last.flags & Flag.clockUnset) === 0) clock.hear(meter, last.t);
  }

  function taken(batch: Batch, statement: Uint8Array): Receipt | Promise<Receipt> {
    const now = clock.now();
    const readings: Reading[] = [];
    const refused: { seq: number; reason: ReadingRefusal }[] = [];
    for (const reading of batch.readings) {
      const reason = refusalOf(reading, now, limits);
      if (reason !== null) refused.push({ seq: reading.seq, reason });
      else readings.push(reading.flags & Flag.clockUnset ? { ...reading, t: now } : reading);
    }
    if (readings.length === 0) return { accepted: 0, duplicates: 0, refused };
    return ingest.store({ ...batch, readings, statement, receivedAt: now }, refused);
  }

  /** Nobody knows yet which are new and which are from the future. */
  async function kept(batch: Batch, statement: Uint8Array): Promise<Receipt> {
    const refused: { seq: number; reason: ReadingRefusal }[] = [];
    for (const reading of batch.readings) {
      const reason = refusalOf(reading, null, limits);
      if (reason !== null) refused.push({ seq: reading.seq, reason });
    }
    const accepted = batch.readings.length - refused.length;
    if (accepted > 0) await waiting.store(batch, statement);
    tell(batch.meter, { accepted: 0, duplicates: 0, refused });
    return { accepted, duplicates: 0, refused };
  }

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
      verifier = new StatementVerifier(suite, peer.signKey!, readingsType);
      verifiers.set(peer, verifier);
    }
    return verifier;
  }
}
