/** What `/alerts` shows. */
import assert from "node:assert/strict";
import { Alerts } from "./alerts.ts";
import { timesIn } from "./times.ts";
import { eventOf } from "./_test_events.ts";

const times = timesIn("UTC");
const t = Date.parse("2026-03-10T14:00Z");

Deno.test("what goes on comes first, then the latest; ends, counts and room are kept", () => {
  const kept = new Map<string, unknown>();
  const alerts = new Alerts({ keepAlert: (key, alert) => void kept.set(key, alert) }, []);
  const down = eventOf({ type: "fog.uplink_down", subject: "fog-1", t });
  alerts.hear(down);
  alerts.hear({ ...down, subject: "fog-2" });
  alerts.hear({ ...down, type: "fog.uplink_up", severity: "info", t: t + 120_000 });
  alerts.hear(eventOf({ severity: "info", subject: "quiet" }));
  for (let i = 0; i < 3; i++) alerts.hear(eventOf({ subject: "meter-1", t: t + i * 60_000 }));
  const { rows } = alerts.sheet(t + 180_000, times);
  assert.deepEqual(rows!.map(({ title }) => title), [
    "🟠 fog-2 does not reach the cloud",
    "🟠 meter-1 sent readings that were refused",
    "✅ fog-1 does not reach the cloud",
  ]);
  assert.deepEqual(rows![1]!.facts, [["×3, last", "14:02"]]);
  assert.match(rows![2]!.facts![0]![1], /reaches the cloud 14:02, after 2 min/);
  for (let i = 0; i < 500; i++) alerts.hear(eventOf({ subject: `m-${i}`, t: t + i }));
  assert.equal([...kept.values()].filter((alert) => alert !== null).length, 100);
  const sheet = alerts.sheet(t, times);
  assert.deepEqual([sheet.rows!.length, sheet.more], [25, 75]);
  const again = new Alerts({ keepAlert() {} }, [...kept].filter(([, alert]) => alert) as never);
  assert.equal(again.sheet(t, times).rows!.length, 25);
});

Deno.test("a site at which nothing has gone wrong says so", () => {
  assert.match(new Alerts({ keepAlert() {} }, []).sheet(t, times).title, /Nothing/);
});
