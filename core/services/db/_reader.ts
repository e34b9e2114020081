/** The connection that reads what is committed, and cannot write. */
import { type Client, createClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import type { Queries } from "./mod.ts";

export interface Reader {
  readonly queries: Queries;
  close(): void;
}

/** @param url of a file that a writer has open: then nobody keeps a reader waiting */
export async function openReader(url: string): Promise<Reader> {
  // a second connection would be opened without the pragma, and could not work at the same time
  const client = createClient({ url, concurrency: 1, timeout: 100 });
  try {
    await client.execute("PRAGMA query_only = ON");
    // opens the files now: later there may be others in their place
    await client.execute("SELECT count(*) FROM sqlite_schema");
  } catch (error) {
    client.close();
    throw error;
  }
  const execute: Client["execute"] = (statement) => client.execute(statement);
  return { queries: drizzle({ execute } as Client), close: () => client.close() };
}
