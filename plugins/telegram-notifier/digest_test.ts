/** Groups of events and the messages that they become: nothing is lost, and nothing is markup but ours. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Event } from "../../core/wire/event.ts";
import { digestHtml } from "./digest.ts";
import { endedGroups, type Group, groupOf, keyOf, mergedGroups } from "./groups.ts";
import { longestMessage } from "./markup.ts";
import { timesIn } from "./times.ts";
import { anyEvent, eventOf, plainOf } from "./_test_events.ts";

const times = timesIn("Europe/Berlin");
const at = (time: string) => Date.parse(`2026-03-10T${time}+01:00`);

function grouped(events: readonly Event[]): Map<string, Group> {
  return events.reduce((all, event) => {
    const group = groupOf(event);
    return mergedGroups(all, new Map([[keyOf(group), group]]));
  }, new Map<string, Group>());
}

function told(events: readonly Event[], now = at("14:40")): string {
  return digestHtml(grouped(events).values(), { site: "kiosk-7", now, times });
}

Deno.test("one event is a line with whom, what, when and why", () => {
  const event = eventOf({
    ...{ type: "fog.uplink_down", subject: "fog-1", t: at("14:32") },
    detail: { detail: "no route to host", tries: 3 },
  });
  assert.equal(
    told([event]),
    "<b>kiosk-7</b>\n🟠 <b>fog-1</b> does not reach the cloud · 14:32\n     no route to host, tries 3",
  );
});

Deno.test("many events of a kind are one line with counts, and the worst come first", () => {
  const refused = ["m-1", "m-2", "m-1", "m-3", "m-4", "m-5", "m-6"].map((subject, i) =>
    eventOf({ subject, t: at("14:30") + i * 20_000 })
  );
  const alarm = eventOf({ type: "quorum.low", severity: "alarm", subject: "gw", t: at("14:35") });
  assert.equal(
    told([...refused, alarm]),
    "<b>kiosk-7</b> · 8 events\n🔴 <b>gw</b> has no gateway to spare · 14:35\n" +
      "🟠 sent readings that were refused ×7 · 14:30–14:32\n" +
      "     <b>m-1</b> ×2, <b>m-2</b>, <b>m-3</b>, <b>m-4</b>, <b>m-5</b>, others",
  );
});

Deno.test("what is over is struck out, with how long it took", () => {
  const down = eventOf({ type: "device.offline", severity: "info", t: at("14:20") });
  const back = eventOf({ type: "device.authorized", severity: "info", t: at("14:32") });
  const [group] = endedGroups(grouped([down]).values(), back);
  assert.equal(
    digestHtml([group!], { site: "s", now: at("14:40"), times }),
    "<b>s</b> since 14:20\n✅ <b>meter-1</b> <s>has fallen silent</s> · 14:20\n" +
      "     is there 14:32, after 12 min",
  );
});

Deno.test("an end ends what began with the same subject and role, once", () => {
  const down = eventOf({ type: "fog.uplink_down", subject: "fog-1" });
  const groups = [...grouped([down]).values()];
  const up = eventOf({ type: "fog.uplink_up", subject: "fog-1", severity: "info" });
  assert.equal(endedGroups(groups, { ...up, subject: "fog-2" }).length, 0);
  assert.equal(endedGroups(groups, { ...up, role: "drill" }).length, 0);
  assert.equal(endedGroups(groups, { ...up, type: "fog.clock_trusted" }).length, 0);
  const ended = endedGroups(groups, up);
  assert.equal(ended.length, 1);
  assert.equal(endedGroups(ended, up).length, 0);
});

Deno.test("times of another day bear its name", () => {
  const old = told([eventOf({ t: at("14:32") })], Date.parse("2026-03-12T07:00+01:00"));
  assert.match(old, /since 10 Mar 14:32\n.+· 10 Mar 14:32/);
});

Deno.test("whatever happens, every event is counted and a group stays small", () => {
  fc.assert(fc.property(fc.array(anyEvent, { maxLength: 60 }), fc.nat(60), (events, split) => {
    const groups = mergedGroups(grouped(events.slice(0, split)), grouped(events.slice(split)));
    const all = [...groups.values()];
    assert.equal(all.reduce((sum, { n }) => sum + n, 0), events.length);
    for (const { told, n, others, first, last } of all) {
      const named = told.reduce((sum, one) => sum + one.n, 0);
      assert.ok(told.length >= 1 && told.length <= 5 && first <= last);
      assert.ok(others ? named < n : named === n);
      assert.ok(told.every(({ facts, subject }) => facts.length <= 1_200 && subject.length <= 160));
    }
  }));
});

Deno.test("whatever happens, the message is one that Telegram takes", () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 80 }), (events) => {
      const message = told(events);
      assert.ok(message.length <= longestMessage);
      assert.ok(!/[\p{Cc}\u202e]/u.test(plainOf(message).replaceAll("\n", "")));
    }),
    { numRuns: 60 },
  );
});
