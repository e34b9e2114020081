/** A whole fog without sessions, HTTP and cloud: its parts over one database, and time by hand. */
import { openDatabase } from "../../core/services/db/mod.ts";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { hostOf, noon } from "./_test_store.ts";
import { FogClock } from "./clock.ts";
import { type Config, config as schema } from "./config.ts";
import { historyOf } from "./history.ts";
import { Ingest } from "./ingest.ts";
import { Pruned } from "./pruned.ts";
import { tellReceipts } from "./refusals.ts";
import { Retention } from "./retention.ts";
import { openStore } from "./store.ts";
import { migrations } from "./tables.ts";
import { Waiting } from "./waiting.ts";

export type TestFog = Awaited<ReturnType<typeof openTestFog>>;

const noPause = () => Promise.resolve();

/** Everything that a process has in memory; `restart` gives another one. */
async function start(
  folder: string,
  { time, config, hasCloud }: {
    time: { wall: number; monotonic: number };
    config: Config;
    hasCloud: boolean;
  },
) {
  const db = await openDatabase({ path: `${folder}/fog.db` });
  await db.migrate("core", auditMigrations);
  await db.migrate("fog-aggregator", migrations);
  const wall = () => time.wall;
  const { host: bare, events, metrics } = hostOf(wall);
  const audit = auditOf("fog-aggregator", wall);
  const host = { ...bare, db, audit } as unknown as Host & Pick<Services, "db">;
  const clock = new FogClock(wall, { monotonic: () => time.monotonic });
  const pruned = await Pruned.open(db);
  const troubles: (string | null)[] = [];
  const report = (trouble: string | null) => void troubles.push(trouble);
  let waits = false;
  const retention: Retention = await Retention.open(host, config, {
    ...{ clock, pruned, hasCloud, report, pause: noPause },
    waits: () => waits,
    block: (reason) => ingest.block(reason),
  });
  const { window, lateness } = config;
  const horizon = () => Math.max(clock.now() - lateness, retention.horizon());
  const history = historyOf(host, { readings: config.log_readings });
  const store = await openStore({ db, clock }, { window, horizon, pruned, history });
  const ingest = new Ingest(store, { liveSpan: 3 * window });
  const tell = tellReceipts(host);
  const waiting = new Waiting(host, { clock, store, tell, report, limits: config, pause: noPause });
  return {
    ...{ db, host, events, metrics, clock, pruned, retention, store, ingest, waiting, tell },
    horizon,
    /** All that the parts have reported. */
    troubles,
    /** Says to the retention whether statements wait. */
    wait: (are: boolean) => waits = are,
  };
}

/** @param options.config what differs from the defaults, checked by nobody */
export async function openTestFog(
  options: { config?: Partial<Config>; hasCloud?: boolean; wall?: number } = {},
) {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  const time = { wall: options.wall ?? noon, monotonic: 0 };
  const config: Config = { ...schema.parse({}), ...options.config };
  const parts = { time, config, hasCloud: options.hasCloud ?? true };
  let process = await start(folder, parts);
  return {
    ...{ time, config },
    get now() {
      return process;
    },
    /** As after a crash: whatever was only in memory is gone. */
    async restart(change: Partial<Config> = {}) {
      await process.db[Symbol.asyncDispose]();
      Object.assign(config, change);
      process = await start(folder, parts);
    },
    pass(milliseconds: number) {
      time.wall += milliseconds;
      time.monotonic += milliseconds;
    },
    async [Symbol.asyncDispose]() {
      await process.db[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
