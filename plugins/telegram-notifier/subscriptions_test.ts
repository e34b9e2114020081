/** What a chat wants to hear. */
import assert from "node:assert/strict";
import { isMutable, isMuted, wants } from "./subscriptions.ts";
import { eventOf } from "./_test_events.ts";

const usual = { roles: ["*"], severity: "info", routine: false } as const;

Deno.test("a chat hears of its roles, from its severity on, and of routine when it wants that", () => {
  const cases: [Parameters<typeof wants>[0], Parameters<typeof eventOf>[0], boolean][] = [
    [{ ...usual, roles: ["*"] }, {}, true],
    [{ ...usual, roles: ["core", "fog-aggregator"] }, {}, true],
    [{ ...usual, roles: ["core"] }, {}, false],
    [{ ...usual, roles: ["*"], severity: "warning" }, { severity: "info" }, false],
    [{ ...usual, roles: ["*"], severity: "warning" }, { severity: "alarm" }, true],
    [{ ...usual, roles: ["*"], severity: "alarm" }, { severity: "warning" }, false],
    [{ ...usual, roles: ["*"] }, { severity: "info", type: "fog.window_closed" }, false],
    [
      { ...usual, roles: ["*"], routine: true },
      { severity: "info", type: "fog.window_closed" },
      true,
    ],
    [{ ...usual, roles: ["*"] }, { severity: "alarm", type: "fog.window_closed" }, true],
  ];
  for (const [chat, event, expected] of cases) assert.equal(wants(chat, eventOf(event)), expected);
});

Deno.test("a mute is for a type, a family, a role, or for all but alarms, until its end", () => {
  const event = eventOf({ type: "fog.uplink_down" });
  for (const what of ["*", "fog.uplink_down", "fog", "fog-aggregator"]) {
    assert.ok(isMuted([{ what, until: 10 }], event, 9), what);
    assert.ok(!isMuted([{ what, until: 10 }], event, 10), what);
    const isLoud = isMuted([{ what, until: 10 }], { ...event, severity: "alarm" }, 9);
    assert.equal(isLoud, what !== "*", what);
  }
  assert.ok(!isMuted([{ what: "fog.uplink_up", until: 10 }], event, 9));
  for (const what of ["*", "fog", "share-gateway", "unlock.denied"]) {
    assert.ok(isMutable(what), what);
  }
  for (const what of ["", "fog.*", "x'; --", "unlock.nothing", "A"]) {
    assert.ok(!isMutable(what), what);
  }
});
