/**
 * What a gateway tells of its group and of the ceremonies: the JSON of `/share-gateway/group` and of
 * `edgeward share … --json`. Instants are RFC 3339; null is what is not known.
 */

export interface GroupStatus {
  /** This gateway. */
  readonly self: {
    readonly id: string;
    readonly url: string;
    /** Of its session key, as people see it. */
    readonly fingerprint: string;
  };
  /** Null before a deal. */
  readonly group: {
    readonly name: string;
    readonly epoch: number;
    readonly k: number;
    readonly n: number;
    /** This gateway's place, from 1. */
    readonly index: number;
  } | null;
  readonly members: readonly GroupMember[];
  /** Of the next deal. */
  readonly plan: PlanStatus | null;
  /** The last one since this start. */
  readonly deal: DealStatus | null;
  /** Codes of other gateways that are of no use. */
  readonly unusable: readonly { readonly file: string; readonly why: string }[];
}

export interface GroupMember {
  readonly index: number;
  readonly id: string;
  /** Where devices reach it. */
  readonly url: string;
  readonly fingerprint: string;
  readonly self: boolean;
  /** Null when this gateway has no code for it, or did not ask. */
  readonly reachable: boolean | null;
  /** Whether it answers under this roster. */
  readonly has_roster: boolean | null;
  /** Why it is not reachable, or not told yet. */
  readonly why: string | null;
}

export interface PlanStatus {
  readonly group: string;
  readonly k: number;
  readonly n: number;
  readonly planned: string;
  readonly members: readonly PlanMember[];
}

export interface PlanMember {
  readonly index: number;
  readonly id: string;
  readonly url: string | null;
  readonly fingerprint: string;
  readonly self: boolean;
  readonly reachable: boolean | null;
  /** A group that it belongs to already: then it cannot take part. */
  readonly group: string | null;
  readonly why: string | null;
}

export interface DealStatus {
  /** "done" as soon as the group is founded; who has not heard of it yet, `members` say. */
  readonly state: "running" | "done" | "failed";
  readonly group: string;
  readonly members: readonly MemberStep[];
  readonly error:
    | { readonly code: string; readonly detail: string; readonly hint: string | null }
    | null;
}

export interface MemberStep {
  readonly id: string;
  readonly step: "waiting" | "asked" | "offered" | "signed" | "failed";
  readonly why: string | null;
}
