/**
 * The life of a site with roles made up for it: what starts when, what a failure undoes, what is retried,
 * and that two sites in one process have nothing to do with each other.
 */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { ask, eventually, fake, isFree, socketIn, startFakes, temporaryFolder } from "./_fakes.ts";
import { type Host, Unavailable } from "./plugin.ts";
import type { Site } from "./site.ts";

Deno.test("startSite() starts roles by `after` and undoes all in reverse, once", async () => {
  await using folder = await temporaryFolder();
  const seen: string[] = [];
  const noting = (name: string) => ({ defer, signal }: Host) => {
    seen.push(`start ${name}`);
    defer(() => void seen.push(`first of ${name}${signal.aborted ? " aborted" : ""}`));
    defer(async () => void seen.push(await Promise.resolve(`second of ${name}`)));
  };
  const site = await startFakes([
    fake("roof", noting("roof"), { after: ["walls"] }),
    fake("walls", noting("walls")),
    fake("garden", noting("garden")),
  ], { folder: folder.path });
  assert.deepEqual(seen, ["start walls", "start roof", "start garden"]);
  await Promise.all([site[Symbol.asyncDispose](), site[Symbol.asyncDispose]()]);
  await site[Symbol.asyncDispose]();
  assert.deepEqual(seen.slice(3), [
    "second of garden",
    "first of garden aborted",
    "second of roof",
    "first of roof aborted",
    "second of walls",
    "first of walls aborted",
  ]);
  assert.ok(isFree(site.admin.port));
});

Deno.test("startSite() tells how its roles are", async () => {
  await using folder = await temporaryFolder();
  const reporting: Host[] = [];
  await using site = await startFakes([
    fake("silent"),
    fake("outspoken", (host) => {
      reporting.push(host);
      host.report("degraded", "half asleep");
    }),
  ], { folder: folder.path });
  assert.deepEqual(await ask(site, "/livez"), { status: 200, text: "ok\n" });
  assert.deepEqual(await ask(site, "/readyz"), { status: 200, text: "ok\n" });
  const verbose = "[+]silent ok\n[~]outspoken degraded: half asleep\nok\n";
  assert.deepEqual(await ask(site, "/readyz?verbose"), { status: 200, text: verbose });
  reporting[0]!.report("failed", "fast asleep");
  assert.deepEqual(await ask(site, "/readyz"), { status: 503, text: "not ready\n" });
  assert.match((await ask(site, "/metrics")).text, /^edgeward_up\{role="host"\} 1$/m);
  const { started, ...status } = JSON.parse((await ask(site, "/site")).text);
  assert.ok(Number.isSafeInteger(started));
  assert.deepEqual(status, {
    site: "site-1",
    version: "1.2.3",
    ready: false,
    http: null,
    admin: { ...site.admin },
    broker: null,
    database: null,
    log: null,
    peers: null,
    parts: [
      { part: "silent", state: "ok", detail: "" },
      { part: "outspoken", state: "failed", detail: "fast asleep" },
    ],
  });
});

Deno.test("startSite() gives a site that is not ready any more while it stops", async () => {
  await using folder = await temporaryFolder();
  const seen: string[] = [];
  const site = await startFakes([
    fake("slow", ({ defer }) => {
      defer(async () => void seen.push((await ask(site, "/readyz")).text));
    }),
  ], { folder: folder.path });
  assert.deepEqual(await ask(site, "/readyz"), { status: 200, text: "ok\n" });
  await site[Symbol.asyncDispose]();
  assert.deepEqual(seen, ["not ready\n"]);
});

Deno.test("startSite() tries a role again that is unavailable, while the others run", async () => {
  await using folder = await temporaryFolder();
  let attempts = 0;
  const undone: number[] = [];
  const patient = fake("patient", ({ defer }) => {
    const attempt = ++attempts;
    defer(() => void undone.push(attempt));
    if (attempt < 2) throw new Unavailable("the well is dry");
  });
  const site = await startFakes([patient, fake("other")], { folder: folder.path });
  const waiting = "[~]patient degraded: waiting: the well is dry\n[+]other ok\nok\n";
  assert.deepEqual(await ask(site, "/readyz?verbose"), { status: 200, text: waiting });
  assert.deepEqual(undone, [1]);
  await eventually("the role starts", async () => {
    return (await ask(site, "/readyz?verbose")).text.startsWith("[+]patient ok\n");
  });
  assert.equal(attempts, 2);
  await site[Symbol.asyncDispose]();
  assert.deepEqual(undone, [1, 2]);
});

Deno.test("startSite() gives a role up that fails when it is tried again", async () => {
  await using folder = await temporaryFolder();
  const failures = [new Unavailable("the well is dry"), new Error("the well is gone")];
  const hopeless = fake("hopeless", () => {
    throw failures.shift() ?? new Error("it was tried once more");
  });
  await using site = await startFakes([hopeless, fake("other")], { folder: folder.path });
  await eventually("the role has failed", async () => {
    return (await ask(site, "/readyz?verbose")).text.startsWith("[-]hopeless failed");
  });
  assert.deepEqual(await ask(site, "/readyz?verbose"), {
    status: 503,
    text: "[-]hopeless failed: the well is gone\n[+]other ok\nnot ready\n",
  });
});

Deno.test("startSite() can be stopped while a role waits for its next attempt", async () => {
  await using folder = await temporaryFolder();
  let attempts = 0;
  const never = fake("never", () => {
    attempts++;
    throw new Unavailable("not today");
  });
  const site = await startFakes([never], { folder: folder.path });
  await site[Symbol.asyncDispose]();
  assert.equal(attempts, 1);
});

Deno.test("startSite() closes everything again when a role fails, and says why", async () => {
  await using folder = await temporaryFolder();
  const [http, admin] = [freePort(), freePort()];
  const undone: string[] = [];
  const works = fake("works", async (host) => {
    host.defer(() => void undone.push("works"));
    host.http.mount(new Hono());
    await host.db.read((db) => Promise.resolve(db));
    assert.ok(host.mqtt.connected);
  }, { needs: ["http", "db", "mqtt", "sessions"] });
  const fails = fake("fails", ({ defer }) => {
    defer(() => void undone.push("fails"));
    throw new TypeError("a fault of the role");
  });
  const unreached = fake("unreached", () => void undone.push("never"));
  const options = { folder: folder.path, ports: { http, admin } };
  const started = startFakes([works, fails, unreached], options);
  await assert.rejects(started, { name: "TypeError", message: "a fault of the role" });
  assert.deepEqual(undone, ["fails", "works"]);
  for (const port of [http, admin]) assert.ok(isFree(port), `port ${port} is still taken`);
  // nothing of it is in the way of the next start
  await using again = await startFakes([works], options);
  assert.equal(again.http?.port, http);
});

Deno.test("startSite() aborts the signal of its roles when its start fails", async () => {
  await using folder = await temporaryFolder();
  let abortedFirst: boolean | undefined;
  const loops = fake("loops", ({ signal, defer }) => {
    defer(() => void (abortedFirst = signal.aborted));
  });
  const fails = fake("fails", () => {
    throw new Error("no");
  });
  await assert.rejects(startFakes([loops, fails], { folder: folder.path }), { message: "no" });
  assert.equal(abortedFirst, true);
});

Deno.test("startSite() opens the public listener after every role, and undoes all if it cannot", async () => {
  await using folder = await temporaryFolder();
  using busy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const undone: string[] = [];
  const serves = fake("serves", ({ http, defer }) => {
    http.mount(new Hono().get("/thing", (c) => c.text("here")));
    defer(() => void undone.push("serves"));
  }, { needs: ["http"] });
  const ports = { http: busy.addr.port, admin: freePort() };
  const started = startFakes([serves], { folder: folder.path, ports });
  await assert.rejects(started, { code: "port_busy" });
  assert.deepEqual(undone, ["serves"]);
  assert.ok(isFree(ports.admin));

  const listening: boolean[] = [];
  const port = freePort();
  const late = fake("late", async () => {
    await Promise.resolve();
    listening.push(!isFree(port));
  });
  const options = { folder: folder.path, ports: { http: port } };
  await using site = await startFakes([serves, late], options);
  assert.deepEqual(listening, [false]);
  assert.equal(await get(site, "/serves/thing"), "here");
});

Deno.test("startSite() opens no public listener when no role asks for it", async () => {
  await using folder = await temporaryFolder();
  await using site = await startFakes([fake("quiet")], { folder: folder.path });
  assert.equal(site.http, undefined);
});

Deno.test("startSite() runs two sites in one process that share nothing", async () => {
  await using folder = await temporaryFolder();
  const heard: string[] = [];
  const roleOf = (site: string) =>
    fake("talks", async ({ bus, metrics, db, defer }) => {
      defer(bus.listen(({ subject, seq }) => void heard.push(`${site} hears ${subject} ${seq}`)));
      metrics.counter("talks_total", "Talks").add(site === "one" ? 1 : 2);
      await db.write(async (tx) => void await tx.run(`CREATE TABLE talks_${site} (x)`));
      bus.emit({ type: "policy.changed", severity: "info", subject: site, detail: {} });
    }, { needs: ["db"] });
  const { path } = folder;
  const one = await startFakes([roleOf("one")], { site: "one", folder: path });
  const two = await startFakes([roleOf("two")], { site: "two", folder: path });
  assert.deepEqual(heard, ["one hears one 1", "two hears two 1"]);
  assert.match((await ask(one, "/metrics")).text, /^talks_total\{role="talks"\} 1$/m);
  assert.match((await ask(two, "/metrics")).text, /^talks_total\{role="talks"\} 2$/m);
  assert.notDeepEqual(await enrolledAt(one), await enrolledAt(two));
  await one[Symbol.asyncDispose]();
  assert.equal((await ask(two, "/readyz")).status, 200);
  await two[Symbol.asyncDispose]();
});

Deno.test("startSite() keeps a second site out of its data directory", async () => {
  await using folder = await temporaryFolder();
  const { path } = folder;
  const site = await startFakes([fake("first")], { folder: path });
  await assert.rejects(startFakes([fake("second")], { folder: path }), { code: "data_dir_busy" });
  assert.equal((await ask(site, "/readyz")).status, 200);
  await site[Symbol.asyncDispose]();
  // what a crash leaves behind is no obstacle
  using _stale = Deno.listen({ transport: "unix", path: `${path}/crashed.sock` });
  await Deno.rename(`${path}/crashed.sock`, socketIn(path).socket);
  _stale.close();
  await using _again = await startFakes([fake("third")], { folder: path });
});

Deno.test("a site enrols peers over its unix socket only, which is its operator's own", async () => {
  await using folder = await temporaryFolder();
  await using site = await startFakes([fake("quiet")], { folder: folder.path });
  const socket = socketIn(folder.path);
  assert.equal((await Deno.stat(socket.socket)).mode! & 0o777, 0o600);
  const enrol = (body: string) => ({ method: "POST", body });
  const good = JSON.stringify({ kind: "meter", id: "m-1", ttl: 60_000 });
  assert.equal((await ask(site, "/enrol", enrol(good))).status, 404);
  const { status, text } = await ask(socket, "/enrol", enrol(good));
  assert.equal(status, 201);
  assert.deepEqual(Object.keys(JSON.parse(text)), ["code", "site", "url", "noise_key", "expires"]);
  for (
    const body of ["{}", `{"kind":"toaster","id":"t","ttl":1}`, `{"kind":"meter","id":"m","ttl":0}`]
  ) {
    assert.equal((await ask(socket, "/enrol", enrol(body))).status, 400, body);
  }
  assert.equal((await ask(socket, "/livez")).status, 200);
  assert.equal((await ask(site, "/nothing")).status, 404);
});

Deno.test("a site answers what is no JSON on its unix socket with a problem", async () => {
  await using folder = await temporaryFolder();
  await using _site = await startFakes([fake("quiet")], { folder: folder.path });
  const answer = await ask(socketIn(folder.path), "/enrol", { method: "POST", body: "no JSON" });
  assert.equal(answer.status, 400);
});

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function get(site: Site, path: string): Promise<string> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  return await (await fetch(`http://127.0.0.1:${site.http!.port}${path}`, { client })).text();
}

async function enrolledAt(site: Site) {
  const { noiseKey } = await site.enrol("meter", "m-1", { ttl: 1_000 });
  return noiseKey;
}
