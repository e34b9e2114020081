/** The log of a real site, as a stranger, an auditor and its operator see it, and what restarts do. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { leafHash, nodesOf, provesInclusion, rootOf } from "../../core/trust/log/merkle.ts";
import { decodeBundle } from "../../core/trust/log/tile.ts";
import { decodeLogEntry } from "../../core/wire/log_entry.ts";
import { keep, LogSite } from "./_log_site.ts";
import { eventually } from "./_test_site.ts";
import { temporaryFolder } from "./program.ts";

const suite = nativeSuite();

Deno.test("a site serves what it did as a log that is checked from outside", async () => {
  await using folder = await temporaryFolder();
  await using site = new LogSite(folder.path, "cloud");
  await site.start();
  await site.act(2);
  const token = await site.token();
  const { size, root, origin } = await eventually("it is in a checkpoint", async () => {
    const checkpoint = await site.checkpoint();
    return checkpoint?.size === 3 ? checkpoint : undefined;
  });
  assert.equal(origin, site.logKey(1).name);
  assert.equal((await site.get("/witnessed")).status, 404);
  const bundle = `/tile/entries/000.p/${size}`;
  assert.equal((await site.get(bundle)).status, 401);
  const answer = await site.get(bundle, { headers: { authorization: `Bearer ${token}` } });
  const entries = decodeBundle(new Uint8Array(await answer.arrayBuffer()));
  assert.ok(entries.map(decodeLogEntry).every(({ type }) => type === "token.added"));
  const tile = new Uint8Array(await (await site.get(`/tile/0/000.p/${size}`)).arrayBuffer());
  const leaves = entries.map((entry) => leafHash(suite, entry));
  assert.deepEqual(leaves, leaves.map((_, i) => tile.slice(32 * i, 32 * i + 32)));
  const pair = rootOf(suite, [leaves[0]!, leaves[1]!]);
  assert.deepEqual(rootOf(suite, [pair, leaves[2]!]), root);
  assert.equal(nodesOf(3).length, 2);
  const proof = [leaves[1]!, leaves[2]!];
  assert.ok(provesInclusion(suite, { index: 0, size, leaf: leaves[0]!, proof, root }));

  assert.deepEqual(await site.status(), {
    ...{ origin, size: 3, witnessed: 0, quorum: 0, witnesses: [] },
  });
  using client = Deno.createHttpClient({
    proxy: { transport: "unix", path: join(site.dataDir, "edgeward.sock") },
  });
  const own = await fetch(`http://edgeward/log${bundle}`, { client });
  assert.deepEqual(decodeBundle(new Uint8Array(await own.arrayBuffer())), entries);
  const large = await site.get("/add-checkpoint", { method: "POST", body: "x".repeat(65_537) });
  assert.equal(large.status, 413);
  const none = await site.get("/add-checkpoint", { method: "POST", body: "old 0\n" });
  assert.equal(none.status, 400);
  assert.equal((await none.json()).code, "malformed");
});

Deno.test("a site whose log is public shows its entries to everybody", async () => {
  await using folder = await temporaryFolder();
  await using site = new LogSite(folder.path, "cloud");
  await site.start({ keys: "log.public = true" });
  await site.act();
  const entries = await eventually("the entry is there", async () => {
    const answer = await site.get("/tile/entries/000.p/1");
    return answer.status === 200 ? answer : undefined;
  });
  assert.match(entries.headers.get("cache-control")!, /^public, /);
});

Deno.test("a site whose database is put back signs no more under the old name", async () => {
  await using folder = await temporaryFolder();
  await using site = new LogSite(folder.path, "cloud");
  await site.start();
  const grown = (size: number) =>
    eventually(`${size} entries`, async () => {
      const checkpoint = await site.checkpoint();
      return checkpoint !== null && checkpoint.size >= size ? checkpoint : undefined;
    });
  await site.act(3);
  await grown(3);
  await site.stop();
  const putBack = keep(site.dataDir, "edgeward.db");
  await site.start();
  await site.act(4);
  const last = await grown(7);
  await site.kill();
  putBack();
  await site.start();
  await site.act(9);
  const after = await eventually("the next generation", async () => {
    const checkpoint = await site.checkpoint();
    return checkpoint?.origin === site.logKey(2).name ? checkpoint : undefined;
  });
  assert.ok(after.size > 0);
  assert.deepEqual(await site.alarms(), [{
    subject: last.origin,
    reason: "the database is shorter than what was signed",
  }]);
  const size = (await site.status())!.size;
  await site.kill();
  await site.start();
  const { origin } = await grown(size);
  assert.equal(origin, site.logKey(2).name, "it goes on with that");
  assert.equal((await site.alarms()).length, 1);
});
