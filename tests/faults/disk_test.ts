/**
 * Disks fail: a site whose disk is full, or fails, refuses to write and says why, goes on reading, and
 * is well again by itself when the disk is.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Secret } from "../../core/base/secret.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { askSite } from "../../edge/admin_client.ts";
import { run, temporaryFolder } from "../e2e/program.ts";
import { SiteProcess } from "../e2e/site_process.ts";
import { diskTest, imageDisk, memoryDisk } from "./_disk.ts";
import { ride } from "./_ride.ts";

const cloud = (folder: string) => SiteProcess.start(folder, "cloud", "[plugins.cloud-summary]");

function enrol(site: SiteProcess, id: string): Promise<unknown> {
  const body = { kind: "fog", id, ttl: 3_600_000 };
  return askSite(site.dataDir, "/enrol", { method: "POST", body });
}

async function idsAt(site: SiteProcess): Promise<string[]> {
  const { peers } = await askSite(site.dataDir, "/peers") as { peers: { id: string }[] };
  return peers.map(({ id }) => id);
}

async function health(
  site: Pick<SiteProcess, "ports">,
): Promise<{ status: number; database: string | undefined }> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const url = `http://127.0.0.1:${site.ports.admin}/readyz?verbose`;
  const response = await fetch(url, { client });
  const lines = (await response.text()).split("\n");
  return {
    status: response.status,
    database: lines.find((line) => line.includes("]database ")),
  };
}

const full = "[~]database degraded: Cannot use the database: the disk is full";

/** Waits until the site tells this of its database. */
async function becomes(site: Pick<SiteProcess, "ports">, line: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    if ((await health(site)).database === line) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail((await health(site)).database);
}

diskTest("a site whose disk is full goes on reading, and heals when there is room", async () => {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryFolder());
  const disk = stack.use(await memoryDisk(join(path, "data"), "4m"));
  const site = stack.use(await cloud(path));
  await enrol(site, "fog-1");
  for (const round of [1, 2]) {
    await disk.fill();
    const names = Array.from({ length: 40 }, (_, i) => `fog-${round}-${i}`);
    const outcomes = await Promise.allSettled(names.map((name) => enrol(site, name)));
    const refused = outcomes.flatMap((one) => one.status === "rejected" ? [one.reason] : []);
    assert.ok(refused.length > 0, "everything fitted into the write-ahead log");
    for (const error of refused) {
      assert.equal(error.code, "db_full");
      assert.match(error.hint, /make room/);
    }
    const accepted = names.filter((_, i) => outcomes[i]!.status === "fulfilled");
    const known = await idsAt(site);
    assert.deepEqual(names.filter((name) => known.includes(name)), accepted);
    assert.deepEqual(await health(site), { status: 200, database: full });
    await disk.free();
    await becomes(site, "[+]database ok");
    await enrol(site, `after-${round}`);
  }
  await site.stop();
});

diskTest("every acknowledged reading outlives disks that are full for a while", async () => {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryFolder());
  const fogDisk = stack.use(await memoryDisk(join(path, "fog", "data"), "8m"));
  const cloudDisk = stack.use(await memoryDisk(join(path, "cloud", "data"), "8m"));
  await ride({
    seed: 7,
    folder: path,
    onStep(step, { cloud, fog }) {
      if (step === 20) return cloudDisk.fill();
      if (step === 40) return fogDisk.fill();
      if (step === 90) return becomes(cloud, full).then(() => cloudDisk.free());
      if (step === 110) return becomes(fog, full).then(() => fogDisk.free());
      return undefined;
    },
  });
});

diskTest(
  "a site whose disk fails goes on reading, and has everything when the disk is back",
  async () => {
    await using stack = new AsyncDisposableStack();
    const { path } = stack.use(await temporaryFolder());
    const data = join(path, "data");
    const site = await (async () => {
      await using stack = new AsyncDisposableStack();
      const disk = stack.use(await imageDisk(data));
      const site = stack.use(await cloud(path));
      await enrol(site, "fog-1");
      // as after an I/O error: the kernel lets nobody write any more, whatever files are open
      await disk.remount("abort");
      await assert.rejects(enrol(site, "fog-2"), { code: "db_io", hint: /check the disk/ });
      assert.deepEqual(await idsAt(site), ["fog-1"]);
      assert.deepEqual(await health(site), {
        status: 200,
        database:
          "[~]database degraded: Cannot use the database: the disk does not take or give data",
      });
      return site;
    })();
    stack.use(await imageDisk(data));
    stack.use(site);
    await site.start();
    assert.deepEqual(await idsAt(site), ["fog-1"]);
    await enrol(site, "fog-2");
    await site.stop();
  },
);

diskTest("the keys of a site are as before when a full disk does not take new ones", async () => {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryFolder());
  const data = join(path, "data");
  const disk = stack.use(await memoryDisk(data, "1m"));
  const suite = nativeSuite();
  const { sealingKey } = openIdentity(suite, data);
  const before = await Deno.readTextFile(join(data, "identity.key"));
  const rotate = () => sealingKey.add(new Secret(suite.randomBytes(32)));
  await disk.fill();
  assert.throws(rotate, { code: "data_dir_unwritable" });
  assert.deepEqual(sealingKey.versions, [1]);
  await disk.free();
  assert.equal(await Deno.readTextFile(join(data, "identity.key")), before);
  assert.deepEqual(Array.from(Deno.readDirSync(data), ({ name }) => name), ["identity.key"]);
  rotate();
  assert.deepEqual(openIdentity(suite, data).sealingKey.versions, [1, 2]);
});

diskTest("a site does not start on a disk that is read-only, and says what is wrong", async () => {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryFolder());
  const disk = stack.use(await memoryDisk(join(path, "data"), "4m"));
  const site = stack.use(await cloud(path));
  await enrol(site, "fog-1");
  await site.stop();
  await disk.remount("ro");
  const { code, stderr } = await run(["run", "-c", join(path, "site.toml")]);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /^edgeward: error: Cannot .*data/m);
  assert.match(stderr, /^edgeward: hint: .*data_dir must be writable/m);
  await disk.remount("rw");
  await site.start();
  assert.deepEqual(await idsAt(site), ["fog-1"]);
  await site.stop();
});
