/** Durability: whatever was acknowledged before a process died at any moment is in the file after. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { sql } from "drizzle-orm";
import { withFolder } from "./_fakes.ts";
import { openDatabase } from "./mod.ts";

const fixture = fileURLToPath(new URL("./_crash_fixture.ts", import.meta.url));
const kills = 100;

/** What a writing process had said when it was killed. */
interface Testament {
  readonly acknowledged: readonly number[];
  /** The numbers whose transaction had begun. */
  readonly begun: readonly number[];
}

/** When to kill: a while after so many acknowledgements, somewhere in a commit. */
function momentOf(seed: number): { acknowledgements: number; microseconds: number } {
  const random = Math.imul(seed ^ (seed >>> 7), 0x9e3779b1) >>> 0;
  return { acknowledgements: 1 + random % 200, microseconds: (random >>> 8) % 4_000 };
}

async function killed(path: string, seed: number): Promise<Testament> {
  const { acknowledgements, microseconds } = momentOf(seed);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--frozen", "-A", fixture, path],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "", alive = true;
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (!alive || text.split(/^\d/m).length <= acknowledgements) continue;
    const moment = performance.now() + microseconds / 1_000;
    while (performance.now() < moment);
    child.kill("SIGKILL");
    alive = false;
  }
  assert.equal((await child.status).signal, "SIGKILL", `seed ${seed}`);
  const lines = text.split("\n").slice(0, -1);
  const begun = lines.filter((line) => line.startsWith("+")).map(Number);
  return { begun, acknowledged: lines.filter((line) => !line.startsWith("+")).map(Number) };
}

/** Fails unless the file is whole and holds each number up to one that the testament allows. */
async function checkFile(path: string, { acknowledged, begun }: Testament, seed: number) {
  await using db = await openDatabase({ path });
  const check = await db.read((q) => q.all(sql`PRAGMA integrity_check`));
  assert.deepEqual(check, [{ integrity_check: "ok" }], `seed ${seed}`);
  const [stored] = await db.read((q) =>
    q.all<{ n: number; last: number }>(sql`SELECT count(*) AS n, max(n) AS last FROM numbers`)
  );
  const { n, last } = stored!;
  assert.equal(n, last + 1, `seed ${seed}: the numbers have a gap`);
  assert.ok(last >= Math.max(...acknowledged), `seed ${seed}: ${last} is the last one stored`);
  assert.ok(last <= Math.max(...begun), `seed ${seed}: ${last} was never begun`);
}

Deno.test(`what write() acknowledged outlives ${kills} kills in the middle of its commits`, async () => {
  let inside = 0;
  /** One file dies again and again. */
  async function lane(seeds: readonly number[]): Promise<void> {
    await withFolder(async (folder) => {
      const path = `${folder}/numbers.db`;
      for (const seed of seeds) {
        const testament = await killed(path, seed);
        if (testament.begun.length > testament.acknowledged.length) inside++;
        await checkFile(path, testament, seed);
      }
    });
  }
  const seeds = Array.from({ length: kills }, (_, i) => i + 1);
  const [odd, even] = [1, 0].map((rest) => seeds.filter((seed) => seed % 2 === rest));
  await Promise.all([lane(odd!), lane(even!)]);
  assert.ok(inside > kills / 2, `${inside} kills were inside a transaction`);
});
