/** Which events are the end of what others began: then the older message is changed, not a new one sent. */
import type { EventType, Severity } from "../../core/wire/event.ts";

const ends: Partial<Record<EventType, readonly EventType[]>> = {
  "device.approved": ["device.pending"],
  "device.removed": ["device.pending", "device.offline"],
  "device.banned": ["device.pending"],
  "device.authorized": ["device.offline"],
  "unlock.released": ["unlock.pending"],
  "unlock.denied": ["unlock.pending"],
  "unlock.mount_ok": ["unlock.mount_fail", "unlock.unconfirmed"],
  "fog.uplink_up": ["fog.uplink_down"],
  "fog.storage_free": ["fog.storage_full"],
  "fog.clock_trusted": ["fog.clock_doubted"],
};

const beginnings: ReadonlySet<EventType> = new Set(Object.values(ends).flat());

/** What the event may be the end of, of the same role and subject. */
export function endedBy(type: EventType): readonly EventType[] {
  return ends[type] ?? [];
}

/** Whether there may come an end of it. */
export function mayEnd(type: EventType): boolean {
  return beginnings.has(type);
}

/** Whether somebody wants to hear of an end by itself, though the message of the beginning shows it. */
export function isNews({ severity }: { severity: Severity }): boolean {
  return severity !== "info";
}

/** How something ended. */
export interface End {
  readonly type: EventType;
  /** Unix milliseconds. */
  readonly t: number;
}
