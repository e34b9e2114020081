/** The doors of a role: its routes on the public listener and on the admin socket, and its sessions. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import type { Id } from "../base/id.ts";
import { utf8 } from "../base/bytes.ts";
import { actorOf, type Guarded } from "../services/access/mod.ts";
import { nativeSuite } from "../services/crypto_native.ts";
import { originOf } from "../services/http/mod.ts";
import { dial } from "../services/sessions/mod.ts";
import type { Purpose } from "../trust/session/hello.ts";
import { ask, fake, socketIn, startFakes, temporaryFolder } from "./_fakes.ts";

const suite = nativeSuite();
const log = { debug() {}, info() {}, warn() {}, error() {} };

const guarded = fake("guarded", ({ http, access }) => {
  const routes = new Hono<Guarded>();
  routes.get("/who", access.require("admin"), (c) => c.text(actorOf(c)));
  routes.get("/fails", access.require("viewer"), () => {
    throw new Error("with a secret in it");
  });
  http.mount(routes as unknown as Hono);
}, { needs: ["http"] });

Deno.test("the admin socket serves what roles mount, and asks for no token", async () => {
  await using folder = await temporaryFolder();
  await using site = await startFakes([guarded], { folder: folder.path });
  const socket = socketIn(folder.path);
  assert.deepEqual(await ask(socket, "/guarded/who"), { status: 200, text: "site" });
  for (const path of ["/guarded/nothing", "/other/who", "/guarded"]) {
    const { status, text } = await ask(socket, path);
    assert.deepEqual([status, JSON.parse(text).code], [404, "not_found"], path);
  }
  const { status, text } = await ask(socket, "/guarded/fails");
  assert.deepEqual([status, JSON.parse(text).code], [500, "internal"]);
  assert.ok(!text.includes("secret"));
  // neither the TCP side of the admin listener nor the public one lets anybody pass
  assert.equal((await ask(site, "/guarded/who")).status, 404);
  const answer = await ask({ ...site, admin: site.http! }, "/guarded/who", {
    headers: { "x-operator": "true" },
  });
  assert.equal(answer.status, 401);
});

Deno.test("the admin socket forgets the routes of a role that has stopped", async () => {
  await using folder = await temporaryFolder();
  const failing = fake("failing", ({ http }) => {
    http.mount(new Hono().get("/", (c) => c.text("half started")));
    throw new Error("it does not start");
  }, { needs: ["http"] });
  await assert.rejects(startFakes([failing], { folder: folder.path }), /does not start/);
  await using _site = await startFakes([guarded], { folder: folder.path });
  assert.equal((await ask(socketIn(folder.path), "/failing/")).status, 404);
});

Deno.test("two purposes of one role share its session path", async () => {
  await using folder = await temporaryFolder();
  const role = fake("gateway", async ({ sessions }) => {
    for (const purpose of ["unlock", "share"] as const) {
      await sessions.serve(purpose, (call) => Promise.resolve(utf8(`${purpose} ${call.length}`)));
    }
    assert.equal(await sessions.standing("share", "gw-2" as Id), null);
  }, { needs: ["http", "sessions"] });
  await using site = await startFakes([role], { folder: folder.path });
  const call = async (purpose: Purpose, kind: "device" | "gateway", id: string) => {
    const enrolment = await site.enrol(kind, id, { ttl: 60_000 });
    await using channel = dial(enrolment, {
      ...{ suite, purpose, log, device: id as Id },
      staticKey: suite.x25519.keyPair(),
      signKey: suite.ed25519.signer().publicKey,
    });
    const texts = [];
    for (const length of [1, 2]) {
      texts.push(new TextDecoder().decode(await channel.call(new Uint8Array(length))));
    }
    return texts;
  };
  const [device, gateway] = await Promise.all([
    call("unlock", "device", "d-1"),
    call("share", "gateway", "gw-2"),
  ]);
  assert.deepEqual(device, ["unlock 1", "unlock 2"]);
  assert.deepEqual(gateway, ["share 1", "share 2"]);
});

Deno.test("sessions tell a role how a peer stands", async () => {
  await using folder = await temporaryFolder();
  const standings: (string | null)[] = [];
  const role = fake("gateway", async ({ sessions }) => {
    standings.push(await sessions.standing("unlock", "d-1" as Id));
  }, { needs: ["http", "sessions"] });
  const options = { folder: folder.path };
  {
    await using site = await startFakes([role], options);
    await site.enrol("device", "d-1", { ttl: 60_000 });
  }
  {
    await using _site = await startFakes([role], options);
    const revoked = await ask(socketIn(folder.path), "/peers/device/d-1/revoke", {
      method: "POST",
    });
    assert.equal(revoked.status, 200, revoked.text);
  }
  await using _site = await startFakes([role], options);
  assert.deepEqual(standings, [null, "enrolled", "revoked"]);
});

Deno.test("a role hears whether somebody could read a request on its way", async () => {
  await using folder = await temporaryFolder();
  const role = fake("curious", ({ http }) => {
    http.mount(new Hono().get("/x", (c) => c.json(originOf(c))));
  }, { needs: ["http"] });
  await using site = await startFakes([role], { folder: folder.path });
  const origin = async (headers: Record<string, string>) =>
    JSON.parse((await ask({ ...site, admin: site.http! }, "/curious/x", { headers })).text);
  assert.deepEqual(await origin({}), { client: "127.0.0.1", isPrivate: true });
  // a proxy on this machine that nobody trusts may bring anybody
  assert.equal((await origin({ "x-forwarded-for": "192.0.2.1" })).isPrivate, false);
  assert.equal((await origin({ "x-forwarded-proto": "https" })).isPrivate, false);
  assert.equal((await origin({ "forwarded": "for=192.0.2.1" })).isPrivate, false);
  // no route serves an environment that a request has made up
  assert.equal(originOf({ env: undefined } as never), null);
});
