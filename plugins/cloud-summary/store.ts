/**
 * What the role asks of a database. Narrow on purpose: one implementation per dialect, one contract
 * test for all of them. Every method that writes is one transaction.
 */
import type { Id } from "../../core/base/id.ts";
import type { Summary } from "../../core/wire/summary.ts";
import type { KnownRegister, Link } from "../../core/wire/uplink.ts";

/** A summary whose signature has verified, with the bytes that were signed. */
export interface SignedSummary {
  readonly summary: Summary;
  readonly statement: Uint8Array;
  /** SHA-256 of the statement. */
  readonly hash: Uint8Array;
}

/** A number in a fog's chain. */
export interface Place {
  readonly epoch: number;
  readonly seq: number;
}

/**
 * What became of one summary. "conflict" is a refusal: there is other content at that place, or it
 * does not fit to its neighbours. "beyond" is too far ahead to be kept now; it is none, the summary
 * must be sent again.
 */
export type Outcome = "stored" | "duplicate" | "beyond" | "conflict";

/** What a change of a fog's chain has led to, for those who must hear of it. */
export interface ChainChange {
  readonly head: Link;
  /** Epochs that have begun after another one. */
  readonly epochs: readonly number[];
  /** Places of conflicts that were not known before. */
  readonly conflicts: readonly Place[];
}

export interface Appended extends ChainChange {
  readonly outcomes: readonly Outcome[];
}

/** Numbers of a fog's chain in one epoch. */
export interface ChainRange {
  readonly epoch: number;
  readonly from: number;
  readonly to: number;
}

export interface Lost extends ChainChange {
  /** What is missing between the head that was and this one. */
  readonly missing: readonly ChainRange[];
}

/** Which version of a window counts: one is in force; the others wait for an operator, or have lost. */
export type WindowState = "in_force" | "undecided" | "overruled";

/** The figures of one window of one fog, as one epoch of it has them. */
export interface Window {
  readonly fog_id: Id;
  readonly start: number;
  readonly end: number;
  readonly epoch: number;
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

/** The version of a window that is in force, as its fog has signed it. */
export interface SummaryInForce extends Place {
  readonly fog_id: Id;
  readonly start: number;
  /** Null when it is kept no longer. */
  readonly signed: {
    readonly statement: Uint8Array;
    /** SHA-256 of the statement. */
    readonly hash: Uint8Array;
    readonly receivedAt: number;
  } | null;
}

/** Of all windows that were ever in force and not replaced. */
export interface Totals {
  readonly windows: number;
  readonly n: number;
  readonly sum_power_W: number;
  readonly sum_voltage_mV: number;
}

/** Which windows: `from` included, `to` excluded; `after` is where the last page ended. */
export interface WindowQuery {
  readonly state?: "in_force" | "undecided";
  readonly fog?: Id;
  readonly from: number;
  readonly to: number;
  readonly after?: { readonly start: number; readonly fog: string; readonly epoch: number };
  readonly limit: number;
}

/** One thing that is missing or contradicts, or the standing of one fog. */
export type Finding =
  | { readonly kind: "fog"; readonly fog_id: Id; readonly head: Place; readonly received: number }
  | { readonly kind: "summaries"; readonly fog_id: Id; readonly reason: string | null } & ChainRange
  | {
    readonly kind: "reading" | "twice";
    readonly meter: Id;
    readonly register: Id;
    readonly from: number;
    readonly to: number;
    readonly fogs: readonly Id[];
  }
  | {
    readonly kind: "undecided";
    readonly fog_id: Id;
    readonly start: number;
    readonly end: number;
    readonly epochs: readonly number[];
  }
  | { readonly kind: "conflict"; readonly fog_id: Id } & Place;

/** The parts of the findings, in their order. */
export const findingParts = ["fogs", "summaries", "readings", "undecided", "conflicts"] as const;

/** Where a page of findings begins: a part, two names in it, and a number. */
export interface FindingPlace {
  readonly part: typeof findingParts[number];
  readonly at?: readonly [name: string, name: string | number, number: number];
}

export interface FindingQuery {
  readonly fog?: Id;
  /** Asks of this meter's readings alone. */
  readonly meter?: Id;
  readonly from: FindingPlace;
  readonly limit: number;
}

/** An operator's word about the undecided windows of a fog that begin from `from`, before `to`. */
export interface Decision {
  readonly fog: Id;
  readonly from: number;
  readonly to: number;
  /** The epoch whose version shall be in force. */
  readonly epoch: number;
  /** Who decides, for the audit, which is written in the same transaction. */
  readonly actor: string;
  /** Windows at the most. */
  readonly limit: number;
}

/** What is older may go: statements by when they came, windows by when they ended. */
export interface Horizon {
  readonly statements: number;
  readonly windows: number;
  /** Of each kind at the most. */
  readonly limit: number;
}

export interface SummaryStore {
  /** The head of a fog's chain or, with `upto`, the highest link there is at or before it. */
  head(fog: Id, upto?: Place): Promise<Link>;
  /** Takes links of a fog's chain in any order; outcomes in the order of the links. */
  append(fog: Id, links: readonly SignedSummary[], receivedAt: number): Promise<Appended>;
  /**
   * Moves the head forward to a link that will not come, and writes down what is missing. Nothing
   * happens when the head is not at `after`.
   */
  lose(fog: Id, upto: Link, told: { after?: Link; reason: string; at: number }): Promise<Lost>;
  /** A page of the registers that a fog has told of, by meter and register. */
  registers(
    fog: Id,
    page: { after?: readonly [Id, Id]; limit: number },
  ): Promise<KnownRegister[]>;
  totals(): Promise<Totals>;
  /** The newest windows in force, newest first. */
  latest(limit: number): Promise<Window[]>;
  /** A page of windows by start, then fog, then epoch. */
  windows(query: WindowQuery): Promise<Window[]>;
  /** What the figures of a window come from; null when there is no such window. */
  inForce(fog: Id, start: number): Promise<SummaryInForce | null>;
  /** What is missing and what contradicts, in pages of bounded work: one may be empty, `next` says. */
  findings(query: FindingQuery): Promise<{ found: Finding[]; next: FindingPlace | null }>;
  /** Brings the versions of one epoch into force; gives how many windows that has decided. */
  decide(decision: Decision): Promise<number>;
  /** Deletes a slice of what is old; gives how many rows there were. */
  prune(horizon: Horizon): Promise<number>;
}
