/**
 * Events of one kind as one thing to tell: how many, from when to when, and of the first few subjects a
 * little more. However many there are, a group stays small, and there are no more groups than kinds.
 */
import { plainLine } from "../../core/base/plain_text.ts";
import type { Event, EventType, Severity } from "../../core/wire/event.ts";
import { type End, endedBy } from "./incidents.ts";

/** One subject of a group. */
export interface Told {
  readonly subject: string;
  /** Events about it. */
  readonly n: number;
  /** The first and the last of them, in Unix milliseconds. */
  readonly first: number;
  readonly last: number;
  /** What the last one said besides. */
  readonly facts: string;
  /** Null while it goes on, or where there is no end to it. */
  readonly end: End | null;
}

export interface Group {
  readonly type: EventType;
  readonly role: string;
  readonly severity: Severity;
  readonly n: number;
  readonly first: number;
  readonly last: number;
  /** At most `subjects`, in the order of their coming. */
  readonly told: readonly Told[];
  /** Whether there were other subjects. */
  readonly others: boolean;
}

export type Groups = ReadonlyMap<string, Group>;

const subjects = 5;
const factsLimit = 6;

/** Events with the same key belong together. */
export function keyOf({ severity, type, role }: Pick<Group, "severity" | "type" | "role">): string {
  return `${severity} ${type} ${role}`;
}

export function groupOf(event: Event): Group {
  const { type, severity, role, t } = event;
  const told = {
    subject: plainLine(event.subject, 80),
    ...{ n: 1, first: t, last: t, facts: factsOf(event.detail), end: null },
  };
  return {
    ...{ type, severity, n: 1, first: t, last: t, told: [told], others: false },
    role: plainLine(role, 64),
  };
}

/** Two groups with the same key, the earlier one first. */
export function mergedGroup(a: Group, b: Group): Group {
  const bySubject = new Map(a.told.map((one) => [one.subject, one]));
  let others = a.others || b.others;
  for (const one of b.told) {
    const before = bySubject.get(one.subject);
    if (before !== undefined) {
      const { first, n } = before;
      bySubject.set(one.subject, { ...one, first: Math.min(first, one.first), n: n + one.n });
    } else if (bySubject.size < subjects) bySubject.set(one.subject, one);
    else others = true;
  }
  const { type, role, severity } = a;
  return {
    ...{ type, role, severity, others, told: [...bySubject.values()], n: a.n + b.n },
    first: Math.min(a.first, b.first),
    last: Math.max(a.last, b.last),
  };
}

/** All groups of both, the earlier ones first. */
export function mergedGroups(a: Groups, b: Groups): Map<string, Group> {
  const all = new Map(a);
  for (const [key, group] of b) {
    const before = all.get(key);
    all.set(key, before === undefined ? group : mergedGroup(before, group));
  }
  return all;
}

/** The groups in which something ends with the event, as they are then. */
export function endedGroups(groups: Iterable<Group>, event: Event): Group[] {
  const beginnings = endedBy(event.type);
  if (beginnings.length === 0) return [];
  const subject = plainLine(event.subject, 80);
  const isEnded = (one: Told) => one.subject === subject && one.end === null;
  return [...groups]
    .filter(({ type, role, told }) =>
      beginnings.includes(type) && role === event.role && told.some(isEnded)
    )
    .map((group) => ({
      ...group,
      told: group.told.map((one) =>
        isEnded(one) ? { ...one, end: { type: event.type, t: event.t } } : one
      ),
    }));
}

/** `reason timeout, gateways 3`: the parts of a detail that can be said in a word or two. */
function factsOf(detail: Event["detail"]): string {
  const facts: string[] = [];
  const add = (name: string, value: unknown) => {
    if (facts.length === factsLimit || value === null || value === undefined) return;
    if (typeof value === "object") {
      for (const [inner, deeper] of Object.entries(value).slice(0, factsLimit)) {
        if (typeof deeper !== "object") add(Array.isArray(value) ? name : inner, deeper);
      }
    } else {
      const said = plainLine(String(value), 100);
      if (said !== "") facts.push(name === "detail" ? said : `${plainLine(name, 40)} ${said}`);
    }
  };
  for (const [name, value] of Object.entries(detail)) add(name.replaceAll("_", " "), value);
  return plainLine(facts.join(", "), 300);
}
