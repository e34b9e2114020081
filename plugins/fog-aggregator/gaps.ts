/**
 * Which readings are missing: the numbers between the first and the last of a register that the fog
 * neither holds nor held. Computed when somebody asks, in small steps, since it takes a look at every
 * reading.
 */
import { sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import type { Database } from "../../core/services/db/mod.ts";

export interface Gap {
  readonly meter: Id;
  readonly register: Id;
  /** The first number that is missing. */
  readonly from: number;
  /** The last one. */
  readonly to: number;
}

export interface GapPage {
  readonly gaps: readonly Gap[];
  /** Ask for the next page with this as `after`; null when this was the last. There may be empty pages. */
  readonly next: string | null;
}

/** Rows read at a time, and for one page at the most. */
const step = 4_096;
const stepsPerPage = 64;

/** @param options.after `next` of the page before; what is not one begins at the beginning */
export async function gapsOf(
  db: Database,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Promise<GapPage> {
  const gaps: Gap[] = [];
  let place = placeOf(after);
  for (let i = 0; i < stepsPerPage; i++) {
    const register = await registerAt(db, place);
    if (register === null) return { gaps, next: null };
    const { id, ...name } = register;
    const at = id === place.id ? place.seq : -1;
    const found = await lookAhead(db, { id, seq: at });
    for (const { before, first } of found.jumps) {
      if (gaps.length >= limit) return { gaps, next: textOf({ id, seq: before }) };
      gaps.push({ ...name, from: before + 1, to: first - 1 });
    }
    place = found.last === null ? { id: id + 1, seq: -1 } : { id, seq: found.last };
  }
  return { gaps, next: textOf(place) };
}

/** In a register, everything up to this number has been looked at; -1 is before its beginning. */
interface Place {
  readonly id: number;
  readonly seq: number;
}

function textOf({ id, seq }: Place): string {
  return `${id}.${seq}`;
}

function placeOf(text = ""): Place {
  const match = /^(\d{1,15})\.(-1|\d{1,16})$/.exec(text);
  return match === null ? { id: 0, seq: -1 } : { id: Number(match[1]), seq: Number(match[2]) };
}

/** The register of the place or, when there is none, the next one. */
async function registerAt(db: Database, { id }: Place) {
  const [row] = await db.read((q) =>
    q.all<{ id: number; meter: Id; register: Id }>(sql`
      SELECT id, meter, register FROM fog_aggregator_registers WHERE id >= ${id}
      ORDER BY id LIMIT 1`)
  );
  return row ?? null;
}

/** Where the numbers jump in the next rows of a register; `last` is null when there are no more. */
async function lookAhead(
  db: Database,
  { id, seq }: Place,
): Promise<{ jumps: { before: number; first: number }[]; last: number | null }> {
  const rows = await db.read((q) =>
    q.all<{ before: number | null; first: number; last: number; row: number }>(sql`
      WITH held AS (
        SELECT * FROM (
          SELECT seq AS first, seq AS last FROM fog_aggregator_readings
          WHERE register_id = ${id} AND seq > ${seq} ORDER BY seq LIMIT ${step}
        ) UNION ALL SELECT * FROM (
          SELECT first, last FROM fog_aggregator_pruned
          WHERE register_id = ${id} AND last > ${seq} ORDER BY first LIMIT ${step}
        ) ORDER BY first, last LIMIT ${step}
      ), numbered AS (
        SELECT first, last, row_number() OVER held AS row, max(last) OVER (
          ORDER BY first, last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS before FROM held WINDOW held AS (ORDER BY first, last)
      )
      SELECT * FROM numbered
      WHERE first > before + 1 OR (row = 1) OR row = (SELECT count(*) FROM held) ORDER BY row`)
  );
  const jumps: { before: number; first: number }[] = [];
  let last = seq;
  for (const { before, first, ...row } of rows) {
    const known = before ?? (seq === -1 ? null : seq);
    if (known !== null && first > known + 1) jumps.push({ before: known, first });
    last = Math.max(last, row.last, before ?? -1);
  }
  const isLast = (rows.at(-1)?.row ?? 0) < step;
  return { jumps, last: isLast ? null : last };
}
