/**
 * What devices say about their starts. A report is a statement of the device: its signature is checked,
 * its hash goes into the site's log, and the same one again changes nothing. `MOUNT_OK` and `MOUNT_FAIL`
 * settle what was released for that start.
 */
import { sql } from "drizzle-orm";
import { toHex } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import { Refusal } from "../../core/services/sessions/mod.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import { type BootEventName, bootEventType, decodeBootEvent } from "../../core/wire/boot_event.ts";
import type { Boot } from "../../core/wire/unlock.ts";
import type { Limits } from "./limits.ts";
import { bootDetail } from "./release.ts";
import { type MountOutcome, settle } from "./releases.ts";
import type { Tidings } from "./tidings.ts";

/** Reports of one device that are known again: more than it makes before it learns that they came. */
const kept = 256;

/** A report whose sender is certain. */
export interface Report {
  readonly device: Id;
  readonly event: BootEventName;
  readonly volume: Uint8Array | null;
  /** Null where the way of reporting knows of no starts. */
  readonly boot: Boot | null;
  /** What it is known again by, 32 bytes. */
  readonly hash: Uint8Array;
  /** Whether the hash is of a statement, which proves it. */
  readonly isSigned: boolean;
}

export type Reporting = (statement: Uint8Array, peer: Peer) => Promise<void>;

/** Takes reports of sessions. @throws Refusal, StatementError, BootEventError, DatabaseError */
export function takeReports(
  host: Pick<Host & Services, "audit" | "clock" | "db" | "suite">,
  { limits, tidings }: { limits: Limits; tidings: Tidings },
): Reporting {
  const verifiers = new WeakMap<Peer, StatementVerifier>();

  return async (statement, peer) => {
    if (limits.take(peer.id, "report") > 0) {
      throw new Refusal("rate", "Cannot take the report: there are too many");
    }
    const { device, event, volume, boot } = decodeBootEvent(verifierOf(peer).open(statement));
    if (device !== peer.id) {
      throw new Refusal("wrong_device", "Cannot take the report: it is of another device");
    }
    const hash = host.suite.sha256(statement);
    const report = { device, event, volume, boot, hash, isSigned: true };
    const tell = await host.db.write((tx) => writeReport(tx, host, report));
    tell?.(tidings);
  };

  function verifierOf(peer: Peer): StatementVerifier {
    let verifier = verifiers.get(peer);
    if (verifier === undefined) {
      verifier = new StatementVerifier(host.suite, peer.signKey!, bootEventType);
      verifiers.set(peer, verifier);
    }
    return verifier;
  }
}

/** Returns what to tell once it is on disk; null when it is known already. */
export async function writeReport(
  tx: Queries,
  { audit, clock }: Pick<Host, "audit" | "clock">,
  { device, event, volume, boot, hash, isSigned }: Report,
): Promise<((tidings: Tidings) => void) | null> {
  const now = clock();
  const { rowsAffected } = await tx.run(sql`INSERT INTO share_gateway_reports
      (hash, device, event, received_at)
    VALUES (${hash}, ${device}, ${event}, ${now}) ON CONFLICT DO NOTHING`);
  if (rowsAffected === 0) return null;
  await tx.run(sql`DELETE FROM share_gateway_reports WHERE device = ${device} AND id <= (
    SELECT id FROM share_gateway_reports WHERE device = ${device}
    ORDER BY id DESC LIMIT 1 OFFSET ${kept})`);
  const outcome = outcomes[event];
  if (outcome !== undefined) await settle(tx, { device, volume, boot, outcome }, now);
  const detail = {
    ...(volume !== null && { volume: toHex(volume) }),
    ...(boot !== null && bootDetail(boot)),
  };
  await audit.append(tx, {
    ...{ type: `unlock.${event.toLowerCase()}`, actor: device, subject: device, detail },
    ...(isSigned && { statement: hash }),
  });
  return (tidings) => tidings.reported(device, event, detail);
}

const outcomes: Partial<Record<BootEventName, MountOutcome>> = {
  MOUNT_OK: "mount_ok",
  MOUNT_FAIL: "mount_fail",
};
