/** The demo's look at its own log: it says that all is well, and notices when it is not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { LogObserver } from "./log_observer.ts";
import { startDemo } from "./system.ts";

async function withDemo(
  use: (demo: { observer: LogObserver; folder: string }) => Promise<void>,
  { patience = 30_000 }: { patience?: number } = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  try {
    await using system = await startDemo({ dataDir: folder, port: 0 });
    using observer = await LogObserver.open(system, { patience });
    await use({ observer, folder });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the demo's log is whole and has two witnesses, and what is rewritten is noticed", async () => {
  await withDemo(async ({ observer, folder }) => {
    const { log, trouble } = await observer.verify(null);
    assert.equal(trouble, null);
    assert.ok(log.size > 0);
    assert.deepEqual(log, { size: log.size, checkpoint_verified: true, witnesses: 2 });

    using db = new DatabaseSync(join(folder, "demo", "edgeward.db"), { timeout: 10_000 });
    db.exec("UPDATE audit SET subject = 'gw-9' WHERE id = 1");
    const rewritten = await observer.verify(null);
    assert.equal(rewritten.log.checkpoint_verified, false);
    assert.match(rewritten.trouble!.message, /does not verify: .*entry 0/);
  });
});

Deno.test("the demo misses a proof that its cloud cannot give", async () => {
  await withDemo(async ({ observer }) => {
    const { log, trouble } = await observer.verify({ fog: "gw-2", start: 0 });
    assert.equal(log.checkpoint_verified, false);
    assert.match(trouble!.message, /Cannot find a proof/);
  }, { patience: 2_000 });
});
