/**
 * A fog whose database is older than what the cloud holds of it, as after a restored backup, begins a
 * new epoch behind the cloud's head. What of its own chain the cloud has is settled; the rest is
 * superseded: its windows are summed up again, in the new epoch. Of every register it takes over from
 * where the cloud has counted, so that no energy is counted from before that.
 */
import { type SQL, sql } from "drizzle-orm";
import { equalBytes } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import {
  decodeHead,
  decodeKnownRegisters,
  type Head,
  type KnownRegister,
  type Link,
  maxRegisters,
  type UplinkCall,
} from "../../core/wire/uplink.ts";
import { lastLink, type Outbox, superseded } from "./outbox.ts";

/** Asks the cloud. */
export type Ask = (call: UplinkCall) => Promise<Uint8Array>;

type Place = Pick<Link, "epoch" | "seq">;

export interface NewEpoch {
  readonly epoch: number;
  /** The last link that both sides have; epoch 0 when there is none. */
  readonly common: Place;
  /** Starts of the windows that are to be summed up again. */
  readonly windows: readonly number[];
}

/** Pages of registers at the most: no cloud knows more of one fog. */
const maxPages = 250;
const maxEpoch = 2 ** 31;

/** Begins an epoch behind a head that this fog does not have: all of it or nothing is on disk. */
export async function beginEpoch(
  ask: Ask,
  { host, outbox, head }: {
    readonly host: Host & Pick<Services, "db">;
    readonly outbox: Outbox;
    readonly head: Head;
  },
): Promise<NewEpoch> {
  const common = await lastCommon(ask, { outbox, head });
  const registers = await registersAt(ask);
  const begun = await host.db.write(async (tx) => {
    const epoch = Math.max((await lastLink(tx)).epoch, head.epoch) + 1;
    if (epoch > maxEpoch) throw new CodedError("no_epoch", "Cannot begin an epoch: none is left");
    await tx.run(sql`INSERT INTO fog_aggregator_epochs
      (epoch, after_epoch, after_seq, prev, began_at)
      VALUES (${epoch}, ${head.epoch}, ${head.seq}, ${head.hash}, ${host.clock()})`);
    const windows = await supersede(tx, common);
    for (const page of registers) await anchor(tx, page);
    await host.audit.append(tx, {
      type: "fog.rolled_back",
      actor: "site",
      subject: host.site,
      detail: detailOf({ epoch, common, windows }, head),
    });
    return { epoch, common, windows };
  });
  host.log.warn("this fog's chain is not the cloud's: a new epoch begins", detailOf(begun, head));
  host.bus.emit({
    type: "fog.rolled_back",
    severity: "alarm",
    subject: host.site,
    detail: detailOf(begun, head),
  });
  return begun;
}

function detailOf({ epoch, common, windows }: NewEpoch, head: Head) {
  return {
    epoch,
    after: { epoch: head.epoch, seq: head.seq },
    common: { epoch: common.epoch, seq: common.seq },
    windows: windows.length,
  };
}

/** Settles what the cloud has, and sets aside what follows that. */
async function supersede(tx: Queries, { epoch, seq }: Place): Promise<number[]> {
  await tx.run(sql`UPDATE fog_aggregator_summaries SET acknowledged = 1
    WHERE acknowledged = 0 AND set_aside IS NULL AND (epoch, seq) <= (${epoch}, ${seq})`);
  const rows = await tx.all<{ start: number }>(sql`
    UPDATE fog_aggregator_summaries SET acknowledged = 0, set_aside = ${superseded}
    WHERE set_aside IS NULL AND (epoch, seq) > (${epoch}, ${seq}) RETURNING window_start AS start`);
  const windows = [...new Set(rows.map(({ start }) => start))].sort((a, b) => a - b);
  await tx.run(sql`UPDATE fog_aggregator_windows SET dirty = 1
    WHERE start IN (SELECT value FROM json_each(${JSON.stringify(windows)}))`);
  return windows;
}

/** The next energy of each register counts from where the cloud has counted to. */
async function anchor(tx: Queries, page: readonly KnownRegister[]): Promise<void> {
  const rows = JSON.stringify(page.map((r) => [r.meter, r.register, r.seq, r.energy_Wh]));
  const [meter, register] = [0, 1].map((i): SQL => sql.raw(`r.value ->> ${i}`));
  await tx.run(sql`INSERT INTO fog_aggregator_registers (meter, register)
    SELECT ${meter}, ${register} FROM json_each(${rows}) r WHERE true
    ON CONFLICT (meter, register) DO NOTHING`);
  await tx.run(sql`INSERT INTO fog_aggregator_anchors (register_id, seq, energy_wh)
    SELECT g.id, r.value ->> 2, r.value ->> 3 FROM json_each(${rows}) r
    CROSS JOIN fog_aggregator_registers g ON g.meter = ${meter} AND g.register = ${register}
    WHERE true
    ON CONFLICT (register_id) DO UPDATE SET seq = excluded.seq, energy_wh = excluded.energy_wh
      WHERE excluded.seq > fog_aggregator_anchors.seq`);
}

/**
 * Searches our chain, from the cloud's head down, for the last link that the cloud has. For any place
 * the cloud names the last link that it has up to there; once that is another's, it stays another's.
 * What the cloud has ahead of its head is no part of the chain that the new epoch continues.
 */
async function lastCommon(
  ask: Ask,
  { outbox, head }: { readonly outbox: Outbox; readonly head: Head },
): Promise<Place> {
  const nothing = { epoch: 0, seq: 0 };
  let span = await outbox.span(head.epoch + 1);
  for (; span !== null; span = await outbox.span(span.epoch)) {
    const { epoch } = span;
    const last = epoch === head.epoch ? Math.min(span.last, head.seq) : span.last;
    let common: Place | undefined;
    // what is before `low` is the cloud's too, or gone there; what is from `high` on is another's
    let [low, high] = [span.first, last + 1];
    while (low < high) {
      const seq = low + Math.floor((high - low) / 2);
      const found = await ours(ask, outbox, { epoch, seq });
      if (found === "another's") high = seq;
      else [low, common] = [seq + 1, found ?? common ?? nothing];
    }
    if (common !== undefined) return common;
  }
  return nothing;
}

/** What the cloud has at this place or before it, if that is ours; null when it has nothing. */
async function ours(ask: Ask, outbox: Outbox, upto: Place): Promise<Place | null | "another's"> {
  const { epoch, seq, hash } = decodeHead(await ask({ call: "head", upto }));
  if (epoch === 0) return null;
  const own = await outbox.summary(epoch, seq);
  return own !== null && equalBytes(own.hash, hash) ? { epoch, seq } : "another's";
}

/** Everything that the cloud knows of registers, page by page. */
async function registersAt(ask: Ask): Promise<KnownRegister[][]> {
  const pages: KnownRegister[][] = [];
  for (;;) {
    const last = pages.at(-1)?.at(-1);
    const page = decodeKnownRegisters(
      await ask({ call: "registers", ...(last && { after: [last.meter, last.register] }) }),
    );
    if (page.length > 0) pages.push(page);
    if (page.length < maxRegisters) return pages;
    if (pages.length >= maxPages) {
      throw new CodedError("too_many", "Cannot begin an epoch: the cloud's registers never end");
    }
  }
}
