/**
 * Sites that are each other's witnesses, as processes of their own with databases of their own: what
 * one of them forgets, or is made to forget, the other one knows.
 */
import assert from "node:assert/strict";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { verifyCosignature } from "../../core/trust/log/cosignature.ts";
import { keep, LogSite } from "./_log_site.ts";
import { eventually } from "./_test_site.ts";
import { temporaryFolder } from "./program.ts";

const suite = nativeSuite();

/** The checkpoint that enough witnesses have cosigned, once it has this many entries. */
function witnessed(site: LogSite, size: number) {
  return eventually(`${size} entries of ${site.name} are witnessed`, async () => {
    const checkpoint = await site.checkpoint("/witnessed");
    return checkpoint !== null && checkpoint.size >= size ? checkpoint : undefined;
  }, 60_000);
}

Deno.test("two sites cosign each other's logs", async () => {
  await using folder = await temporaryFolder();
  await using fog = new LogSite(folder.path, "fog-1");
  await using cloud = new LogSite(folder.path, "cloud");
  await Promise.all([
    fog.start({ witnesses: [cloud], witnessOf: [cloud] }),
    cloud.start({ witnesses: [fog], witnessOf: [fog] }),
  ]);
  await Promise.all([fog.act(3), cloud.act(2)]);
  const before = Math.floor(Date.now() / 1_000) - 60;
  for (const [site, size, witness] of [[fog, 3, cloud], [cloud, 2, fog]] as const) {
    const { note, origin } = await witnessed(site, size);
    assert.equal(origin, site.logKey(1).name);
    assert.ok(verifyCosignature(suite, note, witness.witnessKey) > before);
    const status = (await site.status())!;
    assert.deepEqual([status.size, status.witnessed, status.quorum], [size, size, 1]);
    assert.deepEqual(status.witnesses, [{
      ...{ url: `${witness.url}/log`, name: witness.witnessKey.name, size, error: null },
    }]);
  }
  const { size } = (await fog.checkpoint())!;
  await cloud.kill();
  await fog.act();
  await eventually("it says that it lags behind", async () => {
    const { size: now, witnessed, witnesses } = (await fog.status())!;
    return now === 4 && witnessed === size && witnesses[0]!.error !== null ? true : undefined;
  });
  await fog.kill();
  await cloud.start({ witnesses: [fog], witnessOf: [fog] });
  await fog.start({ witnesses: [cloud], witnessOf: [cloud] });
  await witnessed(fog, 4);
  assert.deepEqual([await fog.alarms(), await cloud.alarms()], [[], []]);
});

Deno.test("a database that is put back is noticed here, and told by the witness", async () => {
  await using folder = await temporaryFolder();
  await using fog = new LogSite(folder.path, "fog-1");
  await using witness = new LogSite(folder.path, "gw-1");
  await Promise.all([
    fog.start({ witnesses: [witness] }),
    witness.start({ witnessOf: [fog] }),
  ]);
  await fog.act(2);
  await witnessed(fog, 2);
  await fog.stop();
  const putBack = keep(fog.dataDir, "edgeward.db");
  await fog.start({ witnesses: [witness] });
  await fog.act(3);
  const last = await witnessed(fog, 5);
  await fog.kill();
  putBack();
  await fog.start({ witnesses: [witness] });
  await fog.act(8);
  const next = await eventually("the next generation is witnessed", async () => {
    const checkpoint = await fog.checkpoint("/witnessed");
    return checkpoint?.origin === fog.logKey(2).name ? checkpoint : undefined;
  });
  verifyCosignature(suite, next.note, witness.witnessKey);
  const reason = "the database is shorter than what was signed";
  assert.deepEqual(await fog.alarms(), [{ subject: last.origin, reason }]);
  assert.deepEqual(await witness.alarms(), [{
    subject: next.origin,
    reason: "a new generation began after 1",
  }]);
});

Deno.test("a data directory that is put back as a whole is no secret to the witness", async () => {
  await using folder = await temporaryFolder();
  await using fog = new LogSite(folder.path, "fog-1");
  await using witness = new LogSite(folder.path, "gw-1");
  await Promise.all([
    fog.start({ witnesses: [witness] }),
    witness.start({ witnessOf: [fog] }),
  ]);
  await fog.act(2);
  await witnessed(fog, 2);
  await fog.stop();
  const putBack = keep(fog.dataDir, "");
  await fog.start({ witnesses: [witness] });
  await fog.act(3);
  const last = await witnessed(fog, 5);
  await fog.kill();
  putBack();
  // the witness is away, so nothing tells the site
  await witness.kill();
  await fog.start({ witnesses: [witness] });
  await fog.act(9);
  const unknowing = await eventually("it goes on", async () => {
    const checkpoint = await fog.checkpoint();
    return checkpoint?.size === 11 ? checkpoint : undefined;
  });
  assert.equal(unknowing.origin, last.origin);
  await witness.start({ witnessOf: [fog] });
  const next = await eventually("the next generation is witnessed", async () => {
    const checkpoint = await fog.checkpoint("/witnessed");
    return checkpoint?.origin === fog.logKey(2).name ? checkpoint : undefined;
  }, 60_000);
  verifyCosignature(suite, next.note, witness.witnessKey);
  assert.deepEqual(await fog.alarms(), [{
    subject: last.origin,
    reason: "the database has other entries than what was signed",
  }]);
  const told = (await witness.alarms()).map(({ reason }) => reason);
  assert.deepEqual(told, [
    "the proof that the log only grew does not hold",
    "a new generation began after 1",
  ]);

  await fog.kill();
  putBack();
  await fog.start({ witnesses: [witness] });
  const third = await eventually("the third generation is witnessed", async () => {
    const checkpoint = await fog.checkpoint("/witnessed");
    return checkpoint?.origin === fog.logKey(3).name ? checkpoint : undefined;
  }, 60_000);
  assert.ok(third.size > 0);
  const more = (await witness.alarms()).slice(2).map(({ reason }) => reason);
  assert.deepEqual(more, ["a new generation began after 2"], "it asked before it signed");
});
