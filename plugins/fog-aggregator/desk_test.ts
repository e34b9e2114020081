/** What the role offers at the desk: how the fog is, and when each meter has measured last. */
import assert from "node:assert/strict";
import { SiteDesk } from "../../core/services/desk.ts";
import { openTestFog } from "./_test_fog.ts";
import { batch, closeAll, insert, reading } from "./_test_store.ts";
import { offerFog } from "./desk.ts";
import { outboxOf } from "./outbox.ts";
import type { Shown } from "./routes.ts";

const none = () => {};
const log = { debug: none, info: none, warn: none, error: none };

Deno.test("fog shows its clock, its way to the cloud and its room; meters, when they measured", async () => {
  await using fog = await openTestFog();
  const { clock, db, retention, store, waiting } = fog.now;
  const uplink: NonNullable<Shown["uplink"]> = {
    status: () => ({ up: false, head: null, trouble: "no way there", bytes_per_call: 1 }),
  };
  const desk = new SiteDesk({ log }).scoped(none);
  const shown = { clock, db, outbox: outboxOf(db), uplink, retention, waiting };
  offerFog({ desk }, shown);
  const show = desk.views()[0]!.show;
  const told = async () => Object.fromEntries((await show("")).facts!);
  const { room, ...facts } = await told();
  assert.match(room!, /^\d+(\.\d)? kB of 4.3 GB$/);
  assert.deepEqual(facts, {
    ...{ cloud: "not connected", trouble: "no way there", summaries: "0 to go, 0 there" },
    ...{ clock: "trusted", "statements that wait for the time": "0" },
  });
  await insert(store, batch([1, 2, 5].map((seq) => reading(seq))));
  await insert(store, batch([reading(9)], { meter: "m-2" }));
  await closeAll(store);
  assert.match((await told())["summaries"]!, /^[1-9]\d* to go, 0 there$/);
  assert.match((await told())["oldest to go"]!, /^window of \d{4}-/);
  await outboxOf(db).refuse({ epoch: 1, seq: 1 }, "malformed");
  assert.equal((await told())["set aside"], "1, of which the cloud refused 1");

  fog.pass(3_600_000);
  const said = await desk.remarks()[0]!.all();
  assert.deepEqual([...said.keys()].sort(), ["m-1", "m-2"]);
  for (const facts of said.values()) {
    assert.deepEqual(facts.map(([label]) => label), ["measured"]);
    assert.match(facts[0]![1], /^(59|60|1) (min|h) ago$/);
  }
});
