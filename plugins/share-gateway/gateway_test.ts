/**
 * A whole site with this role: devices in real sessions over HTTP and MQTT, an operator at the admin
 * socket. Only the group is made by hand.
 */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { equalBytes, toBase64, toHex } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { parseConfig } from "../../core/host/config/mod.ts";
import { type AnyPlugin, definePlugin } from "../../core/host/plugin.ts";
import { type Site, socketPath, startSite } from "../../core/host/site.ts";
import { type Channel, dial } from "../../core/services/sessions/mod.ts";
import type { Signer } from "../../core/trust/crypto.ts";
import type { Event } from "../../core/wire/event.ts";
import {
  decodeRosters,
  decodeUnlockReply,
  encodeUnlockCall,
  type UnlockReply,
  type UnlockRequest,
} from "../../core/wire/unlock.ts";
import { openGateway } from "./gateway.ts";
import plugin from "./mod.ts";
import { wrapper } from "./wrapping.ts";
import {
  boot,
  depositing,
  device,
  fetching,
  log,
  opening,
  outcomeOf,
  reportOf,
  suite,
  TestGroup,
  volume,
} from "./_test_unlock.ts";

interface TestSite extends AsyncDisposable {
  readonly site: Site;
  readonly events: Event[];
  /** By the socket, as this machine's operator. */
  ask(path: string, method?: string): Promise<{ status: number; json: Record<string, unknown> }>;
  /** At the public listener. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  enrol(options?: { over: "http" | "mqtt"; signer?: Signer }): Promise<Channel>;
}

async function openSite({ table = "", role }: { table?: string; role?: AnyPlugin } = {}) {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  await Deno.writeTextFile(join(folder, "kiosk-7.secret"), "shared by both of them");
  const events: Event[] = [];
  const tested = role ?? definePlugin({
    ...plugin,
    async start(host, config) {
      host.defer(host.bus.listen((event) => events.push(event)));
      const { routes } = await openGateway(host, config, {
        group: new TestGroup(),
        lock: wrapper(suite, null),
      });
      host.http.mount(routes);
    },
  });
  const text = `
    site = "gw-1"
    data_dir = "data"
    http.listen = "127.0.0.1:0"
    admin.listen = "127.0.0.1:0"
    mqtt.listen = "127.0.0.1:0"
    [plugins.share-gateway]
    rate = "100/s"
    ${table}`;
  const registry = { "share-gateway": () => Promise.resolve({ default: tested }) };
  const config = await parseConfig(text, { file: "site.toml", dir: folder, registry });
  const site = stack.use(await startSite(config, { version: "0" }));
  const kept = stack.move();
  const origin = `http://127.0.0.1:${site.http!.port}`;
  return {
    ...{ site, events },
    async ask(path, method = "GET") {
      using client = Deno.createHttpClient({
        proxy: { transport: "unix", path: socketPath(join(folder, "data")) },
      });
      const response = await fetch(`http://edgeward${path}`, { client, method });
      return { status: response.status, json: await response.json() };
    },
    async fetch(path, init = {}) {
      using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
      const response = await fetch(`${origin}${path}`, { ...init, client });
      return new Response(
        await response.arrayBuffer().then((bytes) => bytes.byteLength ? bytes : null),
        response,
      );
    },
    async enrol({ over, signer = suite.ed25519.signer() } = { over: "http" }) {
      const enrolment = await site.enrol("device", device, { ttl: 60_000 });
      const remote = over === "http" ? { ...enrolment, url: origin } : enrolment;
      assert.equal(new URL(remote.url).protocol, `${over}:`);
      return dial(remote, {
        ...{ suite, device, purpose: "unlock", log },
        staticKey: suite.x25519.keyPair(),
        signKey: signer.publicKey,
      });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  } satisfies TestSite;
}

const unlock = async (channel: Channel, request: UnlockRequest): Promise<UnlockReply> =>
  decodeUnlockReply(await channel.call(encodeUnlockCall({ call: "unlock", ...request })));

for (const over of ["http", "mqtt"] as const) {
  Deno.test(`a device seals, opens and reports over ${over}`, async () => {
    await using test = await openSite();
    const signer = suite.ed25519.signer();
    await using channel = await test.enrol({ over, signer });
    const [rosters, seal, open] = [
      decodeRosters(await channel.call(encodeUnlockCall({ call: "rosters", after: 2 }))),
      await unlock(channel, opening({ seal: true, proof: true })),
      await unlock(channel, opening()),
    ];
    assert.deepEqual(rosters, [Uint8Array.of(3)]);
    assert.ok("answer" in seal && "answer" in open);
    assert.ok(equalBytes(seal.answer, open.answer));
    assert.deepEqual([seal.proof?.length, open.proof], [64, null]);
    const deposit = depositing({ volume: new Uint8Array(16) });
    const kept = await channel.call(encodeUnlockCall({ call: "deposit", ...deposit }));
    assert.equal(kept.length, 0);
    const piece = await unlock(channel, fetching({ volume: deposit.volume }));
    assert.ok("answer" in piece && equalBytes(piece.answer, deposit.piece));
    const statement = reportOf({ t: Date.now() }, signer);
    assert.equal((await channel.call(encodeUnlockCall({ call: "report", statement }))).length, 0);
    const { json } = await test.ask("/share-gateway/releases");
    const releases = json["releases"] as { volume: string; outcome: string | null }[];
    assert.deepEqual(releases.map(({ volume, outcome }) => [volume.slice(0, 4), outcome]), [
      ...[["0000", null], [toHex(volume).slice(0, 4), "mount_ok"]],
    ]);
    const types = test.events.map(({ type }) => type).filter((type) => type.startsWith("unlock"));
    assert.deepEqual(types, [...Array(3).fill("unlock.released"), "unlock.mount_ok"]);
  });
}

Deno.test("what is no call of ours is refused, and a denial comes as an answer", async () => {
  await using test = await openSite();
  await using channel = await test.enrol();
  for (const body of [new Uint8Array(), new Uint8Array(100), Uint8Array.of(0xa0)]) {
    await assert.rejects(channel.call(body), { code: "malformed" });
  }
  assert.equal(outcomeOf(await unlock(channel, fetching())), "volume_unknown");
  const report = encodeUnlockCall({ call: "report", statement: reportOf() });
  await assert.rejects(channel.call(report), { code: "wrong_key" });
});

Deno.test("revoking a device bites between two of its requests, and ends what it has asked", async () => {
  await using test = await openSite({ table: "approval = true" });
  await using channel = await test.enrol();
  const reply = await unlock(channel, opening());
  assert.ok("denied" in reply && reply.denied === "pending");
  const listed = await test.ask("/share-gateway/requests");
  assert.equal((listed.json["requests"] as unknown[]).length, 1);
  const approved = await test.ask(`/share-gateway/requests/${reply.request}/approve`, "POST");
  assert.deepEqual([approved.status, approved.json["decided_by"]], [200, "site"]);
  assert.equal(outcomeOf(await unlock(channel, opening())), "released");
  assert.equal((await test.ask(`/peers/device/${device}/revoke`, "POST")).status, 200);
  const call = encodeUnlockCall({ call: "unlock", ...opening() });
  await assert.rejects(channel.call(call, { within: 2_000 }));
  assert.equal(test.events.filter(({ type }) => type === "unlock.released").length, 1);
  for (const until = Date.now() + 10_000; Date.now() < until;) {
    const { json } = await test.ask("/share-gateway/requests");
    if ((json["requests"] as unknown[]).length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("Its requests are still there");
});

Deno.test("administration takes a token at the public listener, and none at the socket", async () => {
  await using test = await openSite();
  for (const path of ["status", "requests", "devices", "volumes", "releases"]) {
    const response = await test.fetch(`/share-gateway/${path}`);
    assert.deepEqual([response.status, (await response.json()).code], [401, "token_required"]);
    assert.equal((await test.ask(`/share-gateway/${path}`)).status, 200, path);
  }
  const clear = await test.fetch(`/share-gateway/devices/${device}/clear`, { method: "POST" });
  assert.equal(clear.status, 401);
});

Deno.test("faces answer at their paths where they are on, and are not there otherwise", async () => {
  const authorize = (later = 0) => {
    const ts = Math.floor(Date.now() / 1_000) + later;
    const hmac = createHmac("sha256", "shared by both of them").update(`${device}|${ts}`);
    const body = JSON.stringify({ dev_id: device, ts, sig: hmac.digest("hex") });
    return { method: "POST", body };
  };
  await using off = await openSite();
  for (const path of ["/authorize", "/event", "/status", "/fragment"]) {
    for (const init of [{}, authorize()]) {
      const response = await off.fetch(path, init);
      assert.deepEqual([response.status, (await response.json()).code], [404, "not_found"], path);
    }
  }
  const face = `{ secret_file = "kiosk-7.secret", volume = "${toHex(volume)}" }`;
  await using on = await openSite({
    table: `faces = { authorize = true, devices = { ${device} = ${face} } }`,
  });
  await using channel = await on.enrol();
  const deposit = depositing({ boot: boot(1) });
  await channel.call(encodeUnlockCall({ call: "deposit", ...deposit }));
  const response = await on.fetch("/authorize", authorize());
  assert.deepEqual([response.status, (await response.json()).share], [
    ...[200, toBase64(deposit.piece)],
  ]);
  assert.deepEqual(await (await on.fetch("/status")).json(), { status: "active" });
  assert.equal((await on.fetch("/fragment")).status, 404);
  const huge = await on.fetch("/authorize", { method: "POST", body: "x".repeat(5_000) });
  assert.equal(huge.status, 413);
  const proxied = await on.fetch("/authorize", {
    ...authorize(),
    headers: { "x-forwarded-for": "192.0.2.1" },
  });
  assert.deepEqual([proxied.status, (await proxied.json()).code], [403, "insecure"]);
  // a device that was revoked as a peer has lost its face, too
  assert.equal((await on.ask(`/peers/device/${device}/revoke`, "POST")).status, 200);
  const revoked = await on.fetch("/authorize", authorize(9));
  assert.deepEqual([revoked.status, (await revoked.json()).code], [403, "revoked"]);
});

Deno.test("the role itself starts without a group, says so, and serves both kinds of sessions", async () => {
  await using test = await openSite({ role: plugin });
  const { parts } = (await test.ask("/site")).json as {
    parts: { part: string; state: string; detail: string }[];
  };
  const own = parts.find(({ part }) => part === "share-gateway");
  assert.deepEqual([own!.state, own!.detail], ["degraded", "no group: edgeward share init"]);
  assert.equal((await test.ask("/share-gateway/status")).json["group"], null);
  assert.equal((await test.ask("/share-gateway/group")).status, 200);
  await using channel = await test.enrol();
  assert.equal(outcomeOf(await unlock(channel, opening())), "no_share");
  assert.equal(parseId("gw-1"), test.site.name);
});
