/**
 * The fog's tables. `batches` holds the statements as the meters signed them, `readings` what is in
 * them, each once by (register, seq). A dirty window has readings that no summary holds yet. What is
 * deleted for age or want of room leaves its numbers in `pruned`, so that it is known when it comes
 * again, and in `anchors` the register from which the next energy counts.
 */
import type { Migration } from "../../core/services/db/mod.ts";

export const migrations: readonly Migration[] = [{
  sql: `
  CREATE TABLE fog_aggregator_registers (
    id INTEGER PRIMARY KEY,
    meter TEXT NOT NULL,
    register TEXT NOT NULL,
    UNIQUE (meter, register)
  ) STRICT;
  CREATE TABLE fog_aggregator_batches (
    id INTEGER PRIMARY KEY,
    register_id INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    statement BLOB NOT NULL
  ) STRICT;
  CREATE TABLE fog_aggregator_readings (
    register_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    t INTEGER NOT NULL,
    energy_wh INTEGER NOT NULL,
    power_w INTEGER NOT NULL,
    voltage_mv INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    window_start INTEGER,
    batch_id INTEGER NOT NULL,
    PRIMARY KEY (register_id, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX fog_aggregator_readings_by_window ON fog_aggregator_readings (window_start);
  CREATE INDEX fog_aggregator_readings_by_time ON fog_aggregator_readings (register_id, t);
  CREATE TABLE fog_aggregator_quarantine (
    id INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    register_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    statement BLOB NOT NULL,
    UNIQUE (register_id, seq, statement)
  ) STRICT;
  CREATE TABLE fog_aggregator_windows (
    start INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL DEFAULT -1,
    dirty INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX fog_aggregator_windows_dirty ON fog_aggregator_windows (start) WHERE dirty = 1;
  CREATE TABLE fog_aggregator_summaries (
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    window_start INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    hash BLOB NOT NULL,
    statement BLOB NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (epoch, seq)
  ) STRICT, WITHOUT ROWID;
  `,
}, {
  sql: `
  DROP INDEX fog_aggregator_readings_by_time;
  ALTER TABLE fog_aggregator_batches ADD COLUMN remaining INTEGER NOT NULL DEFAULT 0;
  UPDATE fog_aggregator_batches SET remaining = held.n FROM (
    SELECT batch_id, count(*) AS n FROM fog_aggregator_readings GROUP BY batch_id
  ) held WHERE held.batch_id = id;
  ALTER TABLE fog_aggregator_quarantine ADD COLUMN reason TEXT NOT NULL DEFAULT 'conflict';
  CREATE TABLE fog_aggregator_pruned (
    register_id INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (register_id, first)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE fog_aggregator_anchors (
    register_id INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    energy_wh INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE fog_aggregator_waiting (
    id INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    boot TEXT NOT NULL,
    meter TEXT NOT NULL,
    statement BLOB NOT NULL
  ) STRICT;
  CREATE TABLE fog_aggregator_state (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE fog_aggregator_epochs (
    epoch INTEGER PRIMARY KEY,
    after_epoch INTEGER NOT NULL,
    after_seq INTEGER NOT NULL,
    prev BLOB NOT NULL,
    began_at INTEGER NOT NULL
  ) STRICT;
  ALTER TABLE fog_aggregator_summaries ADD COLUMN set_aside TEXT;
  CREATE INDEX fog_aggregator_summaries_pending ON fog_aggregator_summaries (epoch, seq)
    WHERE acknowledged = 0 AND set_aside IS NULL;
  CREATE INDEX fog_aggregator_summaries_by_window ON fog_aggregator_summaries (window_start);
  CREATE TABLE fog_aggregator_spans (
    since INTEGER PRIMARY KEY,
    milliseconds INTEGER NOT NULL
  ) STRICT;
  ALTER TABLE fog_aggregator_windows ADD COLUMN dirtied_at INTEGER NOT NULL DEFAULT 0;
  DROP INDEX fog_aggregator_windows_dirty;
  CREATE INDEX fog_aggregator_windows_dirty ON fog_aggregator_windows (dirtied_at)
    WHERE dirty = 1;
  `,
}];
