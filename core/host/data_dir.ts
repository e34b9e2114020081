/** What lies in the data directory of a site, besides what its roles put there. */
import { join } from "node:path";

/** The unix socket on which the running site answers its operator. */
export function socketPath(dataDir: string): string {
  return join(dataDir, "edgeward.sock");
}

/** The embedded database; in use, `-wal` and `-shm` lie beside it. */
export function databasePath(dataDir: string): string {
  return join(dataDir, "edgeward.db");
}

/** Who the site is: its secret keys. */
export function identityPath(dataDir: string): string {
  return join(dataDir, "identity.key");
}
