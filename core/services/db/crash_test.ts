/** Durability: whatever was acknowledged before a process died at any moment is in the file after. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { sql } from "drizzle-orm";
import { withFolder } from "./_fakes.ts";
import { openDatabase } from "./mod.ts";

const fixture = fileURLToPath(new URL("./_crash_fixture.ts", import.meta.url));

/** Numbers that a writing process acknowledged before it was killed, after `enough` of them. */
async function killAfter(enough: number, path: string): Promise<number[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--frozen", "-A", fixture, path],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "", killed = false;
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (killed || text.split("\n").length <= enough) continue;
    child.kill("SIGKILL");
    killed = true;
  }
  assert.equal((await child.status).signal, "SIGKILL");
  return text.split("\n").slice(0, -1).map(Number);
}

for (const seed of [1, 2, 3]) {
  const enough = 1 + (seed * 2_654_435_761 >>> 0) % 400;
  Deno.test(`what write() acknowledged outlives a kill after ${enough} writes`, async () => {
    await withFolder(async (folder) => {
      const path = `${folder}/numbers.db`;
      const acknowledged = await killAfter(enough, path);
      assert.ok(acknowledged.length >= enough);
      await using db = await openDatabase({ path });
      const rows = await db.read((q) => q.all<{ n: number }>(sql`SELECT n FROM numbers`));
      const stored = new Set(rows.map(({ n }) => n));
      assert.deepEqual(acknowledged.filter((n) => !stored.has(n)), []);
      const check = await db.read((q) => q.all(sql`PRAGMA integrity_check`));
      assert.deepEqual(check, [{ integrity_check: "ok" }]);
    });
  });
}
