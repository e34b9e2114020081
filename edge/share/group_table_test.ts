/** A group as people see it: planned, dealt, and founded, with what is wrong in words. */
import assert from "node:assert/strict";
import type {
  DealStatus,
  GroupMember,
  GroupStatus,
  PlanMember,
  PlanStatus,
} from "../../core/wire/group_status.ts";
import {
  dealLines,
  dealProgress,
  groupLines,
  hindrances,
  partingText,
  planTable,
  shortcomings,
  thresholdWarning,
} from "./group_table.ts";

const fingerprint = "7990-cd78-cee0-7c00-7b35-007b";
const planned = (index: number, facts: Partial<PlanMember> = {}): PlanMember => ({
  ...{ index, id: `gw-${index}`, url: `http://gw-${index}`, fingerprint, self: index === 1 },
  ...{ reachable: true, group: null, why: null },
  ...facts,
});
const plan: PlanStatus = {
  ...{ group: "home", k: 2, n: 4, planned: "2026-07-31T12:00:00.000Z" },
  members: [
    planned(1),
    planned(2),
    planned(3, { reachable: false, url: null, why: "no route" }),
    planned(4, { group: "garden" }),
  ],
};
const member = (index: number, facts: Partial<GroupMember> = {}): GroupMember => ({
  ...{ index, id: `gw-${index}`, url: `http://gw-${index}`, fingerprint, self: index === 1 },
  ...{ reachable: true, has_roster: true, why: null },
  ...facts,
});
const self = { id: "gw-1", url: "http://gw-1", fingerprint };
const empty: GroupStatus = { self, group: null, members: [], plan: null, deal: null, unusable: [] };
const founded: GroupStatus = {
  ...empty,
  group: { name: "home", epoch: 1, k: 2, n: 3, index: 1 },
  members: [member(1), member(2), member(3)],
};

Deno.test("planTable() shows who is ready and who is not, and hindrances() names those", () => {
  assert.deepEqual(planTable(plan), [
    "GATEWAY  FINGERPRINT                    STATE                      ADDRESS",
    `gw-1     ${fingerprint}  this site                  http://gw-1`,
    `gw-2     ${fingerprint}  ready                      http://gw-2`,
    `gw-3     ${fingerprint}  does not answer: no route  -`,
    `gw-4     ${fingerprint}  is in the group garden     http://gw-4`,
  ]);
  assert.deepEqual(hindrances(plan), ["gw-3", "gw-4"]);
});

Deno.test("thresholdWarning() speaks of the two ends only", () => {
  assert.match(thresholdWarning({ k: 1, n: 3 })!, /alone opens/);
  assert.equal(thresholdWarning({ k: 2, n: 3 }), null);
  assert.match(thresholdWarning({ k: 3, n: 3 })!, /every gateway is needed/);
});

Deno.test("dealLines() tells how each member came out of the deal", () => {
  const steps = (["signed", "signed", "failed"] as const).map((step, i) => (
    { id: `gw-${i + 1}`, step, why: step === "failed" ? "it refuses" : null }
  ));
  const failed: DealStatus = { state: "failed", group: "home", members: steps, error: null };
  assert.deepEqual(dealLines(failed, empty), [
    "gw-1  signed",
    "gw-2  signed",
    "gw-3  failed: it refuses",
  ]);
  assert.equal(dealProgress(failed), "gw-1 signed, gw-2 signed, gw-3 failed");
  const members = steps.map((one) => ({ ...one, step: "signed" as const, why: null }));
  const done: DealStatus = { ...failed, state: "done", members };
  const status = { ...founded, members: [member(1), member(2), member(3, { has_roster: false })] };
  assert.deepEqual(dealLines(done, status), [
    "gw-1  signed, has the roster",
    "gw-2  signed, has the roster",
    "gw-3  signed; it is still to be told that all have",
  ]);
});

Deno.test("groupLines() shows the group, the plan, or that there is neither", () => {
  assert.deepEqual(groupLines(empty), [
    "gateway     gw-1",
    `fingerprint ${fingerprint}`,
    "address     http://gw-1",
    "group       none",
  ]);
  const broken = { ...empty, plan, unusable: [{ file: "gw-9.json", why: "no such file" }] };
  const lines = groupLines(broken);
  assert.deepEqual(lines.slice(4, 6), [
    "planned     home, 2 of 4",
    "no use      gw-9.json: no such file",
  ]);
  assert.deepEqual(lines.slice(7), planTable(plan));
  const status: GroupStatus = {
    ...founded,
    members: [member(1), member(2, { reachable: null, has_roster: null }), member(3)],
  };
  assert.deepEqual(groupLines(status).slice(3), [
    "group       home, epoch 1",
    "threshold   2 of 3",
    "",
    "#  GATEWAY  FINGERPRINT                    ANSWERS    ROSTER   ADDRESS",
    `1  gw-1     ${fingerprint}  this site  yes      http://gw-1`,
    `2  gw-2     ${fingerprint}  unknown    unknown  http://gw-2`,
    `3  gw-3     ${fingerprint}  yes        yes      http://gw-3`,
  ]);
});

Deno.test("shortcomings() counts what is known to be wrong, and nothing that is not known", () => {
  assert.deepEqual(shortcomings(empty), ["there is no group"]);
  assert.deepEqual(shortcomings(founded), []);
  const unknown = { ...founded, members: [member(2, { reachable: null, has_roster: null })] };
  assert.deepEqual(shortcomings(unknown), []);
  const wrong = {
    ...founded,
    members: [
      member(2, { reachable: false, has_roster: null, why: "no route" }),
      member(3, { has_roster: false }),
    ],
  };
  assert.deepEqual(shortcomings(wrong), [
    "gw-2 does not answer: no route",
    "gw-3 does not have the roster",
  ]);
});

Deno.test("partingText() says what is left without this gateway", () => {
  assert.match(partingText(founded), /devices have 2 gateways left, of which 2 must answer$/);
  const tight = { ...founded, group: { ...founded.group!, k: 3 } };
  assert.match(
    partingText(tight),
    /2 of the 3 gateways .*, no volume of the group opens any more$/,
  );
  assert.match(partingText(empty), /no group to leave/);
});
