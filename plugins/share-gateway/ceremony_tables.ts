/**
 * Tables of the group and its ceremonies. `rosters` is the chain of signed rosters, of which the last
 * one counts; `candidates` are rosters that this gateway has signed and that not all may have signed
 * yet; `plans` holds the plan of the next deal, and `errands` what the others have still to be told.
 * Shares are not in here: the site keeps them with its secrets.
 */
import type { Migration } from "../../core/services/db/mod.ts";

export const ceremonyMigrations: readonly Migration[] = [{
  sql: `
  CREATE TABLE share_gateway_rosters (
    epoch INTEGER PRIMARY KEY,
    signed BLOB NOT NULL
  ) STRICT;
  CREATE TABLE share_gateway_candidates (
    id INTEGER PRIMARY KEY,
    dealer TEXT NOT NULL,
    nonce TEXT NOT NULL UNIQUE,
    roster BLOB NOT NULL
  ) STRICT;
  CREATE TABLE share_gateway_plans (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    plan TEXT NOT NULL
  ) STRICT;
  CREATE TABLE share_gateway_errands (
    member TEXT PRIMARY KEY,
    nonce TEXT NOT NULL,
    errand TEXT NOT NULL CHECK (errand IN ('commit', 'abort'))
  ) STRICT, WITHOUT ROWID;
  `,
}];
