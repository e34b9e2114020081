/**
 * The log's own tables, beside `audit`, which holds the entries. `log_tiles` holds the hashes of the
 * tree as they are served, `log_state` how far the tree has come and the checkpoint that says so,
 * `log_witnessed` what this site has cosigned of other logs, `log_cosignatures` what each witness
 * has cosigned last of this one, and `log_quorum` the last checkpoint that enough of them have.
 */
import type { Migration } from "../db/mod.ts";

export const tlogMigrations: readonly Migration[] = [{
  sql: `
  CREATE TABLE log_state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    generation INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    size INTEGER NOT NULL,
    checkpoint TEXT NOT NULL
  ) STRICT;
  CREATE TABLE log_tiles (
    level INTEGER NOT NULL,
    tile INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, tile)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE log_witnessed (
    origin TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    log TEXT NOT NULL,
    generation INTEGER NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    note TEXT NOT NULL,
    cosigned_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX log_witnessed_by_log ON log_witnessed (log, generation);
  CREATE TABLE log_cosignatures (
    witness TEXT PRIMARY KEY,
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    signature TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE log_quorum (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    note TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_by_statement ON audit (statement) WHERE statement IS NOT NULL;
  `,
}];
