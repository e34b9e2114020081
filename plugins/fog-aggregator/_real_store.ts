/** What several tests of this role share: a store over a database file, batches, a host, patience. */
import { sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import type { Host } from "../../core/host/plugin.ts";
import { EventBus } from "../../core/services/bus.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { type OpenDatabase, openDatabase } from "../../core/services/db/mod.ts";
import { MetricsRegistry } from "../../core/services/metrics.ts";
import type { Event } from "../../core/wire/event.ts";
import type { Reading } from "../../core/wire/reading.ts";
import type { WindowFigures } from "../../core/wire/summary.ts";
import type { SignedBatch } from "./ingest.ts";
import { openStore, type Store } from "./store.ts";
import { migrations } from "./tables.ts";

export const suite = nativeSuite();
export const minute = 60_000;
/** When the tests take place; a multiple of every window that they use. */
export const noon = 1_700_000_040_000;

const log = { debug() {}, info() {}, warn() {}, error() {} };

export interface TestStore {
  readonly db: OpenDatabase;
  readonly store: Store;
  /** The fog's clock. */
  now: number;
  /** Another store over the same database, as after a restart. */
  reopen(): Promise<Store>;
}

/** Gives a store with windows of a minute, and removes its file afterwards. */
export async function withStore(
  use: (test: TestStore) => Promise<void>,
  { lateness = 7 * 24 * 60 * minute } = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await using db = await openDatabase({ path: `${folder}/fog.db` });
    await db.migrate("fog-aggregator", migrations);
    let now = noon;
    const reopen = () => openStore({ db, clock: () => now }, { window: minute, lateness });
    const store = await reopen();
    await use({
      ...{ db, store, reopen },
      get now() {
        return now;
      },
      set now(t) {
        now = t;
      },
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
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

/** Closes every dirty window under statements that nobody signed; gives the figures of each. */
export async function closeAll(store: Store): Promise<Map<number, WindowFigures>> {
  const closed = new Map<number, WindowFigures>();
  for (const start of await store.dirtyWindows()) {
    const settled = await store.close(start, (_figures, revision, last) => {
      const statement = new TextEncoder().encode(`${start} ${revision}`);
      return { seq: last.seq + 1, statement, hash: suite.sha256(statement) };
    });
    closed.set(start, settled!.figures);
  }
  return closed;
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
