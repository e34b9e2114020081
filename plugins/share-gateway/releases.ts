/**
 * Answers that have left this gateway, and what became of them: a device reports that it has mounted, or
 * that it could not, for the start that asked. A release that is not followed by either in time is an
 * alarm: somebody has the answer, and it may not be the device. All of it is in the database, so the
 * alarm comes after a restart, too.
 */
import { sql } from "drizzle-orm";
import { toHex } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Scheme } from "../../core/trust/share/scheme.ts";
import type { Boot } from "../../core/wire/unlock.ts";

export interface Release {
  readonly device: Id;
  readonly volume: Uint8Array;
  readonly boot: Boot;
  readonly scheme: Scheme;
  readonly epoch: number;
  readonly seal: boolean;
}

export type MountOutcome = "mount_ok" | "mount_fail";

/** A release as a list shows it. Times are Unix milliseconds. */
export interface ReleaseRow {
  readonly id: number;
  readonly device: Id;
  /** Hexadecimal. */
  readonly volume: string;
  /** The start's counter; 0 where the way of asking knows of none. */
  readonly boot: number;
  readonly scheme: Scheme;
  readonly epoch: number;
  readonly seal: boolean;
  /** The last time, and how often for this start. */
  readonly released: number;
  readonly times: number;
  /** Null while a report is awaited, and where none is. */
  readonly outcome: MountOutcome | "unconfirmed" | null;
  readonly settled: number | null;
}

/** Releases that are kept: the log has them all. */
const kept = 100_000;

/** A release on its way to the disk. */
export interface ReleaseRecord extends Release {
  /** Unix milliseconds. */
  readonly at: number;
  /** When a report must have come; null when a volume is being made, and nothing will be mounted. */
  readonly due: number | null;
}

/** A release that is still awaited keeps its time: asking again does not put the alarm off. */
export async function recordAll(tx: Queries, releases: readonly ReleaseRecord[]): Promise<void> {
  const rows = releases.map(({ device, volume, boot, scheme, epoch, seal, at, due }) => {
    const name = [device, toHex(volume), toHex(boot.id)];
    return [...name, boot.counter, scheme, epoch, seal ? 1 : 0, at, due];
  });
  await tx.run(sql`INSERT INTO share_gateway_releases
      (device, volume, boot, counter, scheme, epoch, seal, released_at, due)
    SELECT value ->> 0, unhex(value ->> 1), unhex(value ->> 2), value ->> 3, value ->> 4,
        value ->> 5, value ->> 6, value ->> 7, value ->> 8
      FROM json_each(${JSON.stringify(rows)}) WHERE true ORDER BY key
    ON CONFLICT (device, volume, boot) DO UPDATE SET times = times + 1, epoch = excluded.epoch,
      seal = excluded.seal, released_at = excluded.released_at,
      due = coalesce(due, excluded.due), outcome = NULL, settled_at = NULL`);
}

/** Whether there are more than are kept. */
export async function isCrowded(q: Queries): Promise<boolean> {
  const [row] = await q.all<{ excess: number | null }>(
    sql`SELECT max(id) - min(id) - ${kept} AS excess FROM share_gateway_releases`,
  );
  return (row!.excess ?? 0) > 0;
}

/** Forgets what is too old for a list. */
export async function forgetReleases(tx: Queries): Promise<void> {
  await tx.run(sql`DELETE FROM share_gateway_releases WHERE due IS NULL
    AND id <= (SELECT max(id) FROM share_gateway_releases) - ${kept}`);
}

/**
 * A report of the device settles what it was given for that start; one that comes late, too.
 * @param report.volume null settles all volumes of that start @param report.boot null: of a face
 */
export async function settle(
  tx: Queries,
  report: { device: Id; volume: Uint8Array | null; boot: Boot | null; outcome: MountOutcome },
  now: number,
): Promise<void> {
  const { device, volume, boot, outcome } = report;
  const ofBoot = boot === null ? sql`counter = 0` : sql`counter > 0 AND boot = ${boot.id}`;
  const ofVolume = volume === null ? sql`true` : sql`volume = ${volume}`;
  await tx.run(sql`UPDATE share_gateway_releases
    SET due = NULL, outcome = ${outcome}, settled_at = ${now}
    WHERE device = ${device} AND ${ofBoot} AND ${ofVolume} AND seal = 0
      AND (due IS NOT NULL OR outcome = 'unconfirmed')`);
}

/** Releases whose report is overdue, the oldest first. */
export async function overdue(q: Queries, now: number, limit: number): Promise<ReleaseRow[]> {
  return await rowsOf(q, sql`due <= ${now} ORDER BY due LIMIT ${limit}`);
}

/** Nobody has reported: false when somebody has, just now. */
export async function giveUp(tx: Queries, id: number, now: number): Promise<boolean> {
  const { rowsAffected } = await tx.run(sql`UPDATE share_gateway_releases
    SET due = NULL, outcome = 'unconfirmed', settled_at = ${now} WHERE id = ${id} AND due <= ${now}`);
  return rowsAffected > 0;
}

/** The newest first. */
export async function listReleases(
  q: Queries,
  { device, before, limit }: { device: string | null; before: number; limit: number },
): Promise<ReleaseRow[]> {
  const ofDevice = device === null ? sql`true` : sql`device = ${device}`;
  return await rowsOf(q, sql`id < ${before} AND ${ofDevice} ORDER BY id DESC LIMIT ${limit}`);
}

async function rowsOf(q: Queries, where: ReturnType<typeof sql>): Promise<ReleaseRow[]> {
  type Row = Omit<ReleaseRow, "volume" | "seal"> & { volume: ArrayBuffer; seal: 0 | 1 };
  const rows = await q.all<Row>(sql`SELECT id, device, volume, counter AS boot, scheme, epoch, seal,
    released_at AS released, times, outcome, settled_at AS settled
    FROM share_gateway_releases WHERE ${where}`);
  return rows.map((row) => {
    const { id, device, boot, scheme, epoch, released, times, outcome, settled } = row;
    const volume = toHex(new Uint8Array(row.volume));
    return {
      ...{ id, device, volume, boot, scheme, epoch, seal: row.seal === 1 },
      ...{ released, times, outcome, settled },
    };
  });
}
