/** What the operator sees of devices and their volumes, in pages. Times are Unix milliseconds. */
import { sql } from "drizzle-orm";
import { toHex } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Scheme } from "../../core/trust/share/scheme.ts";
import type { ReleaseRow } from "./releases.ts";

/** A device that has asked here. */
export interface DeviceRow {
  readonly device: Id;
  /** The counter of its last start; null before the first, and after it was cleared. */
  readonly boot: number | null;
  readonly boot_at: number | null;
  /** Since when it is refused as a suspected clone. */
  readonly suspended: number | null;
  readonly volumes: number;
  readonly released: number | null;
  /** What became of the last release. */
  readonly outcome: ReleaseRow["outcome"];
  readonly settled: number | null;
}

/** By identifier. @param after the last one of the page before, or "" */
export async function listDevices(
  q: Queries,
  { after, limit }: { after: string; limit: number },
): Promise<DeviceRow[]> {
  const rows = await q.all<DeviceRow>(sql`SELECT d.device, d.counter AS boot, d.boot_at,
      d.suspended_at AS suspended,
      (SELECT count(*) FROM share_gateway_volumes v WHERE v.device = d.device) AS volumes,
      r.released_at AS released, r.outcome, r.settled_at AS settled
    FROM share_gateway_devices d
    LEFT JOIN share_gateway_releases r ON r.id =
      (SELECT max(l.id) FROM share_gateway_releases l WHERE l.device = d.device)
    WHERE d.device > ${after} ORDER BY d.device LIMIT ${limit}`);
  return rows.map((row) => {
    const { device, boot, boot_at, suspended, volumes, released, outcome, settled } = row;
    return { device, boot, boot_at, suspended, volumes, released, outcome, settled };
  });
}

export interface VolumeListing {
  readonly device: Id;
  /** Hexadecimal. */
  readonly volume: string;
  readonly scheme: Scheme;
  /** Of pieces: so many of n make the key, and this gateway has the one with this number. */
  readonly k: number | null;
  readonly n: number | null;
  readonly index: number | null;
  readonly since: number;
}

/** By device and volume. @param after "DEVICE.VOLUME" of the last one of the page before, or "" */
export async function listVolumes(
  q: Queries,
  { device, after, limit }: { device: string | null; after: string; limit: number },
): Promise<VolumeListing[]> {
  const [afterDevice = "", afterVolume = ""] = after.split(".");
  const ofDevice = device === null ? sql`true` : sql`device = ${device}`;
  type Row = Omit<VolumeListing, "volume" | "index"> & {
    volume: ArrayBuffer;
    place: number | null;
  };
  const rows = await q.all<Row>(sql`SELECT device, volume, scheme, k, n, place, since
    FROM share_gateway_volumes
    WHERE (device, lower(hex(volume))) > (${afterDevice}, ${afterVolume}) AND ${ofDevice}
    ORDER BY device, volume LIMIT ${limit}`);
  return rows.map(({ device, volume, scheme, k, n, place, since }) => {
    return { device, volume: toHex(new Uint8Array(volume)), scheme, k, n, index: place, since };
  });
}
