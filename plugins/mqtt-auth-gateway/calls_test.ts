/** The last calls of a device, over a database that takes its time. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Database, openDatabase } from "../../core/services/db/mod.ts";
import { MetricsRegistry } from "../../core/services/metrics.ts";
import { Calls } from "./calls.ts";
import { log } from "./_test_gateway.ts";
import { migrations } from "./tables.ts";

Deno.test("who asks for the calls of a device sees those, too, that are just being written", async () => {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-calls-" });
  try {
    await using db = await openDatabase({ path: join(folder, "site.db") });
    await db.migrate("mqtt-auth-gateway", migrations);
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const slow: Database = {
      read: (query) => db.read(query),
      write: async (job) => {
        await released;
        return await db.write(job);
      },
    };
    const calls = new Calls({
      ...{ db: slow, clock: () => 7, log, metrics: new MetricsRegistry().scoped("test"), kept: 2 },
      ...{ isKnown: () => true, onCall() {} },
    });
    const note = (method: string) =>
      calls.note({ device: "lamp-1", method, direction: "in" }, () => Promise.resolve());
    await note("first");
    const flushing = calls.flush();
    const asked = calls.of("lamp-1");
    // a read that did not wait would be over by now
    await db.read(() => Promise.resolve());
    release();
    await flushing;
    assert.deepEqual((await asked).map(({ method }) => method), ["first"]);
    for (const method of ["second", "third"]) await note(method);
    assert.deepEqual((await calls.of("lamp-1")).map(({ method }) => method), ["third", "second"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
