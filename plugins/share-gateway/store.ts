/** Devices and their volumes in the database: what a decision goes by, and what it leaves behind. */
import { sql } from "drizzle-orm";
import { equalBytes } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Scheme } from "../../core/trust/share/scheme.ts";
import type { Boot } from "../../core/wire/unlock.ts";
import type { KnownVolume } from "./policy.ts";

/** Who asks. */
export interface Caller {
  readonly device: Id;
  /** The key of its session; null for a face, which knows of no starts either. */
  readonly key: Uint8Array | null;
}

/** How long a volume may be sealed again by the start that made it: its answer may have been lost. */
const sealingAge = 10 * 60_000;

interface DeviceRow {
  readonly noise_key: ArrayBuffer;
  readonly counter: number | null;
  readonly boot: ArrayBuffer | null;
  readonly suspended_at: number | null;
}

/** The last start of a device, and whether a clone is suspected. Another key is another hardware. */
export async function deviceOf(
  q: Queries,
  { device, key }: Caller,
): Promise<{ lastBoot: Boot | null; isSuspended: boolean }> {
  const [row] = await q.all<DeviceRow>(sql`SELECT noise_key, counter, boot, suspended_at
    FROM share_gateway_devices WHERE device = ${device}`);
  const isSame = row !== undefined &&
    (key === null || equalBytes(new Uint8Array(row.noise_key), key));
  if (!isSame) return { lastBoot: null, isSuspended: false };
  const { counter, boot, suspended_at } = row;
  return {
    lastBoot: counter === null ? null : { counter, id: new Uint8Array(boot!) },
    isSuspended: suspended_at !== null,
  };
}

export async function rememberBoot(
  tx: Queries,
  { device, key }: Caller,
  { boot, at }: { boot: Boot; at: number },
): Promise<void> {
  await tx.run(sql`INSERT INTO share_gateway_devices (device, noise_key, counter, boot, boot_at)
    VALUES (${device}, ${key}, ${boot.counter}, ${boot.id}, ${at})
    ON CONFLICT (device) DO UPDATE SET counter = excluded.counter, boot = excluded.boot,
      boot_at = excluded.boot_at,
      suspended_at = iif(noise_key = excluded.noise_key, suspended_at, NULL),
      noise_key = excluded.noise_key`);
}

/** From now on the device is refused. */
export async function suspend(tx: Queries, device: Id, at: number): Promise<void> {
  await tx.run(sql`UPDATE share_gateway_devices SET suspended_at = ${at}
    WHERE device = ${device} AND suspended_at IS NULL`);
}

/** Forgets the last start: whichever comes next is the first. False when no such device is known. */
export async function clearDevice(tx: Queries, device: string): Promise<boolean> {
  const { rowsAffected } = await tx.run(sql`UPDATE share_gateway_devices
    SET counter = NULL, boot = NULL, boot_at = NULL, suspended_at = NULL WHERE device = ${device}`);
  return rowsAffected > 0;
}

export interface VolumeName {
  readonly device: Id;
  /** 16 bytes. */
  readonly volume: Uint8Array;
}

/** A volume as it is known here; of a piece also which one it is. */
export interface VolumeRow extends KnownVolume {
  readonly k: number | null;
  readonly n: number | null;
  readonly index: number | null;
}

export async function volumeOf(
  q: Queries,
  { device, volume }: VolumeName,
  now: number,
): Promise<VolumeRow | null> {
  const [row] = await q.all<{
    readonly scheme: Scheme;
    readonly k: number | null;
    readonly n: number | null;
    readonly place: number | null;
    readonly since: number;
    readonly sealing: ArrayBuffer | null;
  }>(sql`SELECT scheme, k, n, place, since, sealing FROM share_gateway_volumes
    WHERE device = ${device} AND volume = ${volume}`);
  if (row === undefined) return null;
  const { scheme, k, n, place, since, sealing } = row;
  const isRecent = sealing !== null && Math.abs(now - since) <= sealingAge;
  return { scheme, k, n, index: place, sealing: isRecent ? new Uint8Array(sealing) : null };
}

export async function countVolumes(q: Queries, device: Id): Promise<number> {
  const [row] = await q.all<{ n: number }>(
    sql`SELECT count(*) AS n FROM share_gateway_volumes WHERE device = ${device}`,
  );
  return row!.n;
}

/** Puts down that a volume is there, unless that is known. */
export async function addVolume(
  tx: Queries,
  { device, volume }: VolumeName,
  row: Omit<VolumeRow, "sealing"> & { sealing: Uint8Array | null; at: number },
): Promise<void> {
  const { scheme, k, n, index, sealing, at } = row;
  await tx.run(sql`INSERT INTO share_gateway_volumes
      (device, volume, scheme, k, n, place, since, sealing)
    VALUES (${device}, ${volume}, ${scheme}, ${k}, ${n}, ${index}, ${at}, ${sealing})
    ON CONFLICT DO NOTHING`);
}

/** False when no such volume is known. */
export async function removeVolume(tx: Queries, { device, volume }: VolumeName): Promise<boolean> {
  const { rowsAffected } = await tx.run(
    sql`DELETE FROM share_gateway_volumes WHERE device = ${device} AND volume = ${volume}`,
  );
  return rowsAffected > 0;
}

/** Whether any piece is kept here. */
export async function holdsPieces(q: Queries): Promise<boolean> {
  const rows = await q.all(
    sql`SELECT 1 FROM share_gateway_volumes WHERE scheme <> 'voprf' LIMIT 1`,
  );
  return rows.length > 0;
}
