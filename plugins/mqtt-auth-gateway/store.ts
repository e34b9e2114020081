/** The gateway's rows of devices, read when it starts and written in bulk. */
import { sql } from "drizzle-orm";
import type { Queries } from "../../core/services/db/mod.ts";

/** What is kept of a device. Instants are Unix milliseconds. */
export interface StoredDevice {
  /** The fingerprint of its key in hexadecimal, as it was last let in. */
  key: string;
  /** What it last spoke. */
  profile: "v1" | "v2" | null;
  /** It has spoken v2 at some time. */
  pinned: boolean;
  /** Patterns of what it may call; null for what every device may. */
  allow: readonly string[] | null;
  readonly firstSeen: number;
  calls: number;
  refused: number;
}

export interface DeviceRow extends StoredDevice {
  readonly id: string;
  /** When its key was last heard; null when it never was. */
  readonly lastSeen: number | null;
}

interface Row {
  readonly id: string;
  readonly key: string;
  readonly profile: "v1" | "v2" | null;
  readonly pinned_v2: number;
  readonly allow: string | null;
  readonly first_seen: number;
  readonly last_seen: number | null;
  readonly calls: number;
  readonly refused: number;
}

export async function readDevices(q: Queries): Promise<Map<string, DeviceRow>> {
  const rows = await q.all<Row>(sql`SELECT id, key, profile, pinned_v2, allow, first_seen,
    last_seen, calls, refused FROM mqtt_auth_gateway_devices`);
  return new Map(rows.map(({ id, key, profile, pinned_v2, calls, refused, ...row }) => [id, {
    ...{ id, key, profile, calls, refused },
    pinned: pinned_v2 === 1,
    allow: row.allow === null ? null : JSON.parse(row.allow),
    firstSeen: row.first_seen,
    lastSeen: row.last_seen,
  }]));
}

/** Writes devices that are new or have changed; what they may call is not touched. */
export async function writeDevices(tx: Queries, devices: readonly DeviceRow[]): Promise<void> {
  const json = JSON.stringify(
    devices.map(({ id, key, profile, pinned, firstSeen, lastSeen, calls, refused }) => [
      ...[id, key, profile, pinned ? 1 : 0, firstSeen, lastSeen, calls, refused],
    ]),
  );
  await tx.run(sql`INSERT INTO mqtt_auth_gateway_devices
      (id, key, profile, pinned_v2, first_seen, last_seen, calls, refused)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
      value ->> 6, value ->> 7 FROM json_each(${json}) WHERE true
    ON CONFLICT (id) DO UPDATE SET key = excluded.key, profile = excluded.profile,
      pinned_v2 = max(pinned_v2, excluded.pinned_v2), last_seen = excluded.last_seen,
      calls = excluded.calls, refused = excluded.refused`);
}

/** Says what a device may call. Returns whether there is such a device. */
export async function writeAllow(
  tx: Queries,
  id: string,
  allow: readonly string[] | null,
): Promise<boolean> {
  const json = allow === null ? null : JSON.stringify(allow);
  const { rowsAffected } = await tx.run(
    sql`UPDATE mqtt_auth_gateway_devices SET allow = ${json} WHERE id = ${id}`,
  );
  return rowsAffected > 0;
}

/** Forgets what hangs on an id, but for its secrets. */
export async function deleteDevice(tx: Queries, id: string): Promise<void> {
  await tx.run(sql`DELETE FROM mqtt_auth_gateway_devices WHERE id = ${id}`);
  await tx.run(sql`DELETE FROM mqtt_auth_gateway_calls WHERE device = ${id}`);
  await tx.run(sql`DELETE FROM mqtt_auth_gateway_telemetry WHERE device = ${id}`);
}
