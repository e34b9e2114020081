/** The figures of a window, summed up in the database. */
import { sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { WindowFigures } from "../../core/wire/summary.ts";

/** Energy counts from each register's reading before the window, else from its first in it. */
export async function figuresOf(tx: Queries, start: number): Promise<WindowFigures> {
  const [sums] = await tx.all<Omit<WindowFigures, "registers" | "num_meters" | "energy_Wh">>(sql`
    SELECT count(*) AS n,
      sum(power_w) AS sum_power_W, min(power_w) AS min_power_W, max(power_w) AS max_power_W,
      sum(voltage_mv) AS sum_voltage_mV, min(voltage_mv) AS min_voltage_mV,
      max(voltage_mv) AS max_voltage_mV
    FROM fog_aggregator_readings WHERE window_start = ${start}`);
  const perRegister = await tx.all<{ meter: Id; last: number; before: number }>(sql`
    WITH w AS (
      SELECT register_id, t, seq, energy_wh,
        row_number() OVER (PARTITION BY register_id ORDER BY t, seq) AS from_start,
        row_number() OVER (PARTITION BY register_id ORDER BY t DESC, seq DESC) AS from_end
      FROM fog_aggregator_readings WHERE window_start = ${start}
    )
    SELECT g.meter, l.energy_wh AS last, coalesce((
        SELECT b.energy_wh FROM fog_aggregator_readings b
        WHERE b.register_id = f.register_id AND b.t < f.t ORDER BY b.t DESC, b.seq DESC LIMIT 1
      ), f.energy_wh) AS before
    FROM w f JOIN w l ON l.register_id = f.register_id AND l.from_end = 1
    JOIN fog_aggregator_registers g ON g.id = f.register_id
    WHERE f.from_start = 1 ORDER BY l.t, l.seq`);
  const registers = new Map<Id, number>();
  let energy_Wh = 0;
  for (const { meter, last, before } of perRegister) {
    registers.set(meter, last);
    energy_Wh += Math.max(0, last - before);
  }
  return { ...sums!, num_meters: registers.size, energy_Wh, registers };
}
