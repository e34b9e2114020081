/** The one decision about a device: every reason, and which of several is the one that is given. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { DeniedReason } from "../../core/wire/unlock.ts";
import {
  type Asked,
  decideDeposit,
  decideUnlock,
  type Decision,
  type DepositFacts,
  type Rules,
  type UnlockFacts,
} from "./policy.ts";
import { boot, group } from "./_test_unlock.ts";

const rules: Rules = { onClone: "deny", maxVolumes: 4 };
const alarming: Rules = { ...rules, onClone: "alarm" };

const asked: Asked = { scheme: "voprf", group, epoch: 3, seal: false, boot: boot(5) };
const fine: UnlockFacts = {
  asked,
  group: { key: group, epoch: 3 },
  volume: { scheme: "voprf", sealing: null },
  ...{ lastBoot: boot(4), isSuspended: false, volumes: 0, isOpen: true, wait: 0 },
  approval: "not_needed",
};
const noKey = new Uint8Array(32).fill(1);

/** What spoils a request, in the order in which it counts. */
const troubles: readonly (readonly [DeniedReason, Partial<UnlockFacts>])[] = [
  ["no_share", { group: null }],
  ["group", { group: { key: noKey, epoch: 3 } }],
  ["epoch", { group: { key: group, epoch: 4 } }],
  ["clone", { lastBoot: boot(6) }],
  ["hours", { isOpen: false }],
  ["rate", { wait: 700 }],
  ["quota", { volume: null, volumes: 4 }],
  ["pending", { approval: "missing" }],
];

function shownOf({ denied, retry, clone, remember }: Decision) {
  return [denied, retry, clone, remember];
}

Deno.test("decideUnlock() gives each reason for what is wrong, and none when nothing is", () => {
  type Case = readonly [DeniedReason | null, Partial<UnlockFacts>, Partial<Asked>?];
  const cases: readonly Case[] = [
    [null, {}],
    [null, { lastBoot: null }],
    [null, { lastBoot: boot(5) }],
    [null, { approval: "approved" }],
    [null, { volume: null, volumes: 3 }],
    ...troubles,
    ["group", {}, { group: null }],
    ["epoch", { group: { key: group, epoch: 2 } }],
    ["clone", { lastBoot: boot(5, 1) }],
    ["clone", { isSuspended: true }],
    ["clone", { isSuspended: true, lastBoot: null }],
    ["pending", { approval: "pending" }],
    ["refused", { approval: "refused" }],
    ["quota", { approval: "crowded" }],
    ["volume_known", {}, { seal: true }],
    [null, { volume: null }, { seal: true }],
    // the start that has made it a moment ago asks again
    [null, { volume: { scheme: "voprf", sealing: boot(5).id } }, { seal: true }],
    ["volume_known", { volume: { scheme: "voprf", sealing: boot(4).id } }, { seal: true }],
    ["volume_known", { volume: { scheme: "xor", sealing: boot(5).id } }, { seal: true }],
    // a volume of pieces has nothing to do with a group, and the other way round
    ["volume_unknown", {}, { scheme: "xor", group: null, epoch: 0 }],
    ["volume_unknown", { volume: null }, { scheme: "shamir", group: null, epoch: 0 }],
    [null, { volume: { scheme: "xor", sealing: null }, group: null }, { scheme: "xor", epoch: 0 }],
    ["volume_known", { volume: { scheme: "xor", sealing: null } }, { scheme: "xor", seal: true }],
  ];
  for (const [reason, facts, request = {}] of cases) {
    const decision = decideUnlock({ ...fine, asked: { ...asked, ...request }, ...facts }, rules);
    assert.equal(decision.denied, reason, JSON.stringify([facts, request]));
  }
});

Deno.test("decideUnlock() gives of several reasons the first one in the order of its checks", () => {
  const some = fc.subarray(troubles.map((_, i) => i), { minLength: 1 });
  fc.assert(fc.property(some, (indices) => {
    // later ones would undo what earlier ones spoil where both speak of the group
    const facts = indices.toReversed().reduce<UnlockFacts>(
      (facts, i) => ({ ...facts, ...troubles[i]![1] }),
      fine,
    );
    assert.equal(decideUnlock(facts, rules).denied, troubles[Math.min(...indices)]![0]);
  }));
});

Deno.test("decideUnlock() says when to ask again, whether it is a clone, and whether the start is new", () => {
  const cases: [unknown[], Partial<UnlockFacts>][] = [
    [[null, null, false, true], {}],
    [[null, null, false, true], { lastBoot: null }],
    [[null, null, false, false], { lastBoot: boot(5) }],
    [["clone", null, true, false], { lastBoot: boot(6) }],
    [["clone", null, false, false], { lastBoot: boot(6), isSuspended: true }],
    [["hours", null, false, true], { isOpen: false }],
    [["hours", null, false, false], { isOpen: false, wait: 5 }],
    [["rate", 5, false, false], { wait: 5 }],
    [["pending", 2_000, false, true], { approval: "missing" }],
    [["pending", 2_000, false, false], { approval: "pending", lastBoot: boot(5) }],
    [["refused", null, false, true], { approval: "refused" }],
    [["quota", 30_000, false, true], { approval: "crowded" }],
    [["epoch", null, false, false], { group: { key: group, epoch: 4 } }],
  ];
  for (const [expected, facts] of cases) {
    const decision = decideUnlock({ ...fine, ...facts }, rules);
    assert.deepEqual(shownOf(decision), expected, JSON.stringify(facts));
  }
});

Deno.test("decideUnlock() goes on with a suspected clone where it should only raise the alarm", () => {
  const cases: [unknown[], Partial<UnlockFacts>][] = [
    [[null, null, true, true], { lastBoot: boot(6) }],
    [[null, null, false, true], { isSuspended: true }],
    [["hours", null, true, true], { lastBoot: boot(6), isOpen: false }],
    // no alarm for each of a flood
    [["rate", 5, false, false], { lastBoot: boot(6), wait: 5 }],
  ];
  for (const [expected, facts] of cases) {
    const decision = decideUnlock({ ...fine, ...facts }, alarming);
    assert.deepEqual(shownOf(decision), expected, JSON.stringify(facts));
  }
});

Deno.test("decideUnlock() asks for no start where there is none, but a suspended device stays out", () => {
  const asked: Asked = { scheme: "xor", group: null, epoch: 0, seal: false, boot: null };
  const facts = { ...fine, asked, volume: { scheme: "xor", sealing: null } as const };
  assert.deepEqual(shownOf(decideUnlock(facts, rules)), [null, null, false, false]);
  assert.equal(decideUnlock({ ...facts, isSuspended: true }, rules).denied, "clone");
});

Deno.test("decideDeposit() knows a piece again, and asks neither clocks nor people", () => {
  const fine: DepositFacts = {
    ...{ boot: boot(5), lastBoot: boot(4), isSuspended: false, volumes: 3, isOpen: false, wait: 0 },
    held: "nothing",
  };
  const cases: [DeniedReason | null, Partial<DepositFacts>][] = [
    [null, {}],
    [null, { held: "same", volumes: 4 }],
    ["volume_known", { held: "other" }],
    ["volume_known", { held: "other", lastBoot: boot(6) }],
    ["clone", { lastBoot: boot(6) }],
    ["clone", { isSuspended: true, wait: 9 }],
    ["quota", { volumes: 4 }],
  ];
  for (const [reason, facts] of cases) {
    assert.equal(decideDeposit({ ...fine, ...facts }, rules).denied, reason, JSON.stringify(facts));
  }
  assert.deepEqual(shownOf(decideDeposit({ ...fine, wait: 9 }, rules)), ["rate", 9, false, false]);
});
