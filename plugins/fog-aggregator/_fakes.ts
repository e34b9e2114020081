/**
 * A store on a real database in a folder of its own, and batches to put into it, for the tests of this
 * folder. Their statements are made-up bytes: the store keeps them, it does not read them.
 */
import { join } from "node:path";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { type OpenDatabase, openDatabase } from "../../core/services/db/mod.ts";
import type { Reading, Receipt } from "../../core/wire/reading.ts";
import type { WindowFigures } from "../../core/wire/summary.ts";
import type { SignedBatch } from "./ingest.ts";
import { openStore, type Store } from "./store.ts";
import { migrations } from "./tables.ts";

export const suite = nativeSuite();

/** Where the time of the tests begins: the start of a minute. */
export const epoch = 1_800_000_000_000;
export const minute = 60_000;

const week = 7 * 24 * 60 * minute;

export interface TestStore extends AsyncDisposable {
  readonly store: Store;
  readonly db: OpenDatabase;
  readonly folder: string;
  /** Closes the database and opens it again, as a restart does, maybe with windows of other length. */
  restart(window?: number): Promise<void>;
}

export async function openTestStore(
  options: { clock?: () => number; lateness?: number } = {},
): Promise<TestStore> {
  const { clock = () => epoch, lateness = week } = options;
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  const open = async (window = minute) => {
    const db = await openDatabase({ path: join(folder, "edgeward.db") });
    await db.migrate("fog-aggregator", migrations);
    return { db, store: await openStore({ db, clock }, { window, lateness }) };
  };
  let now = await open();
  return {
    folder,
    get store() {
      return now.store;
    },
    get db() {
      return now.db;
    },
    async restart(window) {
      await now.db[Symbol.asyncDispose]();
      now = await open(window);
    },
    async [Symbol.asyncDispose]() {
      await now.db[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** A reading measured some milliseconds after the epoch of the tests. */
export function reading(seq: number, after: number, change: Partial<Reading> = {}): Reading {
  const t = epoch + after;
  return { seq, t, energy_Wh: 10 * seq, power_W: 500, voltage_mV: 230_000, flags: 0, ...change };
}

export function batch(
  meter: string,
  readings: readonly Reading[],
  options: { register?: string } = {},
): SignedBatch {
  return {
    meter: parseId(meter),
    register: parseId(options.register ?? "r1"),
    readings,
    statement: suite.randomBytes(40),
    receivedAt: epoch,
  };
}

/** Stores batches in one group. */
export async function insert(
  { store }: Pick<TestStore, "store">,
  ...batches: readonly SignedBatch[]
): Promise<{ receipts: Receipt[]; windows: number[] }> {
  const { receipts, windows } = await store.insert(() => batches);
  return { receipts, windows: [...windows].sort((a, b) => a - b) };
}

/** Closes every dirty window; gives the figures and revisions, by windows after the epoch. */
export async function closeAll(
  { store }: Pick<TestStore, "store">,
): Promise<Map<number, WindowFigures & { revision: number }>> {
  const closed = new Map<number, WindowFigures & { revision: number }>();
  for (const start of await store.dirtyWindows()) {
    const settled = await store.close(start, (_figures, revision, { seq }) => {
      const statement = new TextEncoder().encode(`${start} ${revision}`);
      return { seq: seq + 1, hash: suite.sha256(statement), statement };
    });
    if (settled !== null) {
      closed.set((start - epoch) / minute, { ...settled.figures, revision: settled.revision });
    }
  }
  return closed;
}
