/**
 * The figures of a window, summed up in the database. Energy is what each reading adds to the one
 * with the next lower number of its register, wherever that one's window is: so the energies of all
 * windows add up to what the registers counted, in whatever order readings came.
 */
import { sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import type { Range } from "../../core/base/ranges.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import { Flag } from "../../core/wire/reading.ts";
import type { RegisterInWindow, WindowFigures } from "../../core/wire/summary.ts";

export interface Found {
  readonly figures: WindowFigures;
  readonly decreases: number;
  readonly decreasing: readonly string[];
  readonly leftOut: readonly string[];
}

/** Readings of one register with consecutive numbers. */
interface Run {
  readonly meter: Id;
  readonly register: Id;
  /** Runs that the register has. */
  readonly runs: number;
  readonly last: number;
  readonly n: number;
  readonly energy_Wh: number;
  readonly consumed_Wh: number;
  readonly decreases: number;
  readonly sum_power_W: number;
  readonly min_power_W: number;
  readonly max_power_W: number;
  readonly sum_voltage_mV: number;
  readonly min_voltage_mV: number;
  readonly max_voltage_mV: number;
}

/** Where counters customarily begin again, up to a PWh: none counts further. */
const capacities = JSON.stringify([
  ...[...new Array(12).keys()].map((i) => 10 ** (i + 1)),
  ...[2 ** 16, 2 ** 24, 2 ** 32],
]);
/** Registers named at the most. */
const namedLimit = 10;
/** What the registers may take in a summary: a call to the cloud has room for 192 KiB. */
const maxBytes = 190 * 1024;
/** Runs read at the most: more have no room in a summary, whatever their numbers are. */
const maxRuns = 50_000;

/** @returns null for a window without readings */
export async function figuresOf(tx: Queries, start: number): Promise<Found | null> {
  const runs = await tx.all<Run>(runsIn(start));
  if (runs.length === 0) return null;
  const { kept, leftOut } = withRoom(runs);
  const registers = new Map<Id, Map<Id, { energy_Wh: number; seqs: Range[] }>>();
  const decreasing = new Set<string>();
  const sums = { n: 0, sum_power_W: 0, sum_voltage_mV: 0, energy_Wh: 0 };
  let { min_power_W, max_power_W, min_voltage_mV, max_voltage_mV } = kept[0]!;
  let decreases = 0;
  for (const run of kept) {
    sums.n += run.n;
    sums.sum_power_W += run.sum_power_W;
    sums.sum_voltage_mV += run.sum_voltage_mV;
    sums.energy_Wh += run.consumed_Wh;
    min_power_W = Math.min(min_power_W, run.min_power_W);
    max_power_W = Math.max(max_power_W, run.max_power_W);
    min_voltage_mV = Math.min(min_voltage_mV, run.min_voltage_mV);
    max_voltage_mV = Math.max(max_voltage_mV, run.max_voltage_mV);
    add(registers, run);
    decreases += run.decreases;
    if (run.decreases > 0 && decreasing.size < namedLimit) decreasing.add(nameOf(run));
  }
  // beyond what a number can say, a window would never close, for nobody in it
  sums.energy_Wh = Math.min(sums.energy_Wh, Number.MAX_SAFE_INTEGER);
  const extremes = { min_power_W, max_power_W, min_voltage_mV, max_voltage_mV };
  const figures = { ...sums, ...extremes, num_meters: registers.size, registers };
  return { figures, decreases, decreasing: [...decreasing], leftOut };
}

/**
 * What a summary has room for, registers with the fewest runs first: a meter whose numbers jump all
 * the time must not keep the others from being summed up, nor the window from being settled.
 */
function withRoom(runs: readonly Run[]): { kept: readonly Run[]; leftOut: readonly string[] } {
  const meters = new Set<Id>();
  let bytes = 0;
  for (const [i, run] of runs.entries()) {
    if (i === 0 || nameOf(run) !== nameOf(runs[i - 1]!)) {
      bytes += run.register.length + 14 + (meters.has(run.meter) ? 0 : run.meter.length + 5);
      meters.add(run.meter);
    }
    bytes += cborBytes(run.last - run.n + 1) + cborBytes(run.last);
    if (bytes <= maxBytes && i < maxRuns - 1) continue;
    const leftOut = new Set<string>();
    for (let k = i; k < runs.length && leftOut.size < namedLimit; k++) {
      leftOut.add(nameOf(runs[k]!));
    }
    return { kept: runs.slice(0, i), leftOut: [...leftOut] };
  }
  return { kept: runs, leftOut: [] };
}

function nameOf({ meter, register }: Run): string {
  return `${meter}/${register}`;
}

/** Bytes of a number from 0 on in CBOR (RFC 8949 §3). */
function cborBytes(value: number): number {
  if (value < 24) return 1;
  if (value < 2 ** 8) return 2;
  if (value < 2 ** 16) return 3;
  return value < 2 ** 32 ? 5 : 9;
}

/** Runs come in the order of their numbers, so the last one holds the register. */
function add(
  registers: Map<Id, Map<Id, { energy_Wh: number; seqs: Range[] }>>,
  { meter, register, last, n, energy_Wh }: Run,
): void {
  let ofMeter = registers.get(meter);
  if (ofMeter === undefined) registers.set(meter, ofMeter = new Map());
  const known = ofMeter.get(register);
  const seqs: Range = [last - n + 1, last];
  if (known === undefined) {
    ofMeter.set(register, { energy_Wh, seqs: [seqs] } satisfies RegisterInWindow);
  } else {
    known.energy_Wh = energy_Wh;
    known.seqs.push(seqs);
  }
}

/**
 * One pass over the window in the order of numbers. The reading before is mostly in the window, too;
 * only before a run is it looked for, by key: a windowed reading, or the anchor that stands for what
 * was deleted. What comes later than a deleted reading with a higher number has been counted with
 * that one, and adds nothing.
 */
function runsIn(start: number) {
  return sql`
    WITH w AS (
      SELECT register_id, seq, energy_wh, power_w, voltage_mv, flags,
        seq - row_number() OVER numbers AS run,
        lag(seq) OVER numbers AS lag_seq, lag(energy_wh) OVER numbers AS lag_energy,
        lead(seq) OVER numbers AS next_seq
      FROM fog_aggregator_readings WHERE window_start = ${start}
      WINDOW numbers AS (PARTITION BY register_id ORDER BY seq)
    ), d AS MATERIALIZED (
      SELECT *, CASE WHEN lag_seq = seq - 1 THEN lag_energy ELSE (
        SELECT before_wh FROM (
          SELECT * FROM (
            SELECT r.seq AS before_seq, r.energy_wh AS before_wh FROM fog_aggregator_readings r
            WHERE r.register_id = w.register_id AND r.seq < w.seq AND r.window_start IS NOT NULL
            ORDER BY r.seq DESC LIMIT 1
          ) UNION ALL
          SELECT a.seq, a.energy_wh FROM fog_aggregator_anchors a
          WHERE a.register_id = w.register_id AND a.seq < w.seq
        ) ORDER BY before_seq DESC LIMIT 1
      ) END AS before_wh FROM w
    ), runs AS (
      SELECT register_id, max(seq) AS last, count(*) AS n,
        max(CASE WHEN next_seq = seq + 1 THEN NULL ELSE energy_wh END) AS energy_wh,
        total(CASE
          WHEN before_wh IS NULL THEN 0
          WHEN flags & ${Flag.reset} THEN energy_wh
          WHEN energy_wh >= before_wh THEN energy_wh - before_wh
          WHEN flags & ${Flag.rollover} THEN energy_wh - before_wh + coalesce((
            SELECT min(value) FROM json_each(${capacities}) WHERE value > before_wh
          ), before_wh - energy_wh)
          ELSE 0
        END) AS consumed,
        sum(before_wh > energy_wh AND flags & ${Flag.reset | Flag.rollover} = 0) AS decreases,
        sum(power_w) AS sum_power, min(power_w) AS min_power, max(power_w) AS max_power,
        sum(voltage_mv) AS sum_voltage, min(voltage_mv) AS min_voltage,
        max(voltage_mv) AS max_voltage
      FROM d GROUP BY register_id, run
    )
    SELECT g.meter, g.register, runs, last, n, energy_wh AS energy_Wh,
      iif(passed, 0, consumed) AS consumed_Wh, iif(passed, 0, coalesce(decreases, 0)) AS decreases,
      sum_power AS sum_power_W, min_power AS min_power_W, max_power AS max_power_W,
      sum_voltage AS sum_voltage_mV, min_voltage AS min_voltage_mV, max_voltage AS max_voltage_mV
    FROM (
      SELECT *, count(*) OVER (PARTITION BY register_id) AS runs, EXISTS (
        SELECT 1 FROM fog_aggregator_anchors a JOIN fog_aggregator_pruned p
          ON p.register_id = a.register_id AND p.first = (
            SELECT max(first) FROM fog_aggregator_pruned
            WHERE register_id = a.register_id AND first <= a.seq
          ) AND p.last >= a.seq
        WHERE a.register_id = runs.register_id AND a.seq > runs.last
      ) AS passed FROM runs
    ) r JOIN fog_aggregator_registers g ON g.id = r.register_id
    ORDER BY runs, r.register_id, last LIMIT ${maxRuns}`;
}
