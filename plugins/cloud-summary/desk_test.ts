/** What the role offers at the desk: the figures of all fogs in short, and what is missing. */
import assert from "node:assert/strict";
import type { Id } from "../../core/base/id.ts";
import { type Desk, type Sheet, SiteDesk } from "../../core/services/desk.ts";
import { offerSummary } from "./desk.ts";
import { chain, fog, link, minute } from "./_links.ts";
import { withLibsqlStore } from "./_temporary_store.ts";
import type { SummaryStore } from "./store.ts";

const none = () => {};
const log = { debug: none, info: none, warn: none, error: none };
const other = "fog-2" as Id;
const now = 60 * minute;

function withDesk(use: (desk: Desk, store: SummaryStore) => Promise<void>): Promise<void> {
  return withLibsqlStore(async (store) => {
    const desk = new SiteDesk({ log }).scoped(none);
    offerSummary({ clock: () => now, desk }, store);
    await use(desk, store);
  });
}

const show = (desk: Desk, args = ""): Promise<Sheet> => desk.views()[0]!.show(args);

Deno.test("summary shows the totals, each fog with its last window, and that nothing is missing", async () => {
  await withDesk(async (desk, store) => {
    assert.deepEqual(await show(desk), {
      ...{ title: "All fogs", rows: [] },
      facts: [["windows", "0"], ["average", "none"], ["missing", "nothing"]],
    });
    const links = chain({ at: 1, seqs: [[1, 3]] }, { at: 2, seqs: [[4, 9]] });
    await store.append(fog, links, now - 2 * minute);
    const { facts, rows } = await show(desk);
    assert.deepEqual(facts, [
      ["windows", "2"],
      ["average", "0.1 kW, 230 V"],
      ["missing", "nothing"],
    ]);
    assert.deepEqual(rows, [{
      title: "fog-1",
      facts: [
        ["last window", "ended 1970-01-01 00:03:00 UTC, 57 min ago"],
        ["meters", "1, 6 readings"],
        ["average", "0.1 kW, 230 V"],
        ["heard", "2 min ago: number 2 of epoch 1"],
      ],
    }]);
    const said = await desk.remarks()[0]!.all();
    assert.deepEqual(said, new Map([["fog-1", [["summary", "the last one came 2 min ago"]]]]));
  });
});

Deno.test("summary names what is missing, of all and of one fog", async () => {
  await withDesk(async (desk, store) => {
    const [first, , third] = chain({ at: 1 }, { at: 2 }, { at: 3 });
    await store.append(fog, [first!, third!], now);
    await store.append(other, [link({ fog_id: other, at: 2, seqs: [[1, 2], [5, 6]] })], now);
    const all = await show(desk);
    const missing = Object.fromEntries(all.facts!)["missing"]!;
    assert.match(missing, /^1 gap in the summaries, \d gaps? in the readings$/);
    const facts = all.rows!.map(({ facts }) => Object.fromEntries(facts!)["missing"]);
    assert.deepEqual(facts, ["1 gap in the summaries", undefined]);
    const own = await show(desk, " fog-1 ");
    assert.equal(own.title, "The fog fog-1");
    assert.deepEqual(own.rows!.map(({ title }) => title), ["fog-1"]);
    assert.match(Object.fromEntries(own.facts!)["missing"]!, /^1 gap in the summaries/);
    assert.deepEqual((await show(desk, "fog-9")).facts, [["found", "nothing was heard of it"]]);
    await assert.rejects(show(desk, "fog 1"), { code: "id_invalid" });
  });
});
