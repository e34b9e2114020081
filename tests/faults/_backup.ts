/** Copies of a site's database while the site is stopped, as someone with a disk image has them. */
import { join } from "node:path";
import { exists } from "../e2e/program.ts";
import type { RunningSite } from "./_system.ts";

const files = ["edgeward.db", "edgeward.db-wal", "edgeward.db-shm"];

export interface Backup {
  /** Puts the database back as it was; what came after is gone. */
  restore(): Promise<void>;
}

/** Copies the database of a stopped site into a folder of its own. */
export async function backUp({ dataDir }: Pick<RunningSite, "dataDir">): Promise<Backup> {
  const folder = `${dataDir}-backup`;
  await Deno.mkdir(folder);
  await copy(dataDir, folder);
  return { restore: () => copy(folder, dataDir) };
}

async function copy(from: string, to: string): Promise<void> {
  for (const file of files) {
    if (exists(join(to, file))) await Deno.remove(join(to, file));
    if (exists(join(from, file))) await Deno.copyFile(join(from, file), join(to, file));
  }
}
