/**
 * What the role asks of a database. Narrow on purpose: one implementation per dialect, one contract
 * test for all of them.
 */
import type { Id } from "../../core/base/id.ts";
import type { Summary } from "../../core/wire/summary.ts";
import type { Head } from "../../core/wire/uplink.ts";

/** A summary whose signature has verified, with the bytes that were signed. */
export interface SignedSummary {
  readonly summary: Summary;
  readonly statement: Uint8Array;
  /** SHA-256 of the statement. */
  readonly hash: Uint8Array;
}

/** What became of one summary: "gap" and "conflict" are refusals. */
export type Outcome = "stored" | "duplicate" | "gap" | "conflict";

/** The figures in force of one window of one fog. */
export interface Window {
  readonly fog_id: Id;
  readonly start: number;
  readonly end: number;
  readonly revision: number;
  readonly num_meters: number;
  readonly n: number;
  readonly sum_power_W: number;
  readonly min_power_W: number;
  readonly max_power_W: number;
  readonly sum_voltage_mV: number;
  readonly min_voltage_mV: number;
  readonly max_voltage_mV: number;
  readonly energy_Wh: number;
}

export interface Totals {
  readonly windows: number;
  readonly n: number;
  readonly sum_power_W: number;
  readonly sum_voltage_mV: number;
}

/** Which windows: `from` included, `to` excluded; `after` is where the last page ended. */
export interface WindowQuery {
  readonly fog?: Id;
  readonly from: number;
  readonly to: number;
  readonly after?: { readonly start: number; readonly fog: string };
  readonly limit: number;
}

export interface SummaryStore {
  head(fog: Id): Promise<Head>;
  /** Appends links to a fog's chain, all in one transaction; outcomes in the order of the links. */
  append(fog: Id, links: readonly SignedSummary[], receivedAt: number): Promise<{
    head: Head;
    outcomes: Outcome[];
  }>;
  totals(): Promise<Totals>;
  /** The newest windows, newest first. */
  latest(limit: number): Promise<Window[]>;
  /** A page of windows by start, then fog. */
  windows(query: WindowQuery): Promise<Window[]>;
}
