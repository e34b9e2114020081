/**
 * What the fog once held and has deleted: the numbers of its readings, so that one which comes again
 * is known and counts no second time. In steady state that is one range per register.
 */
import { sql } from "drizzle-orm";
import { type Range, rangesOf } from "../../core/base/ranges.ts";
import type { Database, Queries } from "../../core/services/db/mod.ts";

/** What the store asks before it inserts. */
export interface PrunedReadings {
  /** A hint without a look at the disk: false is certain, true is worth a call of `held`. */
  mayHold(register: number, seq: number): boolean;
  /** Which of these readings were here and are deleted, as "register/seq". */
  held(
    tx: Queries,
    keys: readonly (readonly [register: number, seq: number])[],
  ): Promise<ReadonlySet<string>>;
}

/** For a fog that has never deleted anything. */
export const nothingPruned: PrunedReadings = {
  mayHold: () => false,
  held: () => Promise.resolve(new Set()),
};

/**
 * Ranges of one register at the most. A meter that skips numbers for ever would fill the disk with the
 * traces of readings that are gone; beyond this its oldest gaps are closed.
 */
const rangeLimit = 1_000;

export class Pruned implements PrunedReadings {
  /** Per register the highest number deleted, never too low. */
  readonly #highest: Map<number, number>;
  readonly #rangeLimit: number;

  private constructor(highest: Map<number, number>, limit: number) {
    this.#highest = highest;
    this.#rangeLimit = limit;
  }

  static async open(db: Database, options: { rangeLimit?: number } = {}): Promise<Pruned> {
    const rows = await db.read((q) =>
      q.all<{ register: number; last: number }>(sql`
        SELECT register_id AS register, max(last) AS last FROM fog_aggregator_pruned
        GROUP BY register_id`)
    );
    const highest = new Map(rows.map(({ register, last }) => [register, last]));
    return new Pruned(highest, options.rangeLimit ?? rangeLimit);
  }

  mayHold(register: number, seq: number): boolean {
    const highest = this.#highest.get(register);
    return highest !== undefined && seq <= highest;
  }

  async held(
    tx: Queries,
    keys: readonly (readonly [register: number, seq: number])[],
  ): Promise<ReadonlySet<string>> {
    const asked = keys.filter(([register, seq]) => this.mayHold(register, seq));
    if (asked.length === 0) return new Set();
    const rows = await tx.all<{ key: string }>(sql`
      SELECT k.value->>0 || '/' || (k.value->>1) AS key
      FROM json_each(${JSON.stringify(asked)}) k JOIN fog_aggregator_pruned p
        ON p.register_id = k.value->>0 AND p.first = (
          SELECT max(first) FROM fog_aggregator_pruned
          WHERE register_id = k.value->>0 AND first <= k.value->>1
        ) WHERE p.last >= k.value->>1`);
    return new Set(rows.map(({ key }) => key));
  }

  /**
   * Writes down readings that the caller deletes in the same transaction. The hint is raised first: if
   * the transaction comes to nothing, it costs a look and no more.
   */
  async add(tx: Queries, gone: ReadonlyMap<number, readonly Range[]>): Promise<void> {
    if (gone.size === 0) return;
    for (const [register, ranges] of gone) {
      const last = Math.max(...ranges.map(([, end]) => end));
      if (last > (this.#highest.get(register) ?? -1)) this.#highest.set(register, last);
    }
    const before = await this.#rangesOf(tx, [...gone.keys()]);
    const outdated: [register: number, first: number][] = [];
    const rows: [register: number, first: number, last: number][] = [];
    for (const [register, ranges] of gone) {
      const old = before.get(register) ?? [];
      const merged = this.#bounded(rangesOf([...old, ...ranges]));
      const kept = new Map(merged);
      const known = new Map(old);
      for (const [first] of old) if (!kept.has(first)) outdated.push([register, first]);
      for (const [first, last] of merged) {
        if (known.get(first) !== last) rows.push([register, first, last]);
      }
    }
    await tx.run(sql`DELETE FROM fog_aggregator_pruned WHERE (register_id, first) IN (
      SELECT value->>0, value->>1 FROM json_each(${JSON.stringify(outdated)}))`);
    await tx.run(sql`INSERT INTO fog_aggregator_pruned (register_id, first, last)
      SELECT value->>0, value->>1, value->>2 FROM json_each(${JSON.stringify(rows)}) WHERE true
      ON CONFLICT (register_id, first) DO UPDATE SET last = excluded.last`);
  }

  async #rangesOf(tx: Queries, registers: readonly number[]): Promise<Map<number, Range[]>> {
    const rows = await tx.all<{ register: number; first: number; last: number }>(sql`
      SELECT p.register_id AS register, p.first, p.last FROM json_each(${
      JSON.stringify(registers)
    }) k
      JOIN fog_aggregator_pruned p ON p.register_id = k.value ORDER BY p.register_id, p.first`);
    const ranges = new Map<number, Range[]>();
    for (const { register, first, last } of rows) {
      const list = ranges.get(register);
      if (list === undefined) ranges.set(register, [[first, last]]);
      else list.push([first, last]);
    }
    return ranges;
  }

  #bounded(ranges: Range[]): Range[] {
    const spare = ranges.length - this.#rangeLimit;
    return spare <= 0 ? ranges : [[ranges[0]![0], ranges[spare]![1]], ...ranges.slice(spare + 1)];
  }
}
