/** Where the gateway keeps psks and keys of profile v1: sealed, in the site's database. */
import type { Queries } from "../../core/services/db/mod.ts";

export interface Secrets {
  /** Keeps a secret under this name, in the place of what is there. The caller wipes its bytes. */
  put(tx: Queries, name: string, value: Uint8Array): Promise<void>;
  /** Null when there is none. The caller wipes it. */
  get(q: Queries, name: string): Promise<Uint8Array | null>;
  delete(tx: Queries, name: string): Promise<void>;
}
