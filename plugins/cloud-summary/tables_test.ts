/** A cloud of the release before goes on with what it has. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { openDatabase } from "../../core/services/db/mod.ts";
import { decodeSummary } from "../../core/wire/summary.ts";
import { allFindings, chain, everything, fog, headOf, link, windowOf } from "./_links.ts";
import { libsqlStore } from "./store_libsql.ts";
import { migrations } from "./tables.ts";

Deno.test("the tables of the release before keep their chain, windows and totals", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using db = await openDatabase({ path: `${folder}/cloud.db` });
    await db.migrate("core", auditMigrations);
    await db.migrate("cloud-summary", migrations.slice(0, 1));
    const links = chain({ at: 1, n: 2 }, { at: 2, n: 3 }, { at: 3 });
    const { hash } = links[1]!;
    await db.write(async (tx) => {
      await tx.run(
        sql`INSERT INTO cloud_summary_fogs VALUES (${fog}, 1, 2, ${hash}, 2, 5, 500, 9)`,
      );
      for (const { summary: s, hash } of links.slice(0, 2)) {
        // what the summaries of that release said of registers cannot be read any more
        await tx.run(sql`INSERT INTO cloud_summary_summaries
          VALUES (${fog}, 1, ${s.seq}, ${hash}, 7, ${new Uint8Array([1])})`);
        await tx.run(sql`INSERT INTO cloud_summary_windows VALUES (${fog}, ${s.window.start},
          ${s.window.end}, 1, ${s.seq}, 0, 1, ${s.n}, ${s.sum_power_W}, ${s.min_power_W},
          ${s.max_power_W}, ${s.sum_voltage_mV}, ${s.min_voltage_mV}, ${s.max_voltage_mV},
          ${s.energy_Wh})`);
      }
    });
    await db.migrate("cloud-summary", migrations);
    const audit = auditOf("cloud-summary", () => 0);
    const store = libsqlStore(db, { read: decodeSummary, audit });
    assert.deepEqual(await store.windows(everything), links.slice(0, 2).map(windowOf));
    assert.equal((await store.totals()).n, 5);
    const { outcomes, head } = await store.append(fog, links, 8);
    assert.deepEqual([outcomes, head], [["duplicate", "duplicate", "stored"], headOf(links[2]!)]);
    const revised = link({ at: 2, revision: 1, n: 4 }, links[2]);
    await store.append(fog, [revised], 9);
    assert.equal((await store.totals()).n, 2 + 4 + 1);
    const missing = await allFindings(store);
    assert.deepEqual(missing.filter(({ kind }) => kind !== "reading"), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
