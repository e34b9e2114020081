/**
 * A fog's outbox on a real database, an uplink to a cloud in memory, and time that is turned by hand,
 * for the tests of the uplink. Its summaries are real but nobody's signature is under them.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createClient } from "@libsql/client";
import { sql } from "drizzle-orm";
import { parseId } from "../../core/base/id.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { EventBus } from "../../core/services/bus.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { type OpenDatabase, openDatabase } from "../../core/services/db/mod.ts";
import { encodeSign1 } from "../../core/trust/cose_sign1.ts";
import type { Event } from "../../core/wire/event.ts";
import { encodeSummary } from "../../core/wire/summary.ts";
import { channelTo, FakeCloud, type Fate } from "./_fake_cloud.ts";
import type { Config } from "./config.ts";
import { appendSummary, lastLink, type Outbox, outboxOf } from "./outbox.ts";
import { migrations } from "./tables.ts";
import { startUplink, type Uplink } from "./uplink.ts";

export const minute = 60_000;
const { sha256 } = nativeSuite();
const log = { debug() {}, info() {}, warn() {}, error() {} };

/** A clock on which only one thing waits at a time: the uplink. */
class HandClock {
  now = 1_000_000;
  /** Every wait that has begun, in milliseconds. */
  readonly waits: number[] = [];
  #waiting: { at: number; end: () => void } | null = null;
  #rests = Promise.withResolvers<void>();

  readonly pause = (milliseconds: number, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return Promise.resolve();
    this.waits.push(milliseconds);
    return new Promise((resolve) => {
      const end = () => {
        signal.removeEventListener("abort", end);
        this.#waiting = null;
        this.#rests = Promise.withResolvers();
        resolve();
      };
      signal.addEventListener("abort", end);
      this.#waiting = { at: this.now + milliseconds, end };
      this.#rests.resolve();
    });
  };

  /** Resolves when the uplink waits. */
  rest(): Promise<void> {
    return this.#rests.promise;
  }

  /** Lets time pass, and whatever happens in it. */
  async pass(milliseconds: number): Promise<void> {
    const target = this.now + milliseconds;
    for (;;) {
      await this.rest();
      const { at, end } = this.#waiting!;
      if (at > target) break;
      this.now = Math.max(this.now, at);
      end();
    }
    this.now = Math.max(this.now, target);
  }
}

export interface TestUplink extends AsyncDisposable {
  readonly cloud: FakeCloud;
  readonly clock: HandClock;
  readonly events: Event[];
  readonly learned: [t: number, uncertainty: number][];
  readonly reopened: number[];
  readonly troubles: (string | null)[];
  readonly db: OpenDatabase;
  readonly outbox: Outbox;
  readonly uplink: Uplink;
  /** How calls end; may let time pass. */
  fate: (bytes: Uint8Array) => Fate | Promise<Fate>;
  /** Chance; a half unless set. */
  random: () => number;
  start(): void;
  stop(): Promise<void>;
  /** Closes windows that follow the last one, each with a reading, and gives their names. */
  append(n: number, options?: { bytes?: number }): Promise<string[]>;
  /** Deletes summaries, as the retention does. */
  remove(names: readonly string[]): Promise<void>;
  /** A late reading comes for the n-th window. */
  dirty(n: number): Promise<void>;
  /** Sums up again what is dirty. */
  closeDirty(): Promise<void>;
  /** Tells the uplink of what is new and lets it work until it waits. */
  deliver(): Promise<void>;
  /** Copies the database; calling the result stops the uplink and goes back to the copy. */
  backup(): Promise<() => Promise<void>>;
}

export async function openTestUplink(): Promise<TestUplink> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  let path = join(folder, "edgeward.db");
  const code_file = join(folder, "code.json");
  await Deno.writeTextFile(
    code_file,
    JSON.stringify({
      ...{ code: "A".repeat(22), site: "cloud", url: "http://127.0.0.1:9" },
      ...{ noise_key: "A".repeat(43), expires: new Date(2 ** 42).toISOString() },
    }),
  );
  const open = async () => {
    const db = await openDatabase({ path });
    await db.migrate("core", auditMigrations);
    await db.migrate("fog-aggregator", migrations);
    return { db, outbox: outboxOf(db) };
  };
  let { db, outbox } = await open();
  let started: { uplink: Uplink; undo: (() => void | Promise<void>)[] } | null = null;
  const clock = new HandClock();
  const cloud = new FakeCloud();
  cloud.now = () => clock.now;
  const events: Event[] = [];
  const bus = new EventBus({ clock: () => clock.now, log }).scoped("fog-aggregator");
  bus.listen((event) => events.push(event));

  async function close(start: number, { bytes = 0 } = {}): Promise<string> {
    return await db.write(async (tx) => {
      const [window] = await tx.all<{ revision: number }>(sql`
        INSERT INTO fog_aggregator_windows (start, revision, dirty) VALUES (${start}, 0, 0)
        ON CONFLICT (start) DO UPDATE SET revision = revision + 1, dirty = 0 RETURNING revision`);
      const { revision } = window!;
      const link = await lastLink(tx);
      const place = { epoch: link.epoch, seq: link.seq + 1 };
      const number = start / minute;
      const payload = encodeSummary({
        ...{ fog_id: parseId("fog-1"), ...place, revision, prev: link.hash },
        window: { start, end: start + minute },
        ...{ num_meters: 1, n: 1, energy_Wh: 10 },
        ...{ sum_power_W: 1, min_power_W: 1, max_power_W: 1 },
        ...{ sum_voltage_mV: 1, min_voltage_mV: 1, max_voltage_mV: 1 },
        registers: new Map([[
          parseId("m-1"),
          new Map([[parseId("r-1"), { energy_Wh: number * 10, seqs: [[number, number]] }]]),
        ]]),
      });
      // a long header stands for many meters
      const header = new Uint8Array(bytes);
      const statement = encodeSign1({ header, payload, signature: new Uint8Array(64) });
      const hash = sha256(statement);
      await appendSummary(tx, { ...place, hash, statement, start, revision });
      return `${place.epoch}.${place.seq}`;
    });
  }

  const test: TestUplink = {
    ...{ cloud, clock, events, learned: [], reopened: [], troubles: [] },
    get db() {
      return db;
    },
    get outbox() {
      return outbox;
    },
    get uplink() {
      return started!.uplink;
    },
    fate: () => "answered",
    random: () => 0.5,

    start() {
      const undo: (() => void | Promise<void>)[] = [];
      const host = {
        ...{ site: "fog-1", clock: () => clock.now, log, bus, db },
        audit: auditOf("fog-aggregator", () => clock.now),
        sessions: { dial: () => channelTo(cloud, (bytes) => test.fate(bytes)) },
        defer: (job: () => void | Promise<void>) => undo.push(job),
      } as unknown as Host & Services;
      const uplink = startUplink(host, { code_file } as Config, {
        outbox,
        clock: { learn: (t, uncertainty) => void test.learned.push([t, uncertainty]) },
        report: (trouble) => void test.troubles.push(trouble),
        reopened: (starts) => void test.reopened.push(...starts),
        pause: clock.pause,
        random: () => test.random(),
        monotonic: () => clock.now,
      })!;
      started = { uplink, undo };
    },

    async stop() {
      for (const undo of started?.undo ?? []) await undo();
      started = null;
    },

    async append(n, options) {
      const [last] = await db.read((q) =>
        q.all<{ start: number | null }>(sql`SELECT max(start) AS start FROM fog_aggregator_windows`)
      );
      const names: string[] = [];
      for (let i = 1; i <= n; i++) {
        names.push(await close((last!.start ?? 0) + i * minute, options));
      }
      return names;
    },

    remove: (names) =>
      db.write(async (tx) => {
        await tx.run(sql`DELETE FROM fog_aggregator_summaries
          WHERE epoch || '.' || seq IN (SELECT value FROM json_each(${JSON.stringify(names)}))`);
      }),

    dirty: (n) =>
      db.write(async (tx) => {
        await tx.run(
          sql`UPDATE fog_aggregator_windows SET dirty = 1 WHERE start = ${n * minute}`,
        );
      }),

    async closeDirty() {
      const rows = await db.read((q) =>
        q.all<{ start: number }>(sql`
          SELECT start FROM fog_aggregator_windows WHERE dirty = 1 ORDER BY start`)
      );
      for (const { start } of rows) await close(start);
    },

    async deliver() {
      if (started === null) test.start();
      else {
        await clock.rest();
        test.uplink.wake();
      }
      await clock.rest();
    },

    async backup() {
      const copy = join(folder, `${crypto.randomUUID()}.db`);
      const client = createClient({ url: pathToFileURL(path).href });
      await client.execute({ sql: "VACUUM INTO ?", args: [copy] });
      client.close();
      return async () => {
        await test.stop();
        await db[Symbol.asyncDispose]();
        path = copy;
        ({ db, outbox } = await open());
      };
    },

    async [Symbol.asyncDispose]() {
      await test.stop();
      await db[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
  return test;
}

/** How many rows of the outbox are in which state, by name. */
export async function outboxState({ db }: Pick<TestUplink, "db">) {
  const rows = await db.read((q) =>
    q.all<{ name: string; acknowledged: number; set_aside: string | null }>(sql`
      SELECT epoch || '.' || seq AS name, acknowledged, set_aside
      FROM fog_aggregator_summaries ORDER BY epoch, seq`)
  );
  return Object.fromEntries(
    rows.map((row) => [row.name, row.set_aside ?? (row.acknowledged ? "at the cloud" : "pending")]),
  );
}
