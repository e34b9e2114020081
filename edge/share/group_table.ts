/** A group of gateways as people see it: planned, being dealt, and founded. */
import type {
  DealStatus,
  GroupMember,
  GroupStatus,
  PlanMember,
  PlanStatus,
} from "../../core/wire/group_status.ts";

/** The lines of a plan, headings first. */
export function planTable({ members }: PlanStatus): string[] {
  return table([
    ["GATEWAY", "FINGERPRINT", "STATE", "ADDRESS"],
    ...members.map((member) => [
      ...[member.id, member.fingerprint, planState(member)],
      member.url ?? "-",
    ]),
  ]);
}

function planState({ self, reachable, group, why }: PlanMember): string {
  if (self) return "this site";
  if (group !== null) return `is in the group ${group}`;
  if (reachable === null) return "not asked";
  return reachable ? "ready" : `does not answer: ${why}`;
}

/** Why nothing can be dealt yet, by members; empty when it can. */
export function hindrances({ members }: PlanStatus): string[] {
  return members.filter(({ reachable, group }) => reachable === false || group !== null)
    .map(({ id }) => id);
}

/** What to know of a threshold before it is dealt. */
export function thresholdWarning({ k, n }: { k: number; n: number }): string | null {
  if (k === 1) {
    return "with a threshold of 1 each gateway alone opens every volume of a stolen device";
  }
  if (k === n) return "every gateway is needed: without any one of them no volume opens";
  return null;
}

/** How far a deal is, in one line. */
export function dealProgress({ members }: DealStatus): string {
  return members.map(({ id, step }) => `${id} ${step}`).join(", ");
}

/** How each member came out of a deal, a line each. */
export function dealLines({ state, members }: DealStatus, status: GroupStatus): string[] {
  const width = Math.max(...members.map(({ id }) => id.length));
  return members.map(({ id, step, why }) => {
    const waits = status.members.find((member) => member.id === id)?.has_roster === false;
    const text = state !== "done"
      ? step === "failed" ? `failed: ${why}` : step
      : waits
      ? "signed; it is still to be told that all have"
      : "signed, has the roster";
    return `${id.padEnd(width)}  ${text}`;
  });
}

/** The lines of a status. */
export function groupLines({ self, group, members, plan, unusable }: GroupStatus): string[] {
  const facts: [string, string | null][] = [
    ["gateway", self.id],
    ["fingerprint", self.fingerprint],
    ["address", self.url],
    ["group", group === null ? "none" : `${group.name}, epoch ${group.epoch}`],
    ["threshold", group && `${group.k} of ${group.n}`],
    ["planned", plan && `${plan.group}, ${plan.k} of ${plan.n}`],
  ];
  return [
    ...facts.flatMap(([name, fact]) => fact === null ? [] : [`${name.padEnd(11)} ${fact}`]),
    ...unusable.map(({ file, why }) => `${"no use".padEnd(11)} ${file}: ${why}`),
    ...(group === null ? [] : ["", ...memberTable(members)]),
    ...(group !== null || plan === null ? [] : ["", ...planTable(plan)]),
  ];
}

function memberTable(members: readonly GroupMember[]): string[] {
  return table([
    ["#", "GATEWAY", "FINGERPRINT", "ANSWERS", "ROSTER", "ADDRESS"],
    ...members.map(({ index, id, fingerprint, self, reachable, has_roster, url }) => [
      ...[`${index}`, id, fingerprint, self ? "this site" : known(reachable)],
      ...[known(has_roster), url],
    ]),
  ]);
}

function known(value: boolean | null): string {
  return value === null ? "unknown" : value ? "yes" : "no";
}

/** What is not as it should be, a line each; empty when all is well, as far as it is known. */
export function shortcomings({ group, members }: GroupStatus): string[] {
  if (group === null) return ["there is no group"];
  return members.flatMap(({ id, reachable, has_roster, why }) => {
    const because = why === null ? "" : `: ${why}`;
    if (reachable === false) return [`${id} does not answer${because}`];
    return has_roster === false ? [`${id} does not have the roster${because}`] : [];
  });
}

/** What leaving means, for who is asked whether to. */
export function partingText({ group }: GroupStatus): string {
  if (group === null) {
    return "there is no group to leave; a plan, and shares not used yet, are erased";
  }
  const { name, k, n } = group;
  const left = n - 1;
  return `this gateway's share of ${name} is erased for good, and nobody can make it again: ` +
    (left < k
      ? `with ${left} of the ${k} gateways that it takes, no volume of the group opens any more`
      : `devices have ${left} gateways left, of which ${k} must answer`);
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd());
}
