/**
 * Statements that came while the fog did not know the time. They are on disk and acknowledged, and
 * wait; when the doubt is over they go the way that they would have gone, oldest first, each in the
 * transaction that takes it from here. So a crash at any moment loses none and counts none twice.
 */
import { sql } from "drizzle-orm";
import { toHex } from "../../core/base/bytes.ts";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import type { Id } from "../../core/base/id.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { DatabaseError, type Queries } from "../../core/services/db/mod.ts";
import { pause as realPause } from "../../core/services/pause.ts";
import { splitSign1 } from "../../core/trust/cose_sign1.ts";
import { type Batch, decodeBatch, Flag, type Receipt } from "../../core/wire/reading.ts";
import type { FogClock } from "./clock.ts";
import type { Config } from "./config.ts";
import type { SignedBatch } from "./ingest.ts";
import { refusalOf, type Tell } from "./refusals.ts";
import type { RefusedReading, Store } from "./store.ts";

/** How often to look whether the time is known. */
const interval = 1_000;
/** Statements and readings in one transaction at the most. */
const sliceStatements = 64;
const sliceReadings = 4_096;
/** Statements on their way to the disk at the most. */
const underWay = 1_024;
/** Registers of one meter that may begin while the time is not known. */
const registersPerMeter = 16;

type Needs = Pick<Host & Services, "db" | "log" | "suite">;

interface Parts {
  readonly clock: FogClock;
  readonly store: Pick<Store, "insertWithin" | "quarantine">;
  readonly limits: Pick<Config, "max_power_W" | "max_voltage_V">;
  readonly tell: Tell;
  /** Hears what keeps statements waiting although the time is known, or null. */
  readonly report: (trouble: string | null) => void;
  readonly pause?: typeof realPause;
}

interface Row {
  readonly id: number;
  readonly received_at: number;
  readonly boot: string;
  readonly statement: ArrayBuffer;
}

/** A row with what is in it. */
interface Opened {
  readonly batch: SignedBatch;
  readonly refused: readonly RefusedReading[];
}

export class Waiting {
  readonly #host: Needs;
  readonly #parts: Parts;
  readonly #pause: typeof realPause;
  /** Names this process: only it knows how its clock has moved. */
  readonly #boot: string;
  readonly #registers = new Map<Id, Set<Id>>();
  readonly #stopping = new AbortController();
  #underWay = 0;
  #mayHold = true;
  #slice = sliceStatements;
  #running: Promise<void> | undefined;

  constructor(host: Needs, parts: Parts) {
    this.#host = host;
    this.#parts = parts;
    this.#pause = parts.pause ?? realPause;
    this.#boot = toHex(host.suite.randomBytes(8));
  }

  /**
   * Resolves when an authentic statement is on disk.
   * @throws CodedError "overloaded", "too_many_registers", DatabaseError; the meter repeats it later
   */
  async store({ meter, register }: Batch, statement: Uint8Array): Promise<void> {
    if (this.#underWay >= underWay) {
      throw new CodedError("overloaded", "Cannot take the batch: too many are waiting");
    }
    this.#admit(meter, register);
    const receivedAt = this.#parts.clock.steady();
    this.#underWay++;
    try {
      await this.#host.db.write((tx) =>
        tx.run(sql`INSERT INTO fog_aggregator_waiting (received_at, boot, meter, statement)
          VALUES (${receivedAt}, ${this.#boot}, ${meter}, ${statement})`)
      );
    } finally {
      this.#underWay--;
      this.#mayHold = true;
    }
  }

  /** Whether statements may wait; false is certain. */
  get mayHold(): boolean {
    return this.#mayHold;
  }

  async count(): Promise<number> {
    const [row] = await this.#host.db.read((q) =>
      q.all<{ n: number }>(sql`SELECT count(*) AS n FROM fog_aggregator_waiting`)
    );
    return row!.n;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let more = false;
      try {
        more = await this.replay();
        this.#parts.report(null);
      } catch (error) {
        this.#host.log.error("statements that wait could not be stored", { error });
        this.#parts.report(`statements wait: ${messageOf(error)}`);
      }
      await this.#pause(more ? 0 : interval, signal);
    }
  }

  /** Stores some of what waits, if the time is known. @returns whether there may be more */
  async replay(): Promise<boolean> {
    const { db } = this.#host;
    if (!this.#mayHold || this.#parts.clock.doubt !== null) return false;
    this.#mayHold = false;
    let rows: Row[] = [];
    try {
      rows = await db.read((q) =>
        q.all<Row>(sql`SELECT id, received_at, boot, statement FROM fog_aggregator_waiting
          ORDER BY id LIMIT ${this.#slice}`)
      );
      if (rows.length === 0) {
        await this.#forgetMoves();
        this.#registers.clear();
        return false;
      }
      await this.#store(rows);
      this.#slice = sliceStatements;
    } catch (error) {
      this.#mayHold = true;
      const isOwnFault = !(error instanceof DatabaseError) || error.code === "db_constraint" ||
        error.code === "db_failed";
      if (!isOwnFault || rows.length === 0) throw error;
      if (rows.length === 1) await this.#setAside(rows, error);
      // one of them is the cause: the next attempts find out which
      this.#slice = 1;
    }
    return this.#mayHold = true;
  }

  async #setAside(rows: readonly Row[], error: unknown): Promise<void> {
    this.#host.log.error("a statement that waited cannot be stored: quarantined", { error });
    await this.#host.db.write(async (tx) => {
      for (const row of rows) {
        await keepUnreadable(tx, row);
        await tx.run(sql`DELETE FROM fog_aggregator_waiting WHERE id = ${row.id}`);
      }
    });
  }

  async #store(rows: readonly Row[]): Promise<void> {
    const { clock, store, tell } = this.#parts;
    const moves = await this.#moves();
    const now = clock.now();
    const opened: Opened[] = [];
    const unreadable: Row[] = [];
    let readings = 0, done = 0;
    for (; done < rows.length && readings < sliceReadings; done++) {
      const row = rows[done]!;
      const moved = moves.get(row.boot);
      const receivedAt = moved === undefined ? now : row.received_at + moved;
      const one = this.#open(row, { now, receivedAt });
      if (one === null) unreadable.push(row);
      else opened.push(one);
      readings += one?.batch.readings.length ?? 0;
    }
    const taken = opened.filter(({ batch }) => batch.readings.length > 0);
    const receipts = await this.#host.db.write(async (tx) => {
      const receipts = await store.insertWithin(tx, taken.map(({ batch }) => batch));
      await store.quarantine(tx, opened.flatMap(({ refused }) => refused));
      for (const row of unreadable) await keepUnreadable(tx, row);
      await tx.run(sql`DELETE FROM fog_aggregator_waiting WHERE id <= ${rows[done - 1]!.id}`);
      return receipts;
    });
    for (const [i, { batch }] of taken.entries()) tell(batch.meter, receipts[i]!);
    for (const { batch, refused } of opened) tell(batch.meter, told(refused));
    if (unreadable.length > 0) {
      this.#host.log.error("statements that waited cannot be read", { count: unreadable.length });
    }
  }

  /** Its signature has verified before it was stored. */
  #open(row: Row, { now, receivedAt }: { now: number; receivedAt: number }): Opened | null {
    const statement = new Uint8Array(row.statement);
    const parts = splitSign1(statement);
    if (parts === null) return null;
    let batch: Batch;
    try {
      batch = decodeBatch(parts.payload);
    } catch {
      return null;
    }
    const { meter, register } = batch;
    const readings = [];
    const refused: RefusedReading[] = [];
    for (const reading of batch.readings) {
      const { seq, flags } = reading;
      const reason = refusalOf(reading, now, this.#parts.limits);
      if (reason !== null) refused.push({ meter, register, seq, reason, statement, receivedAt });
      else readings.push(flags & Flag.clockUnset ? { ...reading, t: receivedAt } : reading);
    }
    return { batch: { meter, register, readings, statement, receivedAt }, refused };
  }

  /** How far the clock was moved since, per process; it is on disk before it is used. */
  async #moves(): Promise<ReadonlyMap<string, number>> {
    const { clock } = this.#parts;
    const moved = clock.now() - clock.steady();
    const rows = await this.#host.db.write(async (tx) => {
      await tx.run(sql`INSERT INTO fog_aggregator_state (name, value)
        VALUES (${prefix + this.#boot}, ${moved})
        ON CONFLICT (name) DO UPDATE SET value = excluded.value`);
      return await tx.all<{ name: string; value: number }>(sql`
        SELECT name, value FROM fog_aggregator_state WHERE name LIKE ${prefix + "%"}`);
    });
    return new Map(rows.map(({ name, value }) => [name.slice(prefix.length), value]));
  }

  async #forgetMoves(): Promise<void> {
    await this.#host.db.write((tx) =>
      tx.run(sql`DELETE FROM fog_aggregator_state WHERE name LIKE ${prefix + "%"}`)
    );
  }

  #admit(meter: Id, register: Id): void {
    let known = this.#registers.get(meter);
    if (known === undefined) this.#registers.set(meter, known = new Set());
    if (!known.has(register) && known.size >= registersPerMeter) {
      const message = "Cannot take the batch: its meter has too many registers";
      throw new CodedError("too_many_registers", message);
    }
    known.add(register);
  }
}

/** Before the name of a process, in the table of states. */
const prefix = "moved/";

/** What was implausible its meter was told at once; what is in the future is known only now. */
function told(refused: readonly RefusedReading[]): Receipt {
  const future = refused.filter(({ reason }) => reason === "future");
  return { accepted: 0, duplicates: 0, refused: future };
}

async function keepUnreadable(tx: Queries, { id, received_at, statement }: Row): Promise<void> {
  await tx.run(sql`INSERT OR IGNORE INTO fog_aggregator_quarantine
    (received_at, register_id, seq, statement, reason)
    VALUES (${received_at}, 0, ${id}, ${new Uint8Array(statement)}, 'unreadable')`);
}
