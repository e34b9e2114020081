/** Devices as people see them: those that were let in and those that wait, in one list. */
import type { Ban, JoinState, Waiting } from "../../core/services/peers/mod.ts";
import type { Device } from "./devices.ts";
import type { Row } from "./device_list.ts";
import type { Entry } from "./registry.ts";

export interface ShownRow extends Row {
  /** What it last spoke; null when it has not spoken. */
  readonly profile: "v1" | "v2" | null;
  /** What it may call; null for what every device may. */
  readonly allow: readonly string[] | null;
  readonly calls: number;
  readonly refused: number;
  /** How a key that waits is proven, and the words to compare; null for who does not wait. */
  readonly proof: Waiting["proof"] | null;
  readonly words: string | null;
}

export function rowOfEntry(entry: Entry & { readonly device: Device }): ShownRow {
  const { id, name, fingerprint, firstSeen, profile, allow, calls, refused, device } = entry;
  return {
    ...{ id, name, fingerprint, firstSeen, profile, allow, calls, refused },
    ...{ state: device.state, lastSeen: device.heard, proof: null, words: null },
  };
}

/** @param isTaken whether the name belongs to another key */
export function rowOfWaiting(
  { device, proof, words, firstSeen, lastSeen }: Waiting,
  { isTaken, fingerprint }: { isTaken: boolean; fingerprint: string },
): ShownRow {
  return {
    ...{ id: device, name: null, fingerprint, firstSeen, lastSeen, profile: null, allow: null },
    ...{ calls: 0, refused: 0, state: isTaken ? "CONFLICT" : "PENDING", proof, words },
  };
}

/** A row as JSON, with what people add to it. Instants are RFC 3339. */
export function shownRow(row: ShownRow, ban: Ban | null) {
  const { id, name, state, fingerprint, profile, allow, calls, refused, proof, words } = row;
  return {
    ...{ id, name, state, fingerprint, profile, legacy: profile === "v1" },
    first_seen: instant(row.firstSeen),
    last_seen: row.lastSeen === null ? null : instant(row.lastSeen),
    ...{ allow, calls, refused, proof, words },
    ban: ban === null ? null : {
      by: ban.key === null ? "name" : "key",
      reason: ban.reason,
      until: ban.until === null ? null : instant(ban.until),
    },
  };
}

export type ShownDevice = ReturnType<typeof shownRow>;

/** Finds the ban that keeps a device out: of its name, or of its key under whatever name. */
export function banFinder(
  bans: readonly Ban[],
  shownKey: (key: Uint8Array) => string,
): (row: Pick<Row, "id" | "fingerprint">) => Ban | null {
  const byName = new Map<string, Ban>();
  const byKey = new Map<string, Ban>();
  for (const ban of bans) {
    if (ban.key !== null) byKey.set(shownKey(ban.key), ban);
    else if (ban.kind === "device") byName.set(ban.id, ban);
  }
  return ({ id, fingerprint }) => byName.get(id) ?? byKey.get(fingerprint) ?? null;
}

/** Whether strangers may apply, and until when. */
export function shownJoin({ open, until }: JoinState) {
  return { open, until: until === null ? null : instant(until) };
}

export function instant(t: number): string {
  return new Date(t).toISOString();
}
