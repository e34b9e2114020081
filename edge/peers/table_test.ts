/** Peers as people see them: in a table, and one by one. */
import assert from "node:assert/strict";
import type { BanStatus, PeerStatus } from "../../core/wire/peer_status.ts";
import { commandFor, peerFacts } from "./facts.ts";
import { joinText } from "./join.ts";
import { peerTable } from "./table.ts";

const now = Date.parse("2026-07-31T12:00:00Z");
const before = (ms: number) => new Date(now - ms).toISOString();
const nobody: Omit<PeerStatus, "state"> = {
  ...{ kind: "meter", id: "m-1", fingerprint: null, statement_fingerprint: null, words: null },
  ...{ proof: null, first_seen: null, last_seen: null, enrolled: null, bound: null },
  ...{ code_expires: null, name: null, ban: null },
};
const ban: BanStatus = {
  ...{ by: "name", reason: "sends nonsense", actor: "token:7f", since: before(60_000) },
  ...{ until: before(-3_540_000), before: "approved" },
};
const waiting: Omit<PeerStatus, "state"> = {
  ...nobody,
  fingerprint: "7990-cd78-cee0-7c00-7b35-007b",
  proof: "key",
  first_seen: before(200_000),
  last_seen: before(9_000),
};
const words = "typical dance tape crush soccer essence";

Deno.test("peerTable() aligns who waits, who is known and who is gone", () => {
  const rows = peerTable([
    { ...waiting, state: "pending", words },
    { ...waiting, kind: "device", id: "door-12", state: "unproven", proof: "none" },
    { ...nobody, id: "m-2", state: "enrolled", code_expires: before(-7_300_000) },
    { ...nobody, id: "m-3", state: "enrolled", code_expires: before(60_000) },
    { ...nobody, id: "m-4", state: "approved", fingerprint: "a", bound: before(2 * 86_400_000) },
    { ...nobody, id: "m-5", state: "revoked" },
  ], now);
  assert.deepEqual(rows, [
    "PEER            STATE     SHOWS",
    "meter/m-1       pending   typical dance tape crush soccer essence  came 3 min ago",
    "device/door-12  unproven  7990-cd78-cee0-7c00-7b35-007b            came 3 min ago",
    "meter/m-2       enrolled  -                                        code works for 2 h",
    "meter/m-3       enrolled  -                                        code expired 1 min ago",
    "meter/m-4       approved  a                                        joined 2 d ago",
    "meter/m-5       revoked   -",
  ]);
});

Deno.test("peerTable() has names where anybody has one, and for how long somebody is banned", () => {
  const rows = peerTable([
    { ...nobody, state: "approved", bound: before(60_000), name: "Pump 7" },
    { ...nobody, id: "m-2", state: "banned", fingerprint: "a", ban },
    { ...nobody, id: "m-3", state: "banned", ban: { ...ban, until: null } },
  ], now);
  assert.deepEqual(rows, [
    "PEER       STATE     SHOWS                    NAME",
    "meter/m-1  approved  -      joined 1 min ago  Pump 7",
    "meter/m-2  banned    a      for 59 min",
    "meter/m-3  banned    -      until unbanned",
  ]);
});

Deno.test("joinText() says until when strangers may apply", () => {
  assert.equal(joinText({ open: false, until: null }, now), null);
  const may = "devices without a code may apply";
  assert.equal(joinText({ open: true, until: null }, now), may);
  assert.equal(
    joinText({ open: true, until: before(-299_000) }, now),
    `${may} until 2026-07-31 12:04:59 UTC, in 4 min`,
  );
});

Deno.test("peerFacts() tells why somebody is banned, until when, and what it is afterwards", () => {
  const facts = peerFacts({ ...nobody, state: "banned", name: "Pump 7", ban }, now);
  assert.deepEqual(facts, [
    "peer         meter/m-1",
    "name         Pump 7",
    "state        banned: is refused for a time",
    "banned       the name, until 2026-07-31 12:59:00 UTC, in 59 min; " +
    "by token:7f, 2026-07-31 11:59:00 UTC, 1 min ago",
    "because      sends nonsense",
    "afterwards   approved",
    "to let it in edgeward peers unban meter/m-1",
  ]);
  const byKey = peerFacts(
    {
      ...nobody,
      state: "banned",
      ban: { ...ban, by: "key", reason: null, until: null, before: null },
    },
    now,
  );
  assert.match(byKey[2]!, /^banned {7}the key, under whatever name, until somebody lifts it; by/);
  assert.equal(byKey.length, 4);
});

Deno.test("peerFacts() tells all that is known, a line a fact", () => {
  assert.deepEqual(peerFacts({ ...waiting, state: "pending", words }, now), [
    "peer         meter/m-1",
    "state        pending: waits for approval",
    "words        typical dance tape crush soccer essence",
    "fingerprint  7990-cd78-cee0-7c00-7b35-007b",
    "proof        key: the key is its own; whose it is, only a look at the device can tell",
    "first seen   2026-07-31 11:56:40 UTC, 3 min ago",
    "last seen    2026-07-31 11:59:51 UTC, 9 s ago",
    'to let it in edgeward peers approve meter/m-1 --words "what the device shows"',
  ]);
  const code_expires = before(-90_000);
  assert.deepEqual(peerFacts({ ...nobody, state: "enrolled", code_expires }, now), [
    "peer         meter/m-1",
    "state        enrolled: has a code that it has not used",
    "code works   until 2026-07-31 12:01:30 UTC, in 1 min",
  ]);
});

Deno.test("commandFor() goes by what the device can show, and never says it", () => {
  const commands: [Partial<PeerStatus> & Pick<PeerStatus, "state">, RegExp][] = [
    [{ state: "pending", words }, /^edgeward peers approve meter\/m-1 --words "what/],
    [{ state: "pending" }, /^edgeward peers approve meter\/m-1 --fingerprint "what/],
    [{ state: "conflict", words }, /^edgeward peers replace meter\/m-1 --words "what/],
    [{ state: "unproven", proof: "none" }, /^edgeward peers approve meter\/m-1 --code -$/],
  ];
  for (const [peer, command] of commands) {
    assert.match(commandFor({ ...waiting, ...peer }), command);
  }
});
