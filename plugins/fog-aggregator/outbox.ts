/**
 * The outbox: the fog's chain of signed summaries, each kept until the cloud has it, and longer, so that
 * a cloud that lost some can have them again. Where the cloud stands is the truth: what lies before that
 * is acknowledged, what lies behind it is pending, whatever was acknowledged once. A summary that is set
 * aside never goes to the cloud: a new epoch has superseded it, or the cloud refuses it.
 */
import { sql } from "drizzle-orm";
import { equalBytes } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { Database, Queries } from "../../core/services/db/mod.ts";
import { splitSign1 } from "../../core/trust/cose_sign1.ts";
import { decodeSummary } from "../../core/wire/summary.ts";
import type { Link as Place } from "../../core/wire/uplink.ts";
import { type Entry, fitting, maxBytes } from "./backlog.ts";

/** The last link of the chain, or where a new one begins. */
export interface Link {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Uint8Array | null;
}

export interface StoredSummary {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Uint8Array;
  readonly statement: Uint8Array;
}

export interface SetAside {
  readonly epoch: number;
  readonly seq: number;
  /** Start of its window, Unix milliseconds. */
  readonly window: number;
  readonly reason: string;
}

/** What is there of an epoch, from its first link to its last. */
export interface Span {
  readonly epoch: number;
  readonly first: number;
  readonly last: number;
}

export interface OutboxCounts {
  readonly pending: number;
  readonly acknowledged: number;
  readonly set_aside: number;
  /** Refused by the cloud, which has nothing newer of the same window either. */
  readonly refused: number;
  /** Start of the window of the summary that is next to go; null when none waits. */
  readonly oldest_pending_window: number | null;
}

export interface Outbox {
  /** Summaries that the cloud has not acknowledged, in order: no more than one call carries. */
  pending(limit: number): Promise<StoredSummary[]>;
  /** What is pending, without the statements: the first in the chain, or the newest first. */
  entries(limit: number, order?: "first" | "newest"): Promise<Entry[]>;
  /** The statements of entries, in their order; without those that are gone meanwhile. */
  load(entries: readonly Entry[]): Promise<StoredSummary[]>;
  /** Finds a link of our chain. */
  summary(epoch: number, seq: number): Promise<StoredSummary | null>;
  /** The numbers that the last epoch has, of those before the given one; null when there is none. */
  span(before: number): Promise<Span | null>;
  /** The link that an entry follows; null at the very beginning. @throws CodedError "chain_broken" */
  before(entry: Pick<Entry, "epoch" | "seq">): Promise<Place | null>;
  /** The first link between two places that the cloud refuses, and why. */
  refusedBetween(
    after: Omit<Place, "hash">,
    before: Omit<Place, "hash">,
  ): Promise<Place & { readonly reason: string } | null>;
  /** Whether a link is one of ours, or lies where our chain has lost some. */
  knows(link: Place): Promise<boolean>;
  /** The cloud stands here. Tells how many it had acknowledged that it has no more. */
  settle(head: Omit<Place, "hash">): Promise<{ readonly again: number }>;
  /** The cloud refuses it, and will again. */
  refuse(entry: Omit<Place, "hash">, code: string): Promise<void>;
  /** What is set aside, the latest first. */
  setAside(limit: number): Promise<SetAside[]>;
  counts(): Promise<OutboxCounts>;
}

/** What a summary of a lost chain is set aside for. */
export const superseded = "superseded";

/** Such a place is in all comparisons a row value, by which the indices are sought. */
const at = ({ epoch, seq }: Omit<Place, "hash">) => sql`(${epoch}, ${seq})`;
/** Said as the index has it. */
const isPending = sql`acknowledged = 0 AND set_aside IS NULL`;

export function outboxOf(db: Database): Outbox {
  const outbox: Outbox = {
    async pending(limit) {
      return await outbox.load(fitting(await outbox.entries(limit), maxBytes));
    },

    entries(limit, order = "first") {
      const direction = sql.raw(order === "first" ? "ASC" : "DESC");
      return db.read((q) =>
        q.all<Entry>(sql`
          SELECT epoch, seq, length(statement) AS bytes FROM fog_aggregator_summaries
          INDEXED BY fog_aggregator_summaries_pending WHERE ${isPending}
          ORDER BY epoch ${direction}, seq ${direction} LIMIT ${limit}`)
      );
    },

    async load(entries) {
      const keys = JSON.stringify(entries.map(({ epoch, seq }) => [epoch, seq]));
      const rows = await db.read((q) =>
        q.all<SummaryRow>(sql`
          SELECT s.epoch, s.seq, s.hash, s.statement FROM json_each(${keys}) k
          CROSS JOIN fog_aggregator_summaries s
            ON s.epoch = k.value ->> 0 AND s.seq = k.value ->> 1
          ORDER BY k.key`)
      );
      return rows.map(summaryOf);
    },

    async summary(epoch, seq) {
      const [row] = await db.read((q) =>
        q.all<SummaryRow>(sql`
        SELECT epoch, seq, hash, statement FROM fog_aggregator_summaries
        WHERE epoch = ${epoch} AND seq = ${seq}`)
      );
      return row === undefined ? null : summaryOf(row);
    },

    async span(before) {
      const [row] = await db.read((q) =>
        q.all<Span>(sql`
          SELECT epoch, first, (SELECT max(seq) FROM fog_aggregator_summaries s
              WHERE s.epoch = found.epoch) AS last
            FROM (SELECT epoch, (SELECT min(seq) FROM fog_aggregator_summaries s
                WHERE s.epoch = e.epoch) AS first
              FROM fog_aggregator_summaries e WHERE epoch < ${before}
              ORDER BY epoch DESC, seq DESC LIMIT 1) found`)
      );
      return row === undefined ? null : { epoch: row.epoch, first: row.first, last: row.last };
    },

    before: ({ epoch, seq }) => db.read((q) => linkBefore(q, epoch, seq)),

    async refusedBetween(after, before) {
      const [row] = await db.read((q) =>
        q.all<{ epoch: number; seq: number; hash: ArrayBuffer; reason: string }>(sql`
          SELECT epoch, seq, hash, set_aside AS reason FROM fog_aggregator_summaries
          WHERE (epoch, seq) > ${at(after)} AND (epoch, seq) < ${at(before)}
            AND set_aside <> ${superseded}
          ORDER BY epoch, seq LIMIT 1`)
      );
      return row === undefined ? null : { ...row, hash: new Uint8Array(row.hash) };
    },

    knows: (link) => db.read((q) => knows(q, link)),

    settle: (head) =>
      db.write(async (tx) => {
        await tx.run(sql`
          UPDATE fog_aggregator_summaries INDEXED BY fog_aggregator_summaries_pending
          SET acknowledged = 1 WHERE ${isPending} AND (epoch, seq) <= ${at(head)}`);
        // what is acknowledged has nothing pending before it: one look at the next link is enough
        const [next] = await tx.all<{ acknowledged: number }>(sql`
          SELECT acknowledged FROM fog_aggregator_summaries
          WHERE (epoch, seq) > ${at(head)} AND set_aside IS NULL ORDER BY epoch, seq LIMIT 1`);
        if (next === undefined || next.acknowledged === 0) return { again: 0 };
        const { rowsAffected } = await tx.run(sql`
          UPDATE fog_aggregator_summaries SET acknowledged = 0
          WHERE (epoch, seq) > ${at(head)} AND acknowledged = 1`);
        return { again: rowsAffected };
      }),

    refuse: (entry, code) =>
      db.write(async (tx) => {
        await tx.run(sql`UPDATE fog_aggregator_summaries SET set_aside = ${`refused: ${code}`}
          WHERE (epoch, seq) = ${at(entry)} AND ${isPending}`);
      }),

    async setAside(limit) {
      const rows = await db.read((q) =>
        q.all<SetAside>(sql`
          SELECT epoch, seq, window_start AS window, set_aside AS reason
          FROM fog_aggregator_summaries WHERE set_aside IS NOT NULL
          ORDER BY epoch DESC, seq DESC LIMIT ${limit}`)
      );
      return rows.map(({ epoch, seq, window, reason }) => ({ epoch, seq, window, reason }));
    },

    async counts() {
      // one look at each row as it lies is much faster than the way over an index to it
      const [row] = await db.read((q) =>
        q.all<OutboxCounts>(sql`
          SELECT total(${isPending}) AS pending, total(set_aside IS NOT NULL) AS set_aside,
            total(acknowledged = 1 AND set_aside IS NULL) AS acknowledged,
            (SELECT count(*) FROM fog_aggregator_summaries r NOT INDEXED
              WHERE r.set_aside IS NOT NULL AND r.set_aside <> ${superseded} AND NOT EXISTS (
                SELECT 1 FROM fog_aggregator_summaries l
                WHERE l.window_start = r.window_start AND l.acknowledged = 1
                  AND (l.epoch, l.seq) > (r.epoch, r.seq))) AS refused,
            (SELECT window_start FROM fog_aggregator_summaries WHERE ${isPending}
              ORDER BY epoch, seq LIMIT 1) AS oldest_pending_window
          FROM fog_aggregator_summaries NOT INDEXED`)
      );
      const { pending, acknowledged, set_aside, refused, oldest_pending_window } = row!;
      return { pending, acknowledged, set_aside, refused, oldest_pending_window };
    },
  };
  return outbox;
}

/** Puts the next link of the chain into the outbox, in the caller's transaction. */
export async function appendSummary(
  tx: Queries,
  link: StoredSummary & { readonly start: number; readonly revision: number },
): Promise<void> {
  const { epoch, seq, start, revision, hash, statement } = link;
  await tx.run(sql`INSERT INTO fog_aggregator_summaries
    (epoch, seq, window_start, revision, hash, statement)
    VALUES (${epoch}, ${seq}, ${start}, ${revision}, ${hash}, ${statement})`);
}

/** Where the next summary goes: behind this link. */
export async function lastLink(q: Queries): Promise<Link> {
  const [row] = await q.all<{ epoch: number; seq: number; hash: ArrayBuffer }>(sql`
    SELECT epoch, seq, hash FROM fog_aggregator_summaries ORDER BY epoch DESC, seq DESC LIMIT 1`);
  const [began] = await q.all<{ epoch: number; prev: ArrayBuffer }>(sql`
    SELECT epoch, prev FROM fog_aggregator_epochs ORDER BY epoch DESC LIMIT 1`);
  if (began !== undefined && (row === undefined || began.epoch > row.epoch)) {
    return { epoch: began.epoch, seq: 0, hash: new Uint8Array(began.prev) };
  }
  if (row === undefined) return { epoch: 1, seq: 0, hash: null };
  return { epoch: row.epoch, seq: row.seq, hash: new Uint8Array(row.hash) };
}

async function linkBefore(q: Queries, epoch: number, seq: number): Promise<Place | null> {
  if (seq > 1) {
    const before = await hashAt(q, epoch, seq - 1);
    const hash = before?.hash ?? await prevOf(q, epoch, seq);
    if (hash !== null) return { epoch, seq: seq - 1, hash };
  } else if (epoch === 1) {
    return null;
  } else {
    const [began] = await q.all<{ epoch: number; seq: number; prev: ArrayBuffer }>(sql`
      SELECT after_epoch AS epoch, after_seq AS seq, prev FROM fog_aggregator_epochs
      WHERE epoch = ${epoch}`);
    if (began !== undefined) {
      return { epoch: began.epoch, seq: began.seq, hash: new Uint8Array(began.prev) };
    }
  }
  throw new CodedError("chain_broken", `Cannot say what precedes the summary ${epoch}.${seq}`);
}

/** What a link says itself of the one before it, where that one is gone. */
async function prevOf(q: Queries, epoch: number, seq: number): Promise<Uint8Array | null> {
  const [row] = await q.all<{ statement: ArrayBuffer }>(sql`
    SELECT statement FROM fog_aggregator_summaries WHERE epoch = ${epoch} AND seq = ${seq}`);
  const parts = row === undefined ? null : splitSign1(new Uint8Array(row.statement));
  return parts === null ? null : decodeSummary(parts.payload).prev;
}

async function knows(q: Queries, { epoch, seq, hash }: Place): Promise<boolean> {
  if (epoch === 0) return true;
  const own = await hashAt(q, epoch, seq);
  if (own !== null && equalBytes(own.hash, hash)) return true;
  if (own !== null && !own.isSuperseded) return false;
  // an epoch began behind a link that we never had: that one, and what leads to it, is known
  const [began] = await q.all<{ epoch: number; seq: number; prev: ArrayBuffer }>(sql`
    SELECT after_epoch AS epoch, after_seq AS seq, prev FROM fog_aggregator_epochs
    WHERE (after_epoch, after_seq) >= (${epoch}, ${seq})
    ORDER BY after_epoch, after_seq LIMIT 1`);
  if (began !== undefined) {
    const isThat = began.epoch === epoch && began.seq === seq;
    return !isThat || equalBytes(new Uint8Array(began.prev), hash);
  }
  // a link that is gone has others behind it
  const [later] = await q.all(sql`SELECT 1 FROM fog_aggregator_summaries
    WHERE epoch = ${epoch} AND seq > ${seq} LIMIT 1`);
  return own === null && later !== undefined;
}

async function hashAt(q: Queries, epoch: number, seq: number) {
  const [row] = await q.all<{ hash: ArrayBuffer; set_aside: string | null }>(sql`
    SELECT hash, set_aside FROM fog_aggregator_summaries WHERE epoch = ${epoch} AND seq = ${seq}`);
  if (row === undefined) return null;
  return { hash: new Uint8Array(row.hash), isSuperseded: row.set_aside === superseded };
}

interface SummaryRow {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: ArrayBuffer;
  readonly statement: ArrayBuffer;
}

function summaryOf({ epoch, seq, hash, statement }: SummaryRow): StoredSummary {
  return { epoch, seq, hash: new Uint8Array(hash), statement: new Uint8Array(statement) };
}
