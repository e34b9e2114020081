/** Links of chains for the tests of this folder, as fogs make them, only that nobody signed them. */
import type { Id } from "../../core/base/id.ts";
import type { Range } from "../../core/base/ranges.ts";
import { sizeOf } from "../../core/base/ranges.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { encodeSummary, type Summary } from "../../core/wire/summary.ts";
import type { Link } from "../../core/wire/uplink.ts";
import type { Finding, FindingQuery, SignedSummary, SummaryStore, Window } from "./store.ts";

const suite = nativeSuite();
export const minute = 60_000;
export const fog = "fog-1" as Id;
export const meter = "m-1" as Id;
export const register = "1-8-0" as Id;
export const nowhere: Link = { epoch: 0, seq: 0, hash: new Uint8Array(32) };
export const everything = { from: 0, to: Number.MAX_SAFE_INTEGER, limit: 1_000 };

export type Change = Partial<Omit<Summary, "window" | "registers">> & {
  /** The minute of the window. */
  at?: number;
  /** The readings of the one register. */
  seqs?: readonly Range[];
  registers?: Summary["registers"];
};

/** One link: the window of minute `at`, and figures that follow from `n` or the readings. */
export function link(change: Change = {}, before?: SignedSummary): SignedSummary {
  const { at = 0, seqs, ...rest } = change;
  const n = seqs === undefined ? rest.n ?? 1 : sizeOf(seqs);
  const power = rest.sum_power_W ?? 100 * n;
  const first = 2_000 * at + 1;
  const readings = seqs ?? [[first, first + n - 1]];
  const energy_Wh = 10 * readings.at(-1)![1];
  const summary: Summary = {
    ...{ fog_id: fog, epoch: before?.summary.epoch ?? 1, seq: (before?.summary.seq ?? 0) + 1 },
    ...{ revision: 0, prev: before?.hash ?? null },
    ...{ window: { start: at * minute, end: (at + 1) * minute }, num_meters: 1, energy_Wh: n },
    ...{ sum_power_W: power, min_power_W: 0 - power, max_power_W: power },
    ...{ sum_voltage_mV: 230_000 * n, min_voltage_mV: 229_000, max_voltage_mV: 231_000 },
    registers: new Map([[meter, new Map([[register, { energy_Wh, seqs: readings }]])]]),
    ...rest,
    n,
  };
  const statement = encodeSummary(summary);
  return { summary, statement, hash: suite.sha256(statement) };
}

/** Links that follow each other; one of another epoch begins it. */
export function chain(...changes: readonly Change[]): SignedSummary[] {
  const links: SignedSummary[] = [];
  for (const change of changes) {
    const before = links.at(-1);
    const begins = before !== undefined && change.epoch !== undefined &&
      change.epoch !== before.summary.epoch;
    links.push(link({ ...begins && { seq: 1 }, ...change }, before));
  }
  return links;
}

export function headOf({ summary: { epoch, seq }, hash }: SignedSummary): Link {
  return { epoch, seq, hash };
}

/** The window of a link as a store shows it. */
export function windowOf({ summary }: SignedSummary): Window {
  const { window, seq: _seq, prev: _prev, registers: _registers, ...rest } = summary;
  return { ...rest, ...window };
}

/** All findings, in pages of some size. */
export async function allFindings(
  store: SummaryStore,
  query: Partial<FindingQuery> = {},
): Promise<Finding[]> {
  const all: Finding[] = [];
  const limit = query.limit ?? 1_000;
  let from: FindingQuery["from"] | null = query.from ?? { part: "summaries" };
  for (let pages = 0; from !== null; pages++) {
    if (pages > 10_000) throw new Error("The pages do not end");
    const page: Awaited<ReturnType<SummaryStore["findings"]>> = await store.findings({
      ...query,
      ...{ from, limit },
    });
    if (page.found.length > limit) throw new Error("A page is too long");
    all.push(...page.found);
    from = page.next;
  }
  return all;
}
