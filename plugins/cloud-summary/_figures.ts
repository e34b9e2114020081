/**
 * The figures of windows. Within an epoch of a fog the highest revision of a window is its version;
 * of several epochs the lowest is in force and the others are undecided, until an operator has decided
 * for one of them. Totals and coverage follow what is in force.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Summary } from "../../core/wire/summary.ts";
import { applyCoverage, type CoverageChange, type Registers } from "./_coverage.ts";
import type { Decision, Place, WindowState } from "./store.ts";

/** Reads a stored statement, whose signature was verified when it came. @throws what is none */
export type ReadStatement = (statement: Uint8Array) => Summary;

/** What counts of one version of a window. */
interface Version extends Place {
  readonly start: number;
  readonly revision: number;
  readonly n: number;
  readonly sum_power_W: number;
  readonly sum_voltage_mV: number;
  state: WindowState | null;
  /** Not there when it lies in the database alone. */
  readonly summary?: Summary;
}

/** The versions of one window by epoch. */
type Versions = Map<number, Version>;

/** Lets new summaries count. */
export async function applySummaries(
  tx: Queries,
  fog: Id,
  { summaries, read }: { summaries: readonly Summary[]; read: ReadStatement },
): Promise<void> {
  if (summaries.length === 0) return;
  const starts = [...new Set(summaries.map(({ window }) => window.start))];
  const gone = await prunedAmong(tx, fog, starts);
  const windows = await versionsOf(tx, fog, starts);
  const before = inForce(windows);
  for (const summary of summaries) {
    if (!gone.has(summary.window.start)) add(windows, summary);
  }
  const versions = [...windows.values()].flatMap((versions) => [...versions.values()]);
  const states = new Map(versions.map((version) => [version, version.state] as const));
  for (const versions of windows.values()) settle(versions);
  const after = inForce(windows);
  await writeVersions(tx, fog, versions);
  const others = versions.filter(({ summary }) => summary === undefined);
  await writeStates(tx, fog, others.filter((version) => states.get(version) !== version.state));
  const told = summaries.map(({ registers }) => registers);
  await replace(tx, fog, { before, after, told, read });
}

/** Decides undecided windows for one epoch; gives how many there were. */
export async function applyDecision(
  tx: Queries,
  { fog, from, to, epoch, limit }: Decision,
  read: ReadStatement,
): Promise<number> {
  const rows = await tx.all<{ start: number }>(sql`SELECT DISTINCT u.window_start AS start
    FROM cloud_summary_windows u WHERE u.state = 'undecided' AND u.window_start >= ${from}
      AND u.window_start < ${to} AND u.fog_id = ${fog} AND EXISTS (
        SELECT 1 FROM cloud_summary_windows v WHERE v.window_start = u.window_start
          AND v.fog_id = u.fog_id AND v.epoch = ${epoch})
    ORDER BY u.window_start LIMIT ${limit}`);
  const windows = await versionsOf(tx, fog, rows.map(({ start }) => start));
  const before = inForce(windows);
  const versions = [...windows.values()].flatMap((versions) => [...versions.values()]);
  for (const version of versions) {
    version.state = version.epoch === epoch ? "in_force" : "overruled";
  }
  await writeStates(tx, fog, versions);
  await replace(tx, fog, { before, after: inForce(windows), told: [], read });
  return windows.size;
}

function add(windows: Map<number, Versions>, summary: Summary): void {
  const { epoch, seq, revision, n, sum_power_W, sum_voltage_mV, window: { start } } = summary;
  const versions: Versions = windows.get(start) ?? new Map();
  windows.set(start, versions);
  const there = versions.get(epoch);
  // of two equal revisions the one that the fog has made first
  const wins = there === undefined || revision > there.revision ||
    (revision === there.revision && seq < there.seq);
  if (!wins) return;
  const state = there?.state ?? null;
  const figures = { n, sum_power_W, sum_voltage_mV };
  versions.set(epoch, { start, epoch, seq, revision, ...figures, state, summary });
}

/** Gives every version of a window its state. */
function settle(versions: Versions): void {
  const all = [...versions.values()];
  const isDecided = all.some(({ state }) => state === "overruled");
  const lowest = Math.min(...versions.keys());
  for (const version of all) {
    if (!isDecided) version.state = version.epoch === lowest ? "in_force" : "undecided";
    else version.state ??= "undecided";
  }
}

function inForce(windows: ReadonlyMap<number, Versions>): Map<number, Version> {
  const found = new Map<number, Version>();
  for (const [start, versions] of windows) {
    for (const version of versions.values()) {
      if (version.state === "in_force") found.set(start, version);
    }
  }
  return found;
}

/** Lets totals and coverage follow from one set of windows in force to another. */
async function replace(tx: Queries, fog: Id, { before, after, told, read }: {
  before: ReadonlyMap<number, Version>;
  after: ReadonlyMap<number, Version>;
  told: readonly Registers[];
  read: ReadStatement;
}): Promise<void> {
  const pairs = [...after].map(([start, now]) => ({ old: before.get(start), now }))
    .filter(({ old, now }) => old?.epoch !== now.epoch || old.seq !== now.seq);
  const stored = await registersOf(tx, fog, {
    places: pairs.flatMap(({ old, now }) => [
      ...(old === undefined ? [] : [old]),
      ...(now.summary === undefined ? [now] : []),
    ]),
    read,
  });
  const change: CoverageChange = { add: [], remove: [], fill: [] };
  for (const { old, now } of pairs) {
    const registers = now.summary?.registers ?? stored(now);
    const lost = old && stored(old);
    if (registers === undefined) continue;
    if (old !== undefined && lost === undefined) change.fill.push(registers);
    else change.add.push(registers);
    if (lost !== undefined) change.remove.push(lost);
  }
  await applyCoverage(tx, fog, { told, change });

  const sum = (key: "n" | "sum_power_W" | "sum_voltage_mV") =>
    pairs.reduce((sum, { old, now }) => sum + BigInt(now[key]) - BigInt(old?.[key] ?? 0), 0n);
  const windows = pairs.filter(({ old }) => old === undefined).length;
  if (pairs.length === 0) return;
  // a sum that no integer holds stays at its end instead of refusing what comes
  await tx.run(sql`UPDATE cloud_summary_fogs SET windows = windows + ${windows},
    n = CAST(n + ${sum("n")} AS INTEGER),
    sum_power_w = CAST(sum_power_w + ${sum("sum_power_W")} AS INTEGER),
    sum_voltage_mv = CAST(sum_voltage_mv + ${sum("sum_voltage_mV")} AS INTEGER)
    WHERE fog_id = ${fog}`);
}

/** The registers of stored summaries, for those that are still kept and can be read. */
async function registersOf(
  tx: Queries,
  fog: Id,
  { places, read }: { places: readonly Place[]; read: ReadStatement },
): Promise<(place: Place) => Registers | undefined> {
  const found = new Map<string, Registers>();
  if (places.length > 0) {
    const asked = JSON.stringify(places.map(({ epoch, seq }) => [epoch, seq]));
    const rows = await tx.all<Place & { statement: ArrayBuffer }>(sql`SELECT epoch, seq, statement
      FROM json_each(${asked}) j CROSS JOIN cloud_summary_summaries
        ON fog_id = ${fog} AND epoch = j.value ->> 0 AND seq = j.value ->> 1`);
    for (const { epoch, seq, statement } of rows) {
      try {
        found.set(`${epoch}.${seq}`, read(new Uint8Array(statement)).registers);
      } catch {
        // of an older release, which did not tell the numbers of readings
      }
    }
  }
  return ({ epoch, seq }) => found.get(`${epoch}.${seq}`);
}

/** Which of these windows have been deleted for their age: they are not opened again. */
async function prunedAmong(tx: Queries, fog: Id, starts: readonly number[]): Promise<Set<number>> {
  const rows = await tx.all<{ start: number }>(sql`SELECT value AS start
    FROM json_each(${JSON.stringify(starts)}) WHERE value <= (SELECT last
      FROM cloud_summary_pruned WHERE fog_id = ${fog} AND first <= value
      ORDER BY first DESC LIMIT 1)`);
  return new Set(rows.map(({ start }) => start));
}

async function versionsOf(
  tx: Queries,
  fog: Id,
  starts: readonly number[],
): Promise<Map<number, Versions>> {
  const rows = await tx.all<Version>(sql`SELECT window_start AS start, epoch, seq, revision, n,
      sum_power_w AS sum_power_W, sum_voltage_mv AS sum_voltage_mV, state
    FROM json_each(${JSON.stringify(starts)}) j CROSS JOIN cloud_summary_windows
      ON window_start = j.value AND fog_id = ${fog}`);
  const windows = new Map<number, Versions>();
  for (const row of rows) {
    const versions: Versions = windows.get(row.start) ?? new Map();
    windows.set(row.start, versions.set(row.epoch, { ...row }));
  }
  return windows;
}

/** Writes those that are new. */
async function writeVersions(tx: Queries, fog: Id, versions: readonly Version[]): Promise<void> {
  const rows = versions.flatMap(({ summary: s, state }) =>
    s === undefined ? [] : [[
      ...[fog, s.window.start, s.window.end, s.epoch, s.seq, s.revision, state, s.num_meters, s.n],
      ...[s.sum_power_W, s.min_power_W, s.max_power_W],
      ...[s.sum_voltage_mV, s.min_voltage_mV, s.max_voltage_mV, s.energy_Wh],
    ]]
  );
  if (rows.length === 0) return;
  await tx.run(sql`INSERT OR REPLACE INTO cloud_summary_windows (${columns})
    SELECT ${values} FROM json_each(${JSON.stringify(rows)})`);
}

const names = [
  ...["fog_id", "window_start", "window_end", "epoch", "seq", "revision", "state", "num_meters"],
  ...["n", "sum_power_w", "min_power_w", "max_power_w"],
  ...["sum_voltage_mv", "min_voltage_mv", "max_voltage_mv", "energy_wh"],
];
const columns: SQL = sql.raw(names.join(", "));
const values: SQL = sql.raw(names.map((_, i) => `value ->> ${i}`).join(", "));

async function writeStates(tx: Queries, fog: Id, versions: readonly Version[]): Promise<void> {
  for (const state of new Set(versions.map(({ state }) => state))) {
    const keys = versions.filter((version) => version.state === state)
      .map(({ start, epoch }) => [start, fog, epoch]);
    await tx.run(sql`UPDATE cloud_summary_windows SET state = ${state}
      WHERE (window_start, fog_id, epoch) IN
        (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(${JSON.stringify(keys)}))`);
  }
}
