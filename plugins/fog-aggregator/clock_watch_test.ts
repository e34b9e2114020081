/** Who is told of doubt, and what the database says against a clock. */
import assert from "node:assert/strict";
import { openTestFog } from "./_test_fog.ts";
import { batch, insert, minute, noon, reading } from "./_test_store.ts";
import { ClockWatch, openClock } from "./clock_watch.ts";

Deno.test("doubt is told when it begins and when it ends, once each", async () => {
  await using fog = await openTestFog({ wall: 0 });
  const { clock, host, events } = fog.now;
  const reports: (string | null)[] = [];
  const watch = new ClockWatch(host, clock, { report: (trouble) => void reports.push(trouble) });
  watch.look();
  watch.look();
  fog.time.wall = noon;
  watch.look();
  clock.learn(noon + 60 * minute, 0);
  watch.look();
  assert.deepEqual(events.map(({ type, severity }) => `${type} ${severity}`), [
    "fog.clock_doubted warning",
    "fog.clock_trusted info",
  ]);
  assert.match(reports[0]!, /has not been set.*: set this host's clock, or let the fog reach/);
  assert.equal(reports[2], null);
  assert.match(reports[3]!, /3,600 s behind the cloud's/);
});

Deno.test("a clock before what the database holds is doubted from the start", async () => {
  await using fog = await openTestFog();
  const opened = () => openClock({ clock: () => fog.time.wall, db: fog.now.db });
  assert.equal((await opened()).doubt, null);
  await insert(fog.now.store, batch([reading(1)]));
  fog.time.wall -= 60 * minute;
  assert.match((await opened()).doubt!, /3,600 s before the newest/);
});
