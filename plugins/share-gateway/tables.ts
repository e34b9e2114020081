/**
 * The role's tables. `devices` holds the last start of each device under the key that it has, `volumes`
 * which volumes are known here and, for pieces, which piece it is; the pieces themselves are among the
 * site's sealed secrets. `requests` wait for a person or have the person's answer, `releases` are answers
 * that left this gateway and what became of them, `reports` the boot events that were taken, by hash, and
 * `seen` signed requests of the prototypes that must not work twice.
 */
import type { Migration } from "../../core/services/db/mod.ts";
import { ceremonyMigrations } from "./ceremony_tables.ts";

/** Whatever is added comes at the end. */
export const migrations: readonly Migration[] = [{
  sql: `
  CREATE TABLE share_gateway_devices (
    device TEXT PRIMARY KEY,
    noise_key BLOB NOT NULL,
    counter INTEGER,
    boot BLOB,
    boot_at INTEGER,
    suspended_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE share_gateway_volumes (
    device TEXT NOT NULL,
    volume BLOB NOT NULL,
    scheme TEXT NOT NULL CHECK (scheme IN ('voprf', 'shamir', 'xor')),
    k INTEGER,
    n INTEGER,
    place INTEGER,
    since INTEGER NOT NULL,
    sealing BLOB,
    PRIMARY KEY (device, volume)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE share_gateway_requests (
    device TEXT NOT NULL,
    volume BLOB NOT NULL,
    boot BLOB NOT NULL,
    id TEXT NOT NULL UNIQUE,
    counter INTEGER NOT NULL,
    scheme TEXT NOT NULL,
    seal INTEGER NOT NULL,
    asked_at INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'refused')),
    decided_at INTEGER,
    decided_by TEXT,
    PRIMARY KEY (device, volume, boot)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE share_gateway_releases (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    volume BLOB NOT NULL,
    boot BLOB NOT NULL,
    counter INTEGER NOT NULL,
    scheme TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seal INTEGER NOT NULL,
    released_at INTEGER NOT NULL,
    times INTEGER NOT NULL DEFAULT 1,
    due INTEGER,
    outcome TEXT,
    settled_at INTEGER,
    UNIQUE (device, volume, boot)
  ) STRICT;
  CREATE INDEX share_gateway_releases_due ON share_gateway_releases (due) WHERE due IS NOT NULL;
  CREATE INDEX share_gateway_releases_by_device ON share_gateway_releases (device, id);
  CREATE TABLE share_gateway_reports (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    device TEXT NOT NULL,
    event TEXT NOT NULL,
    received_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX share_gateway_reports_by_device ON share_gateway_reports (device, id);
  CREATE TABLE share_gateway_seen (
    device TEXT NOT NULL,
    hash BLOB NOT NULL,
    t INTEGER NOT NULL,
    PRIMARY KEY (device, hash)
  ) STRICT, WITHOUT ROWID;
  `,
}, ...ceremonyMigrations];
