/** What several tests of this role share: a store over a database file, batches, a host, patience. */
import { sql } from "drizzle-orm";
import { type Id, parseId } from "../../core/base/id.ts";
import type { Host } from "../../core/host/plugin.ts";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { EventBus } from "../../core/services/bus.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { type OpenDatabase, openDatabase } from "../../core/services/db/mod.ts";
import { MetricsRegistry } from "../../core/services/metrics.ts";
import { VerificationPool } from "../../core/services/verification.ts";
import type { Event } from "../../core/wire/event.ts";
import type { Reading, Receipt } from "../../core/wire/reading.ts";
import { historyOf } from "./history.ts";
import type { SignedBatch } from "./ingest.ts";
import { nothingPruned, type PrunedReadings } from "./pruned.ts";
import { type Closed, type Closing, openStore, type Store } from "./store.ts";
import { migrations } from "./tables.ts";

export const suite = nativeSuite();
export const minute = 60_000;
/** When the tests take place; a multiple of every window that they use. */
export const noon = 1_700_000_040_000;

const log = { debug() {}, info() {}, warn() {}, error() {} };

export interface TestStore extends AsyncDisposable {
  readonly db: OpenDatabase;
  readonly folder: string;
  readonly store: Store;
  /** The fog's clock. */
  now: number;
  /** Another store over the same database, maybe with windows of another length. */
  reopen(window?: number): Promise<Store>;
  /** Closes the database and opens it again. */
  restart(window?: number): Promise<void>;
}

interface Options {
  /** How late a reading may be to get into a window. */
  readonly lateness?: number;
  readonly pruned?: PrunedReadings;
}

/** A store with windows of a minute, in a folder of its own that is removed afterwards. */
export async function openTestStore(
  { lateness = 7 * 24 * 60 * minute, pruned = nothingPruned }: Options = {},
): Promise<TestStore> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  let now = noon;
  const clock = { now: () => now };
  const horizon = () => now - lateness;
  const open = async () => {
    const db = await openDatabase({ path: `${folder}/fog.db` });
    await db.migrate("core", auditMigrations);
    await db.migrate("fog-aggregator", migrations);
    return db;
  };
  const audit = auditOf("fog-aggregator", () => now);
  const history = historyOf({ audit, site: parseId("fog-1") }, { readings: true });
  const reopen = (window = minute) =>
    openStore({ db, clock }, { window, horizon, pruned, history });
  let db = await open();
  let store = await reopen();
  return {
    folder,
    reopen,
    get db() {
      return db;
    },
    get store() {
      return store;
    },
    get now() {
      return now;
    },
    set now(t) {
      now = t;
    },
    async restart(window) {
      await db[Symbol.asyncDispose]();
      db = await open();
      store = await reopen(window);
    },
    async [Symbol.asyncDispose]() {
      await db[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Gives a store for as long as `use` takes. */
export async function withStore(
  use: (test: TestStore) => Promise<void>,
  options: Options = {},
): Promise<void> {
  await using test = await openTestStore(options);
  await use(test);
}

/** A reading; what is not said follows from its number. */
export function reading(seq: number, rest: Partial<Reading> = {}): Reading {
  return {
    seq,
    t: noon - 10 * minute + seq * 1_000,
    energy_Wh: 100 * seq,
    power_W: 10 + seq,
    voltage_mV: 230_000 + seq,
    flags: 0,
    ...rest,
  };
}

/** A batch of one register, under a statement that nobody signed. */
export function batch(
  readings: readonly Reading[],
  { meter = "m-1", register = "r-1" } = {},
): SignedBatch {
  const statement = new TextEncoder().encode(JSON.stringify([meter, register, readings]));
  const names = { meter: meter as Id, register: register as Id };
  return { ...names, readings, statement, receivedAt: noon };
}

/** Stores batches in one group. */
export function insert(store: Store, ...batches: readonly SignedBatch[]): Promise<Receipt[]> {
  return store.insert(() => batches);
}

/** Starts of the windows that have readings which no summary holds yet. */
export async function dirtyWindows(store: Store): Promise<number[]> {
  const due = await store.due({ now: 2 ** 50, grace: 0, limit: 1_000_000 });
  return due.sort((a, b) => a - b);
}

/** Closes every dirty window under statements that nobody signed; gives what is told of each. */
export async function closeAll(store: Store): Promise<Map<number, Closed>> {
  const all = new Map<number, Closed>();
  for (const start of await dirtyWindows(store)) {
    const closed = await store.close(start, unsigned);
    if (closed !== null) all.set(start, closed);
  }
  return all;
}

/** The next link, under a statement that nobody signed. */
export function unsigned({ window, revision, last }: Closing) {
  const statement = new TextEncoder().encode(`${last.epoch} ${window.start} ${revision}`);
  return { seq: last.seq + 1, statement, hash: suite.sha256(statement) };
}

/** How many rows a table of the role has. */
export async function count(db: OpenDatabase, table: string): Promise<number> {
  const [row] = await db.read((q) =>
    q.all<{ n: number }>(sql`SELECT count(*) AS n FROM ${sql.raw(`fog_aggregator_${table}`)}`)
  );
  return row!.n;
}

/** A host with real keys, metrics and bus; what it has no use for in these tests is missing. */
export function hostOf(clock: () => number) {
  const bus = new EventBus({ clock, log }).scoped("fog-aggregator");
  const events: Event[] = [];
  bus.listen((event) => events.push(event));
  const metrics = new MetricsRegistry();
  const signer = suite.ed25519.signer();
  const host = {
    ...{ site: "fog-1", suite, clock, log, bus },
    verification: new VerificationPool({ log, threads: 0 }),
    metrics: metrics.scoped("fog-aggregator"),
    identity: { signer },
  } as unknown as Host;
  return { host, events, metrics, signer };
}

/** Waits until a question is answered with yes. */
export async function until(what: string, ask: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    if (await ask()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`It never came to pass: ${what}`);
}
