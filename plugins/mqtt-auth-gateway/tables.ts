/**
 * The gateway's tables. `devices` is what hangs on an id and outlives hardware: permissions, counters,
 * whether it has ever spoken v2. `last_seen` is that of the key beside it. Secrets of profile v1 are
 * sealed elsewhere; `v1` says of whom there are any, and until when.
 */
import type { Migration } from "../../core/services/db/mod.ts";

export const migrations: readonly Migration[] = [{
  sql: `
  CREATE TABLE mqtt_auth_gateway_devices (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    profile TEXT CHECK (profile IN ('v1', 'v2')),
    pinned_v2 INTEGER NOT NULL,
    allow TEXT,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER,
    calls INTEGER NOT NULL,
    refused INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE mqtt_auth_gateway_calls (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    method TEXT NOT NULL,
    at INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('in', 'out'))
  ) STRICT;
  CREATE INDEX mqtt_auth_gateway_calls_by_device ON mqtt_auth_gateway_calls (device, id);
  CREATE TABLE mqtt_auth_gateway_telemetry (
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    t INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (device, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE mqtt_auth_gateway_v1 (
    id TEXT PRIMARY KEY,
    psk_since INTEGER,
    keys_until INTEGER
  ) STRICT, WITHOUT ROWID;
  `,
}];
