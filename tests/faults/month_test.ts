/**
 * Thirty days of ten fogs with a hundred meters each, whose uplinks fail at random: what the cloud holds
 * in the end equals an independent computation to the watt-hour, and memory has not grown. That takes
 * EDGEWARD_MONTH=full; unless said, it is three days of two fogs with fifty meters.
 */
import assert from "node:assert/strict";
import { type SQL, sql } from "drizzle-orm";
import { temporaryFolder } from "../e2e/program.ts";
import { type Month, type MonthSize, quarter, simulateMonth } from "./_month.ts";
import type { Figures } from "./_oracle.ts";

const isFull = Deno.env.get("EDGEWARD_MONTH") === "full";
const size: MonthSize = isFull
  ? { fogs: 10, meters: 100, days: 30 }
  : { fogs: 2, meters: 50, days: 3 };
const mebibyte = 1024 * 1024;

Deno.test(`the cloud's totals are right to the watt-hour after ${size.days} days`, async () => {
  await using folder = await temporaryFolder();
  await simulateMonth(size, { seed: 11, folder: folder.path }, async (month) => {
    assert.equal(month.readings, size.fogs * size.meters * size.days * 96);
    assert.ok(month.failed > 0, "no uplink ever failed");
    for (const [fog, { windows }] of month.ledgers) {
      assert.deepEqual(await heldOf(month, fog), new Map([...windows].sort(([a], [b]) => a - b)));
    }
    await nothingMissing(month);
    const [early, late] = month.memory;
    assert.ok(late.heap < 1.25 * early.heap + 16 * mebibyte, JSON.stringify(month.memory));
    assert.ok(late.rss < 1.15 * early.rss + 96 * mebibyte, JSON.stringify(month.memory));
  });
});

async function heldOf({ cloud }: Month, fog: string): Promise<Map<number, Figures>> {
  const rows = await rowsOf<Figures & { start: number; end: number }>(
    cloud,
    sql`
    SELECT window_start AS start, window_end AS end, n, sum_power_w AS power_W,
      sum_voltage_mv AS voltage_mV, min_power_w AS min_power_W, max_power_w AS max_power_W,
      energy_wh AS energy_Wh
    FROM cloud_summary_windows WHERE fog_id = ${fog} AND state = 'in_force' ORDER BY start`,
  );
  return new Map(rows.map(({ start, end, ...figures }) => {
    assert.equal(end - start, quarter);
    return [start, figures];
  }));
}

async function nothingMissing({ cloud }: Month): Promise<void> {
  for (const table of ["lost", "conflicts"]) {
    const rows = await rowsOf(cloud, sql.raw(`SELECT * FROM cloud_summary_${table}`));
    assert.deepEqual(rows, [], table);
  }
  // every register's readings are one range of numbers, from 1 on
  const holes = await rowsOf(
    cloud,
    sql`
    SELECT meter, register, count(*) AS ranges, min(first) AS first
    FROM cloud_summary_coverage JOIN cloud_summary_registers ON id = register_id
    GROUP BY register_id HAVING ranges > 1 OR first > 1`,
  );
  assert.deepEqual(holes, []);
}

function rowsOf<T>({ db }: Month["cloud"], query: SQL): Promise<T[]> {
  return db.read((tx) => tx.all<T>(query));
}
