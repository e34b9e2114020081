/**
 * The fog's tables. `batches` holds the statements as the meters signed them, `readings` what is in
 * them, each once by (register, seq). A dirty window has readings that no summary holds yet.
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
}];
