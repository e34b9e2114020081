/**
 * What is kept, and what goes when room runs out. What is summed up and at the cloud goes when it is
 * older than `keep`, or earlier when the database outgrows its budget. After that it is for the operator
 * to say what is worse: to take no readings, which the meters then keep, or to lose the oldest.
 *
 * Age counts from the newest window, not from the clock alone: a clock that runs away deletes nothing.
 * While the time is in doubt, nothing goes.
 */
import { sql } from "drizzle-orm";
import { messageOf } from "../../core/base/errors.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import { pause as realPause } from "../../core/services/pause.ts";
import type { FogClock } from "./clock.ts";
import type { Config } from "./config.ts";
import {
  deleteQuarantined,
  dueRegisters,
  type Passed,
  type PassOptions,
  passWindows,
  readHorizon,
  spareQuarantine,
  sweepRegisters,
  usedBytes,
} from "./prune.ts";
import type { Pruned } from "./pruned.ts";

/** Between two looks at the disk, and between two transactions that delete. */
const interval = 5_000;
const breath = 10;
/** Windows, readings and registers in one transaction, and statements in quarantine. */
const windowsPerStep = 16;
const rowsPerStep = 2_000;
const registersPerStep = 200;
const quarantinePerStep = 500;
/** Statements in quarantine at the most, and what part of the budget. */
const quarantineLimit = 10_000;
const quarantineShare = 0.05;
/** When there is too much, it goes down to this part of the budget. */
const lowWater = 0.95;
/** At most one event about dropped data in this time. */
const betweenEvents = 60_000;
/** For how long the role is degraded after it has dropped some. */
const remembered = 3_600_000;

type Needs = Pick<Host & Services, "audit" | "bus" | "db" | "log" | "site">;

interface Parts {
  readonly clock: FogClock;
  readonly pruned: Pruned;
  /** Whether summaries go to a cloud at all. */
  readonly hasCloud: boolean;
  /** Whether statements wait that may be of any age. */
  readonly waits: () => boolean;
  /** Hears why no reading may be taken, or null. */
  readonly block: (reason: string | null) => void;
  readonly report: (trouble: string | null) => void;
  readonly pause?: typeof realPause;
}

/** Which windows may go. */
type Choice = Pick<PassOptions, "until" | "idle" | "refused" | "drop">;

interface Dropped {
  readonly from: number;
  readonly to: number;
  readonly windows: number;
  readonly readings: number;
  readonly summaries: number;
}

export class Retention {
  readonly #host: Needs;
  readonly #config: Config;
  readonly #parts: Parts;
  readonly #pause: typeof realPause;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #horizon: number;
  #blocked: string | null = null;
  #dropped: Dropped | null = null;
  #droppedAt = -Infinity;
  #told = -Infinity;

  private constructor(host: Needs, config: Config, parts: Parts, horizon: number) {
    this.#host = host;
    this.#config = config;
    this.#parts = parts;
    this.#pause = parts.pause ?? realPause;
    this.#horizon = horizon;
  }

  static async open(host: Needs, config: Config, parts: Parts): Promise<Retention> {
    return new Retention(host, config, parts, await host.db.read(readHorizon));
  }

  /** Readings measured before this are in no window any more. */
  horizon(): number {
    return this.#horizon;
  }

  /** Why no reading may be taken, or null. */
  get blocked(): string | null {
    return this.#blocked;
  }

  async status() {
    const used = await this.#host.db.read(usedBytes);
    const { disk_budget: budget, keep, when_full } = this.#config;
    return { used, budget, keep, when_full, blocked: this.#blocked, horizon: this.#horizon };
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
      try {
        await this.pass();
        this.#parts.report(this.#trouble());
      } catch (error) {
        this.#host.log.error("old readings could not be deleted", { error });
        this.#parts.report(this.#trouble() ?? `old readings stay: ${messageOf(error)}`);
      }
      await this.#pause(interval, signal);
    }
  }

  /** Deletes what may go and finds out whether there is room. */
  async pass(): Promise<void> {
    const { db } = this.#host;
    const { clock } = this.#parts;
    if (clock.doubt === null) await this.#byAge(clock.now());
    let used = await db.read(usedBytes);
    if (used > this.#limit && clock.doubt === null) used = await this.#makeRoom(clock.now());
    this.#judge(used);
    this.#tell();
  }

  async #byAge(clockNow: number): Promise<void> {
    const { keep } = this.#config;
    const newest = await this.#newestWindow();
    if (newest === null) return;
    const before = Math.min(clockNow, newest) - keep;
    while (await this.#step({ until: before, idle: before, refused: true }) > 0);
    await this.#sweep();
    await this.#trim(before);
  }

  /** Evidence is worth keeping, but no meter must be able to fill the disk with it. */
  async #trim(before: number): Promise<void> {
    const bytes = this.#config.disk_budget * quarantineShare;
    const bounds = { before, statements: quarantineLimit, bytes };
    const spare = await this.#host.db.read((q) => spareQuarantine(q, bounds));
    for (let i = 0; i < spare.length && !this.#isStopping; i += quarantinePerStep) {
      const ids = spare.slice(i, i + quarantinePerStep);
      await this.#write((tx) => deleteQuarantined(tx, ids));
    }
  }

  /** Windows that are settled and at the cloud, then those that are not, if the operator says so. */
  async #makeRoom(now: number): Promise<number> {
    const { grace, lateness, when_full, window } = this.#config;
    await this.#trim(-Infinity);
    // what still waits to be stored must find its windows
    const until = this.#parts.waits() ? now - lateness : now - window - grace;
    const choice = { until, idle: now - lateness, refused: false };
    let used = await this.#room(choice);
    if (used > this.#limit && when_full === "drop-oldest") {
      used = await this.#room({ ...choice, drop: true });
    }
    return used;
  }

  async #room(choice: Choice): Promise<number> {
    for (;;) {
      const passed = await this.#step(choice);
      await this.#sweep();
      const used = await this.#host.db.read(usedBytes);
      if (passed === 0 || this.#isStopping || used <= this.#config.disk_budget * lowWater) {
        return used;
      }
    }
  }

  /** Moves the horizon a bit; gives how many windows it has passed. */
  async #step(choice: Choice): Promise<number> {
    if (this.#isStopping) return 0;
    const before = this.#horizon;
    const options = { ...choice, hasCloud: this.#parts.hasCloud, limit: windowsPerStep };
    try {
      const passed = await this.#write(async (tx) => {
        const passed = await passWindows(tx, options);
        if (passed === null) return null;
        if (choice.drop) await this.#record(tx, passed);
        // from here on, in the order of the transactions, nothing is put before the horizon
        this.#horizon = passed.horizon;
        return passed;
      });
      if (passed !== null && choice.drop) {
        this.#dropped = joined(this.#dropped, passed);
        if (passed.windows > 0) this.#droppedAt = this.#parts.clock.steady();
      }
      return passed?.windows ?? 0;
    } catch (error) {
      this.#horizon = before;
      throw error;
    }
  }

  async #record(tx: Queries, passed: Passed): Promise<void> {
    if (passed.windows === 0) return;
    const { audit, site } = this.#host;
    const detail = { ...joined(null, passed) };
    await audit.append(tx, { type: "fog.data_dropped", actor: "site", subject: site, detail });
  }

  /** Deletes the readings before the horizon. */
  async #sweep(): Promise<void> {
    const { pruned } = this.#parts;
    const due = await this.#host.db.read((q) => dueRegisters(q, this.#horizon));
    for (let i = 0; i < due.length; i += registersPerStep) {
      const registers = due.slice(i, i + registersPerStep);
      const options = { pruned, rows: rowsPerStep };
      while (
        !this.#isStopping && await this.#write((tx) => sweepRegisters(tx, registers, options))
      );
    }
  }

  /** A transaction, and room for others after it. */
  async #write<T>(job: (tx: Queries) => Promise<T>): Promise<T> {
    const result = await this.#host.db.write(job);
    await this.#pause(breath, this.#stopping.signal);
    return result;
  }

  async #newestWindow(): Promise<number | null> {
    const [row] = await this.#host.db.read((q) =>
      q.all<{ start: number | null }>(sql`SELECT max(start) AS start FROM fog_aggregator_windows`)
    );
    return row!.start;
  }

  #judge(used: number): void {
    const { disk_budget } = this.#config;
    const isFull = used > this.#limit;
    if (isFull === (this.#blocked !== null)) return;
    const { bus, log, site } = this.#host;
    const detail = { used, budget: disk_budget };
    this.#blocked = isFull
      ? `the database has outgrown disk_budget (${shown(used)} of ${shown(disk_budget)}) and ` +
        "no readings are taken: raise disk_budget, or see why the cloud acknowledges nothing"
      : null;
    this.#parts.block(this.#blocked);
    if (isFull) {
      log.error("the storage is full: no readings are taken", detail);
      bus.emit({ type: "fog.storage_full", severity: "alarm", subject: site, detail });
    } else {
      log.info("there is room again: readings are taken", detail);
      bus.emit({ type: "fog.storage_free", severity: "info", subject: site, detail });
    }
  }

  #trouble(): string | null {
    if (this.#blocked !== null) return this.#blocked;
    if (this.#parts.clock.steady() - this.#droppedAt > remembered) return null;
    return "the oldest readings are dropped for want of room: raise disk_budget, or see why the " +
      "cloud acknowledges nothing";
  }

  /** Says what was dropped, not too often. */
  #tell(): void {
    const now = this.#parts.clock.steady();
    if (this.#dropped === null || now - this.#told < betweenEvents) return;
    const { bus, log, site } = this.#host;
    const detail = { ...this.#dropped };
    this.#dropped = null;
    this.#told = now;
    log.error("the oldest readings were dropped for want of room", detail);
    bus.emit({ type: "fog.data_dropped", severity: "alarm", subject: site, detail });
  }

  /** How much is too much: once it was, it has to be clearly less. */
  get #limit(): number {
    return this.#config.disk_budget * (this.#blocked === null ? 1 : lowWater);
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }
}

function joined(before: Dropped | null, passed: Passed): Dropped | null {
  if (passed.windows === 0) return before;
  return {
    from: before?.from ?? passed.from,
    to: passed.horizon,
    windows: (before?.windows ?? 0) + passed.windows,
    readings: (before?.readings ?? 0) + passed.readings,
    summaries: (before?.summaries ?? 0) + passed.summaries,
  };
}

function shown(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes < 1_024
    ? `${mebibytes.toFixed(0)} MiB`
    : `${(mebibytes / 1_024).toFixed(1)} GiB`;
}
