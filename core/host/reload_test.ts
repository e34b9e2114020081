/** A site that gets a new configuration while it runs. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { ask, fake, fakeConfig, startFakes, temporaryFolder } from "./_fakes.ts";
import type { Host } from "./plugin.ts";
import { startSite } from "./site.ts";

/** Notes when roles start and stop. */
function noting(seen: string[], name: string) {
  return fake(name, ({ defer }: Host) => {
    seen.push(`start ${name}`);
    defer(() => void seen.push(`stop ${name}`));
  });
}

Deno.test("reload() stops what is gone, starts what is new and leaves the rest alone", async () => {
  await using folder = await temporaryFolder();
  const options = { folder: folder.path };
  const seen: string[] = [];
  const [a, b, c] = ["a", "b", "c"].map((name) => noting(seen, name)) as [
    ...[ReturnType<typeof fake>, ReturnType<typeof fake>, ReturnType<typeof fake>],
  ];
  await using site = await startFakes([a, b], options);
  assert.deepEqual(await site.reload(await fakeConfig([a, b], options)), {
    ...{ started: [], restarted: [], stopped: [], failed: {}, waiting: [] },
  });
  const next = await fakeConfig([b, c], { ...options, keys: { b: `key = "new"` } });
  assert.deepEqual(await site.reload(next), {
    ...{ started: ["c"], restarted: ["b"], stopped: ["a"], failed: {}, waiting: [] },
  });
  assert.deepEqual(seen, ["start a", "start b", "stop b", "stop a", "start b", "start c"]);
  assert.equal((await ask(site, "/readyz?verbose")).text, "[+]b ok\n[+]c ok\nok\n");
});

Deno.test("reload() goes on with a role's old table when the new one does not start", async () => {
  await using folder = await temporaryFolder();
  const options = { folder: folder.path };
  const tables: (string | undefined)[] = [];
  const picky = {
    ...fake("picky"),
    start(_host: Host, { key }: { key?: string }) {
      if (key === "bad") throw new Error("the key does not fit");
      tables.push(key);
    },
  };
  const start = await fakeConfig([picky], { ...options, keys: { picky: `key = "good"` } });
  await using site = await startSite(start, { version: "1.2.3" });
  const bad = await fakeConfig([picky], { ...options, keys: { picky: `key = "bad"` } });
  const { failed, restarted } = await site.reload(bad);
  assert.deepEqual([failed, restarted], [{ picky: "the key does not fit" }, []]);
  assert.deepEqual(tables, ["good", "good"]);
  const trouble = "[~]configuration degraded: picky goes on as before: the key does not fit\n";
  assert.equal((await ask(site, "/readyz?verbose")).text, `[+]picky ok\n${trouble}ok\n`);
  await site.reload(start);
  assert.equal((await ask(site, "/readyz?verbose")).text, "[+]picky ok\nok\n");
});

Deno.test("reload() leaves a role out that does not start, until it starts or is not wanted", async () => {
  await using folder = await temporaryFolder();
  const options = { folder: folder.path };
  let broken = true;
  const picky = fake("picky", () => {
    if (broken) throw new Error("the well is dry");
  });
  const other = fake("other");
  await using site = await startFakes([other], options);
  const both = await fakeConfig([other, picky], options);
  const state = async () => (await ask(site, "/readyz?verbose")).text;
  const failed = "[+]other ok\n[-]picky failed: the well is dry\nnot ready\n";
  assert.deepEqual((await site.reload(both)).failed, { picky: "the well is dry" });
  assert.equal(await state(), failed);
  await site.reload(await fakeConfig([other], options));
  assert.equal(await state(), "[+]other ok\nok\n");
  await site.reload(both);
  assert.equal(await state(), failed);
  broken = false;
  assert.deepEqual((await site.reload(both)).started, ["picky"]);
  assert.equal(await state(), "[+]other ok\n[+]picky ok\nok\n");
});

Deno.test("reload() names what only a restart can change, and does not touch it", async () => {
  await using folder = await temporaryFolder();
  const serving = fake("serving", (host) => {
    host.http.mount(new Hono().get("/it", (c) => c.text("here")));
  }, { needs: ["http"] });
  await using site = await startFakes([serving], { folder: folder.path });
  const { port } = site.http!;
  const next = await fakeConfig([serving], { folder: folder.path, ports: { http: 1, admin: 2 } });
  const { waiting } = await site.reload(next);
  assert.deepEqual(waiting, ["http.listen", "admin.listen"]);
  assert.equal(site.http!.port, port);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/serving/it`)).text(), "here");
});

Deno.test("reload() opens the public listener when the first role needs it", async () => {
  await using folder = await temporaryFolder();
  const options = { folder: folder.path };
  const quiet = fake("quiet");
  const serving = fake("serving", (host) => {
    host.http.mount(new Hono().get("/it", (c) => c.text("here")));
  }, { needs: ["http"] });
  await using site = await startFakes([quiet], options);
  assert.equal(site.http, undefined);
  await site.reload(await fakeConfig([quiet, serving], options));
  assert.equal(
    await (await fetch(`http://127.0.0.1:${site.http!.port}/serving/it`)).text(),
    "here",
  );
  await site.reload(await fakeConfig([quiet], options));
  const gone = await fetch(`http://127.0.0.1:${site.http!.port}/serving/it`);
  assert.equal((await gone.json()).code, "not_found");
});

Deno.test("reload() waits for its predecessor, and the end of the site for both", async () => {
  await using folder = await temporaryFolder();
  const options = { folder: folder.path };
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const slow = fake("slow", async ({ defer }) => {
    seen.push("start slow");
    defer(() => void seen.push("stop slow"));
    await gate.promise;
  });
  const quick = noting(seen, "quick");
  const site = await startFakes([quick], options);
  const changes = [
    site.reload(await fakeConfig([quick, slow], options)),
    site.reload(await fakeConfig([slow], options)),
  ];
  const end = site[Symbol.asyncDispose]();
  gate.resolve();
  await Promise.all([...changes, end]);
  assert.deepEqual(seen, ["start quick", "start slow", "stop quick", "stop slow"]);
});
