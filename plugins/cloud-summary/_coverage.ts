/**
 * Which readings the windows in force hold, by fog, meter and register, and what a fog's summaries have
 * told of its registers. In steady state a register has one row that grows.
 */
import { sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import { type Range, rangesOf, sizeOf } from "../../core/base/ranges.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Summary } from "../../core/wire/summary.ts";
import type { KnownRegister } from "../../core/wire/uplink.ts";
import { counted, filled, type Layers, uncounted } from "./_layers.ts";
import { type RangeRow, rangeRows } from "./_range_rows.ts";

export type Registers = Summary["registers"];

/** Readings that windows in force hold from now on, or no more. */
export interface CoverageChange {
  readonly add: Registers[];
  readonly remove: Registers[];
  /** Takes the place of what nobody can tell any more: what is held already counts no second time. */
  readonly fill: Registers[];
}

/** What a call means for one register. */
interface Register {
  readonly meter: Id;
  readonly register: Id;
  seq: number;
  energy_Wh: number;
  readonly add: Range[];
  readonly remove: Range[];
  readonly fill: Range[];
  id: number;
  layers: number;
}

const coverageRows = rangeRows("cloud_summary_coverage", ["register_id", "layer"]);

/** Follows a change of what is in force. @param told all registers of the new summaries */
export async function applyCoverage(
  tx: Queries,
  fog: Id,
  { told, change }: { told: readonly Registers[]; change: CoverageChange },
): Promise<void> {
  const registers = collect(told, change);
  if (registers.length === 0) return;
  await identify(tx, fog, registers);
  const changed = registers.filter(({ add, remove, fill }) =>
    add.length + remove.length + fill.length > 0
  );
  const sets = await coverageRows.around(tx, changed.flatMap(asked));
  const deeper = new Map<number, number[]>();
  for (const register of changed) {
    const { id, layers } = register;
    const before = Array.from({ length: layers }, (_, i) => sets.get(id, i + 1));
    const after = layersAfter(before, register);
    after.forEach((layer, i) => sets.set(id, i + 1, layer));
    if (after.length > layers) deeper.set(after.length, [...deeper.get(after.length) ?? [], id]);
  }
  await coverageRows.write(tx, sets);
  for (const [layers, ids] of deeper) {
    await tx.run(sql`UPDATE cloud_summary_registers SET layers = ${layers}
      WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`);
  }
}

/** A page of what a fog's summaries have told, whichever of them are in force. */
export async function knownRegisters(
  q: Queries,
  fog: Id,
  { after, limit }: { after?: readonly [Id, Id]; limit: number },
): Promise<KnownRegister[]> {
  const [meter, register] = after ?? ["", ""];
  return await q.all<KnownRegister>(sql`SELECT meter, register, seq, energy_wh AS energy_Wh
    FROM cloud_summary_registers WHERE fog_id = ${fog} AND (meter, register) > (${meter}, ${register})
    ORDER BY meter, register LIMIT ${limit}`);
}

function collect(told: readonly Registers[], change: CoverageChange): Register[] {
  const all = new Map<string, Register>();
  const each = (registers: Registers, use: (entry: Register, seqs: readonly Range[]) => void) => {
    for (const [meter, ofMeter] of registers) {
      for (const [register, { energy_Wh, seqs }] of ofMeter) {
        const name = `${meter} ${register}`;
        let entry = all.get(name);
        if (entry === undefined) {
          const nothing = { add: [], remove: [], fill: [], id: 0, layers: 1 };
          entry = { meter, register, seq: -1, energy_Wh: 0, ...nothing };
          all.set(name, entry);
        }
        const seq = seqs.at(-1)![1];
        if (seq > entry.seq || (seq === entry.seq && energy_Wh > entry.energy_Wh)) {
          entry.seq = seq;
          entry.energy_Wh = energy_Wh;
        }
        use(entry, seqs);
      }
    }
  };
  for (const registers of told) each(registers, () => {});
  for (const registers of change.remove) each(registers, ({ remove }, s) => remove.push(...s));
  for (const registers of change.add) each(registers, ({ add }, s) => add.push(...s));
  for (const registers of change.fill) each(registers, ({ fill }, s) => fill.push(...s));
  return [...all.values()];
}

/** Finds the rows of registers, makes those that are new, and raises what they know. */
async function identify(tx: Queries, fog: Id, registers: readonly Register[]): Promise<void> {
  const rows = registers.map((r) => [r.meter, r.register, r.seq, r.energy_Wh]);
  const found = await tx.all<{ meter: Id; register: Id; id: number; layers: number }>(sql`
    INSERT INTO cloud_summary_registers (fog_id, meter, register, seq, energy_wh, layers)
    SELECT ${fog}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, 1
    FROM json_each(${JSON.stringify(rows)}) WHERE true
    ON CONFLICT (fog_id, meter, register) DO UPDATE SET
      energy_wh = iif((excluded.seq, excluded.energy_wh) > (seq, energy_wh),
        excluded.energy_wh, energy_wh),
      seq = max(seq, excluded.seq)
    RETURNING meter, register, id, layers`);
  const ids = new Map(found.map((row) => [`${row.meter} ${row.register}`, row]));
  for (const entry of registers) {
    const { id, layers } = ids.get(`${entry.meter} ${entry.register}`)!;
    Object.assign(entry, { id, layers });
  }
}

/** The places in the layers that a register's change may concern. */
function asked({ id, layers, add, remove, fill }: Register): RangeRow[] {
  const ranges = rangesOf([...add, ...remove, ...fill]);
  return Array.from({ length: layers }, (_, i) => i + 1).flatMap((layer) =>
    ranges.map(([first, last]): RangeRow => [id, layer, first, last])
  );
}
function layersAfter(before: Layers, { add, remove, fill }: Register): Layers {
  let layers = before;
  for (const range of remove) layers = uncounted(layers, [range]);
  const all = rangesOf(add);
  // as a rule no reading is in two windows: then all of them are one set
  const isSet = sizeOf(all) === sizeOf(add);
  if (isSet) layers = counted(layers, all);
  else for (const range of add) layers = counted(layers, [range]);
  return filled(layers, rangesOf(fill));
}
