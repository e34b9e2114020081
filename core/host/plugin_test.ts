/** The contract's promises to whoever writes a role: some are kept by types, some when it starts. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { z } from "zod";
import { fake, startFakes, temporaryFolder } from "./_fakes.ts";
import { definePlugin } from "./plugin.ts";

Deno.test("definePlugin() gives a role what it needs, and its own configuration, by type", () => {
  const plugin = definePlugin({
    name: "typed",
    summary: "Shows what the types allow",
    config: z.object({ limit: z.int().default(3) }),
    needs: ["db"],
    start(host, config) {
      const limit: number = config.limit;
      void [limit, host.db, host.log];
      // @ts-expect-error -- the role does not need the broker, so it has none
      void host.mqtt;
      // @ts-expect-error -- there is no such key
      void config.limits;
    },
  });
  assert.deepEqual(plugin.needs, ["db"]);
});

Deno.test("a role serves the root paths that it claims, and no other", async () => {
  await using folder = await temporaryFolder();
  const greedy = fake("greedy", ({ http }) => {
    http.claim("/mine", new Hono());
    http.claim("/yours", new Hono());
  }, { needs: ["http"], claims: ["/mine"] });
  await assert.rejects(startFakes([greedy], { folder: folder.path }), /\/yours.*not claimed/);
});
