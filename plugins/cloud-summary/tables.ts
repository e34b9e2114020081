/**
 * The cloud's tables. `summaries` is the chain of every fog as it was signed, `windows` the figures of
 * each window by epoch (the highest revision), of which one is in force, `fogs` the head of each chain
 * and running totals, `chains` the highest number told of in each epoch. `links` and `coverage` are
 * what has come, as ranges of numbers: of the chain, and of the readings that the windows in force
 * hold, in layers: what is in layer 2 is held twice. What is missing is what they leave out. `pruned`
 * is where windows were and are no more, as ranges of time.
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
}, {
  sql: `
  CREATE TABLE cloud_summary_windows_by_epoch (
    fog_id TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('in_force', 'undecided', 'overruled')),
    num_meters INTEGER NOT NULL,
    n INTEGER NOT NULL,
    sum_power_w INTEGER NOT NULL,
    min_power_w INTEGER NOT NULL,
    max_power_w INTEGER NOT NULL,
    sum_voltage_mv INTEGER NOT NULL,
    min_voltage_mv INTEGER NOT NULL,
    max_voltage_mv INTEGER NOT NULL,
    energy_wh INTEGER NOT NULL,
    PRIMARY KEY (window_start, fog_id, epoch)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO cloud_summary_windows_by_epoch SELECT fog_id, window_start, window_end, epoch, seq,
    revision, 'in_force', num_meters, n, sum_power_w, min_power_w, max_power_w, sum_voltage_mv,
    min_voltage_mv, max_voltage_mv, energy_wh FROM cloud_summary_windows;
  DROP TABLE cloud_summary_windows;
  ALTER TABLE cloud_summary_windows_by_epoch RENAME TO cloud_summary_windows;
  CREATE INDEX cloud_summary_windows_undecided ON cloud_summary_windows (window_start, fog_id)
    WHERE state = 'undecided';
  CREATE INDEX cloud_summary_windows_of_fog ON cloud_summary_windows (fog_id, window_start);
  CREATE TABLE cloud_summary_pruned (
    fog_id TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (fog_id, first)
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE cloud_summary_fogs ADD COLUMN received_at INTEGER NOT NULL DEFAULT 0;
  UPDATE cloud_summary_fogs SET received_at = (SELECT coalesce(max(received_at), 0)
    FROM cloud_summary_summaries s WHERE s.fog_id = cloud_summary_fogs.fog_id);
  ALTER TABLE cloud_summary_summaries ADD COLUMN prev BLOB;
  UPDATE cloud_summary_summaries SET prev = (SELECT hash FROM cloud_summary_summaries b
    WHERE b.fog_id = cloud_summary_summaries.fog_id AND b.epoch = cloud_summary_summaries.epoch
      AND b.seq = cloud_summary_summaries.seq - 1);
  CREATE INDEX cloud_summary_summaries_by_age ON cloud_summary_summaries (received_at);
  CREATE TABLE cloud_summary_chains (
    fog_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    highest INTEGER NOT NULL,
    PRIMARY KEY (fog_id, epoch)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO cloud_summary_chains SELECT fog_id, epoch, max(seq)
    FROM cloud_summary_summaries GROUP BY fog_id, epoch;
  CREATE TABLE cloud_summary_links (
    fog_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (fog_id, epoch, first)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO cloud_summary_links SELECT fog_id, epoch, min(seq), max(seq)
    FROM cloud_summary_summaries GROUP BY fog_id, epoch;
  CREATE TABLE cloud_summary_lost (
    fog_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    reason TEXT NOT NULL,
    told_at INTEGER NOT NULL,
    PRIMARY KEY (fog_id, epoch, first)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE cloud_summary_conflicts (
    fog_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    statement BLOB NOT NULL,
    PRIMARY KEY (fog_id, epoch, seq, hash)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE cloud_summary_registers (
    id INTEGER PRIMARY KEY,
    fog_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    register TEXT NOT NULL,
    seq INTEGER NOT NULL,
    energy_wh INTEGER NOT NULL,
    layers INTEGER NOT NULL,
    UNIQUE (fog_id, meter, register)
  ) STRICT;
  CREATE INDEX cloud_summary_registers_by_meter
    ON cloud_summary_registers (meter, register, fog_id);
  CREATE TABLE cloud_summary_coverage (
    register_id INTEGER NOT NULL,
    layer INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (register_id, layer, first)
  ) STRICT, WITHOUT ROWID;
  `,
}];
