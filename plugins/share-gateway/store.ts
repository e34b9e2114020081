/** Devices and their volumes in the database: what a decision goes by, and what it leaves behind. */
import { sql } from "drizzle-orm";
import { equalBytes, toHex } from "../../core/base/bytes.ts";
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

/** What is on disk about a device, and about a volume of it. */
export interface Standing {
  /** The last start, of the hardware that asks. */
  readonly lastBoot: Boot | null;
  /** Whether a clone is suspected. */
  readonly isSuspended: boolean;
  /** Volumes of the device. */
  readonly volumes: number;
  /** Null when it is not known here. */
  readonly volume: VolumeRow | null;
}

interface StandingRow {
  readonly noise_key: ArrayBuffer | null;
  readonly counter: number | null;
  readonly boot: ArrayBuffer | null;
  readonly suspended_at: number | null;
  readonly volumes: number;
  readonly scheme: Scheme | null;
  readonly k: number | null;
  readonly n: number | null;
  readonly place: number | null;
  readonly since: number | null;
  readonly sealing: ArrayBuffer | null;
}

/** In one query, since every request asks for it. Another key is another hardware, and starts afresh. */
export async function standingOf(
  q: Queries,
  { device, key }: Caller,
  { volume, now }: { volume: Uint8Array; now: number },
): Promise<Standing> {
  const [row] = await q.all<StandingRow>(sql`SELECT
      d.noise_key, d.counter, d.boot, d.suspended_at,
      v.scheme, v.k, v.n, v.place, v.since, v.sealing,
      (SELECT count(*) FROM share_gateway_volumes WHERE device = asks.device) AS volumes
    FROM (SELECT ${device} AS device) AS asks
    LEFT JOIN share_gateway_devices AS d ON d.device = asks.device
    LEFT JOIN share_gateway_volumes AS v ON v.device = asks.device AND v.volume = ${volume}`);
  const { noise_key, counter, boot, suspended_at, volumes } = row!;
  const isSame = noise_key !== null && (key === null || equalBytes(new Uint8Array(noise_key), key));
  return {
    lastBoot: isSame && counter !== null ? { counter, id: new Uint8Array(boot!) } : null,
    isSuspended: isSame && suspended_at !== null,
    volumes,
    volume: volumeIn(row!, now),
  };
}

function volumeIn(
  { scheme, k, n, place, since, sealing }: StandingRow,
  now: number,
): VolumeRow | null {
  if (scheme === null) return null;
  const isRecent = sealing !== null && Math.abs(now - since!) <= sealingAge;
  return { scheme, k, n, index: place, sealing: isRecent ? new Uint8Array(sealing) : null };
}

/** A start of a device, to be remembered as its last. */
export interface StartRecord {
  readonly caller: Caller;
  readonly boot: Boot;
  /** Unix milliseconds. */
  readonly at: number;
}

export async function rememberBoots(tx: Queries, starts: readonly StartRecord[]): Promise<void> {
  if (starts.length === 0) return;
  const rows = starts.map(({ caller: { device, key }, boot, at }) => {
    return [device, toHex(key!), boot.counter, toHex(boot.id), at];
  });
  await tx.run(sql`INSERT INTO share_gateway_devices (device, noise_key, counter, boot, boot_at)
    SELECT value ->> 0, unhex(value ->> 1), value ->> 2, unhex(value ->> 3), value ->> 4
      FROM json_each(${JSON.stringify(rows)}) WHERE true ORDER BY key
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
