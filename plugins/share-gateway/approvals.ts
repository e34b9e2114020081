/**
 * Requests that a person decides about. One is named by device, volume and start, and an answer is good
 * for exactly that one, for a while. A device has one request that waits at the most, its latest, and few
 * wait in all: the list stays one that a person can read. They are in the database, so that a restart
 * neither loses a request nor forgets a "no".
 */
import { sql } from "drizzle-orm";
import { toHex } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { Id } from "../../core/base/id.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Scheme } from "../../core/trust/share/scheme.ts";
import type { Boot } from "../../core/wire/unlock.ts";
import type { Approval } from "./policy.ts";

export interface RequestKey {
  readonly device: Id;
  readonly volume: Uint8Array;
  readonly boot: Boot;
}

export interface Request extends RequestKey {
  /** What people call it (`requestName`). */
  readonly id: string;
  readonly scheme: Scheme;
  readonly seal: boolean;
}

export type Verdict = "approved" | "refused";

/** A request as a list shows it. Times are Unix milliseconds. */
export interface RequestRow {
  readonly id: string;
  readonly device: Id;
  /** Hexadecimal. */
  readonly volume: string;
  /** The start's counter. */
  readonly boot: number;
  readonly scheme: Scheme;
  readonly seal: boolean;
  readonly state: "pending" | Verdict;
  readonly asked: number;
  readonly expires: number;
  readonly decided_by: string | null;
}

export class RequestError extends CodedError<"request_unknown" | "request_decided"> {
  override readonly name = "RequestError";
}

/** Requests that may wait at a time. */
export const waitingLimit = 64;

/** How a request stands. @param id what it is called: it may be taken, by a stranger's design */
export async function approvalOf(
  q: Queries,
  { device, volume, boot, id }: RequestKey & { id: string },
  now: number,
): Promise<Exclude<Approval, "not_needed">> {
  const [own] = await q.all<{ state: "pending" | Verdict }>(
    sql`SELECT state FROM share_gateway_requests WHERE device = ${device} AND volume = ${volume}
      AND boot = ${boot.id} AND expires > ${now}`,
  );
  if (own !== undefined) return own.state;
  const [others] = await q.all<{ n: number; same: number | null }>(
    sql`SELECT count(*) FILTER (WHERE state = 'pending' AND device <> ${device}) AS n,
      max(id = ${id} AND NOT (device = ${device} AND volume = ${volume} AND boot = ${boot.id})) AS same
      FROM share_gateway_requests WHERE expires > ${now}`,
  );
  return others!.n >= waitingLimit || others!.same === 1 ? "crowded" : "missing";
}

/** Puts a request where people see it, in the place of what the device asked before. */
export async function ask(
  tx: Queries,
  request: Request,
  { now, ttl }: { now: number; ttl: number },
): Promise<void> {
  const { id, device, volume, boot, scheme, seal } = request;
  await expire(tx, now);
  await tx.run(
    sql`DELETE FROM share_gateway_requests WHERE device = ${device} AND state = 'pending'`,
  );
  await tx.run(sql`INSERT INTO share_gateway_requests
      (id, device, volume, boot, counter, scheme, seal, asked_at, expires, state)
    VALUES (${id}, ${device}, ${volume}, ${boot.id}, ${boot.counter}, ${scheme}, ${seal ? 1 : 0},
      ${now}, ${now + ttl}, 'pending')`);
}

/** Puts down what a person has decided. @throws RequestError */
export async function decide(
  tx: Queries,
  id: string,
  { verdict, by, now, ttl }: { verdict: Verdict; by: string; now: number; ttl: number },
): Promise<{ request: RequestRow; isNew: boolean }> {
  const [before] = await listRequests(tx, now, id);
  if (before === undefined) {
    throw new RequestError(
      "request_unknown",
      `Cannot decide about ${shown(id)}: it does not wait`,
      {
        hint: "`edgeward share requests` shows what waits; a request that nobody answers goes away",
      },
    );
  }
  if (before.state === verdict) return { request: before, isNew: false };
  if (before.state !== "pending") {
    throw new RequestError(
      "request_decided",
      `Cannot decide about ${shown(id)}: it is ${before.state}`,
      {
        hint: "let the device start anew and ask again",
      },
    );
  }
  await tx.run(sql`UPDATE share_gateway_requests SET state = ${verdict}, decided_at = ${now},
    decided_by = ${by}, expires = ${now + ttl} WHERE id = ${id}`);
  return { request: (await listRequests(tx, now, id))[0]!, isNew: true };
}

/** What waits first, oldest first. @param id of that one only */
export async function listRequests(
  q: Queries,
  now: number,
  id: string | null = null,
): Promise<RequestRow[]> {
  const rows = await q.all<
    Omit<RequestRow, "volume" | "seal"> & { volume: ArrayBuffer; seal: 0 | 1 }
  >(
    sql`SELECT id, device, volume, counter AS boot, scheme, seal, state, asked_at AS asked, expires,
      decided_by FROM share_gateway_requests
      WHERE expires > ${now} AND (${id} IS NULL OR id = ${id})
      ORDER BY state = 'pending' DESC, asked_at, id LIMIT 1000`,
  );
  return rows.map((
    { id, device, volume, boot, scheme, seal, state, asked, expires, decided_by },
  ) => ({
    ...{ id, device, volume: toHex(new Uint8Array(volume)), boot, scheme, seal: seal === 1 },
    ...{ state, asked, expires, decided_by },
  }));
}

/** Who has said yes to this request; null when nobody has. */
export async function approver(
  q: Queries,
  { device, volume, boot }: RequestKey,
): Promise<string | null> {
  const [row] = await q.all<{ decided_by: string }>(
    sql`SELECT decided_by FROM share_gateway_requests WHERE device = ${device}
      AND volume = ${volume} AND boot = ${boot.id} AND state = 'approved'`,
  );
  return row?.decided_by ?? null;
}

/** Whatever the device has asked, and whatever was answered, is void. */
export async function forgetRequests(tx: Queries, device: string): Promise<void> {
  await tx.run(sql`DELETE FROM share_gateway_requests WHERE device = ${device}`);
}

export async function expire(tx: Queries, now: number): Promise<void> {
  await tx.run(sql`DELETE FROM share_gateway_requests WHERE expires <= ${now}`);
}

/** It came from outside: nothing that a terminal obeys. */
function shown(id: string): string {
  return /^[a-z2-7]{8}$/.test(id) ? `the request ${id}` : "the request";
}
