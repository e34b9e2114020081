/**
 * Events: what happened at a site, for people and for other roles. The console, Telegram and the bus
 * carry this one envelope; the list of types is part of the interface.
 */

export const eventTypes = [
  "device.pending",
  "device.approved",
  "device.authorized",
  "device.offline",
  "device.revoked",
  "device.removed",
  "device.conflict",
  "device.banned",
  "device.replaced",
  "device.telemetry",
  "device.event",
  "unlock.pending",
  "unlock.released",
  "unlock.denied",
  "unlock.boot_locked",
  "unlock.mount_ok",
  "unlock.mount_fail",
  "unlock.clone_suspected",
  "unlock.unconfirmed",
  "quorum.low",
  "share.refreshed",
  "reading.refused",
  "fog.window_closed",
  "fog.uplink_down",
  "fog.uplink_up",
  "fog.rolled_back",
  "fog.storage_full",
  "fog.storage_free",
  "fog.data_dropped",
  "fog.summary_set_aside",
  "fog.clock_doubted",
  "fog.clock_trusted",
  "cloud.summary_stored",
  "cloud.summaries_missing",
  "cloud.conflict",
  "cloud.epoch_began",
  "keychain.provisioned",
  "keychain.attested",
  "keychain.refused",
  "keychain.tampered",
  "ota.published",
  "ota.rollout_stopped",
  "bill.issued",
  "broker.rival",
  "broker.retained",
  "policy.changed",
  "admin.signed_in",
  "admin.refused",
  "log.inconsistent",
] as const;

export type EventType = typeof eventTypes[number];
export type Severity = "info" | "warning" | "alarm";

export interface Event {
  /** Rises by one per site since its start. */
  readonly seq: number;
  /** Unix milliseconds. */
  readonly t: number;
  readonly type: EventType;
  readonly severity: Severity;
  readonly role: string;
  /** Whom or what it is about: an identifier. */
  readonly subject: string;
  /** Plain data that can be shown; no secrets. */
  readonly detail: Readonly<Record<string, unknown>>;
}
