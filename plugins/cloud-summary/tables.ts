/**
 * The cloud's tables. `summaries` is the chain of every fog as it was signed, `windows` the figures in
 * force (the highest revision of each window), `fogs` the head of each chain and running totals.
 */
import type { Migration } from "../../core/services/db/mod.ts";

export const migrations: readonly Migration[] = [{
  sql: `
  CREATE TABLE cloud_summary_fogs (
    fog_id TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    windows INTEGER NOT NULL,
    n INTEGER NOT NULL,
    sum_power_w INTEGER NOT NULL,
    sum_voltage_mv INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE cloud_summary_summaries (
    fog_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    statement BLOB NOT NULL,
    PRIMARY KEY (fog_id, epoch, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE cloud_summary_windows (
    fog_id TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    num_meters INTEGER NOT NULL,
    n INTEGER NOT NULL,
    sum_power_w INTEGER NOT NULL,
    min_power_w INTEGER NOT NULL,
    max_power_w INTEGER NOT NULL,
    sum_voltage_mv INTEGER NOT NULL,
    min_voltage_mv INTEGER NOT NULL,
    max_voltage_mv INTEGER NOT NULL,
    energy_wh INTEGER NOT NULL,
    PRIMARY KEY (window_start, fog_id)
  ) STRICT, WITHOUT ROWID;
  `,
}];
