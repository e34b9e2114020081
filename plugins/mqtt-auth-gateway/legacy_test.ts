/** Profile v1 through a whole site: psk, connect, approval, calls both ways, restarts, and its end. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { fromBase64url, toBase64url, toHex } from "../../core/base/bytes.ts";
import { type Cbor, decodeCbor } from "../../core/trust/cbor.ts";
import { openGateway, suite, type TestGateway, until } from "./_test_gateway.ts";
import { connectTopic, enterPsk, messageTopic, openV1Device, V1Device } from "./_test_v1.ts";

const v1 = 'profiles = ["v2", "v1"]';

const stateOf = async (gateway: TestGateway, id: string) =>
  (await gateway.ask(`/devices/${id}`)).body.state;

const dropped = (gateway: TestGateway, reason: string) =>
  gateway.counted("edgeward_rpc_v1_dropped_total", `reason="${reason}"`);

/** Waits until something has been dropped for a reason, so many times. */
const isDropped = (gateway: TestGateway, reason: string, times = 1) =>
  until(`${reason} is counted`, async () => await dropped(gateway, reason) === times);

Deno.test("a device of v1 waits, is approved by a person, and calls: the prototype's whole flow", async () => {
  await using gateway = await openGateway(v1);
  const device = await V1Device.open(gateway, "esp-1", { psk: await enterPsk(gateway, "esp-1") });
  await device.connect();
  await until("it waits", async () => await stateOf(gateway, "esp-1") === "PENDING");
  const { fingerprint, proof } = (await gateway.ask("/devices/esp-1")).body;
  assert.equal(proof, "code");
  assert.equal(device.side.isApproved, false);
  await gateway.peers.approve("device", "esp-1", { fingerprint });
  await until("it has its keys", () => device.side.isApproved);
  assert.equal(await stateOf(gateway, "esp-1"), "APPROVED");

  assert.deepEqual(await device.call("echo", { a: 1 }), { a: 1 });
  const { state, profile, legacy } = (await gateway.ask("/devices/esp-1")).body;
  assert.deepEqual([state, profile, legacy], ["AUTHORIZED", "v1", true]);
  assert.equal(
    await device.call("telemetry.push", { values: { t: 21.5 } }).then(JSON.stringify),
    '{"stored":1}',
  );
  assert.equal(await device.call("relay.on"), "error not_allowed");
  gateway.advance(60_000);
  await until("it is silent", async () => await stateOf(gateway, "esp-1") === "OFFLINE");
  const { legacy: counted } = (await gateway.ask("/status")).body;
  assert.deepEqual(counted, { psks: 1, devices: 1 });
  assert.deepEqual(
    gateway.events.map(({ type }) => type).filter((t) => t !== "device.telemetry" as string),
    [
      ...["device.pending", "device.approved", "device.authorized", "device.offline"],
    ],
  );
});

Deno.test("an operator calls a device of v1 as any other", async () => {
  await using gateway = await openGateway(v1);
  const device = await openV1Device(gateway, "esp-1");
  const call = (body: unknown) =>
    gateway.ask("/devices/esp-1/call", { method: "POST", body: JSON.stringify(body) });
  await device.call("time");
  assert.deepEqual((await call({ method: "relay.on", params: { c: 1 } })).body, { result: "done" });
  assert.equal(device.asked[0]!.method, "relay.on");
  device.onCall = ({ id }) => ({ kind: "response", id, error: { code: 7, message: "no" } });
  assert.deepEqual((await call({ method: "a" })).body, { error: { code: 7, message: "no" } });
  device.onCall = () => null;
  const late = await call({ method: "a", within_ms: 100 });
  assert.deepEqual([late.status, late.body.code], [504, "no_answer"]);
  const once = await call({ method: "a", once: "0".repeat(32) });
  assert.deepEqual([once.status, once.body.code], [409, "once_unsupported"]);
});

Deno.test("weakness 22: a call to a device of v1 is repeated byte for byte until it is answered", async () => {
  await using gateway = await openGateway(v1);
  const device = await openV1Device(gateway, "esp-1");
  await device.call("time");
  const before = device.received.length;
  device.deaf = 1;
  const body = JSON.stringify({ method: "a", within_ms: 20_000 });
  const answer = await gateway.ask("/devices/esp-1/call", { method: "POST", body });
  assert.deepEqual(answer.body, { result: "done" });
  const [lost, repeated, ...more] = device.received.slice(before).map(toHex);
  assert.deepEqual([repeated, more], [lost, []]);
  assert.equal(device.asked.length, 1);
});

Deno.test("weakness 4: restarts of either side lose neither keys nor counters, and replay nothing", async () => {
  await using gateway = await openGateway(v1);
  const device = await openV1Device(gateway, "esp-1");
  const recorded = device.sealed("echo", ["once"]);
  await device.publish(messageTopic, recorded);
  await until("it is answered", () => device.hasAnswer("c-1"));
  assert.equal(await device.call("echo", { n: 2 }).then(JSON.stringify), '{"n":2}');
  await gateway.restart();
  const again = await V1Device.open(gateway, "esp-1", {
    psk: toBase64url(suite.randomBytes(16)),
    keyPair: device.keyPair,
  });
  // what was recorded before the restart is worth nothing after it
  await again.publish(messageTopic, recorded);
  await isDropped(gateway, "replayed");
  await again.publish(messageTopic, device.sealed("echo", [3]));
  await until("the device is heard", async () => await stateOf(gateway, "esp-1") === "AUTHORIZED");
  const { calls } = (await gateway.ask("/devices/esp-1")).body;
  assert.equal(calls.length, 3);
});

Deno.test("weakness 5: a message that comes twice is answered twice and runs once", async () => {
  await using gateway = await openGateway(v1);
  const device = await openV1Device(gateway, "esp-1");
  const bytes = device.sealed("echo", ["x"]);
  const before = device.received.length;
  for (let i = 1; i <= 3; i++) {
    await device.publish(messageTopic, bytes);
    await until("it is answered", () => device.received.length === before + i);
  }
  const [first, ...others] = device.received.slice(before).map(toHex);
  assert.deepEqual(others, [first, first]);
  assert.equal((await gateway.ask("/devices/esp-1")).body.calls.length, 1);
});

Deno.test("a device that has lost its keys connects again with its key, and needs no second approval", async () => {
  await using gateway = await openGateway(v1);
  const psk = await enterPsk(gateway, "esp-1");
  const first = await V1Device.open(gateway, "esp-1", { psk });
  await first.connect();
  await until("it waits", () => gateway.peers.waiting().length === 1);
  const { fingerprint } = (await gateway.ask("/devices/esp-1")).body;
  await gateway.peers.approve("device", "esp-1", { fingerprint });
  await until("it is approved", () => first.side.isApproved);
  await first.call("time");

  const rebooted = await V1Device.open(gateway, "esp-1", { psk, keyPair: first.keyPair });
  await rebooted.join();
  // the old keys work until the new ones are used: a recorded connect ends nothing
  await rebooted.publish(messageTopic, first.sealed("echo", [1]));
  assert.deepEqual(await rebooted.call("echo", [2]), [2]);
  await rebooted.publish(messageTopic, first.sealed("echo", [3]));
  await isDropped(gateway, "forged");
  assert.deepEqual(gateway.peers.waiting(), []);
});

Deno.test("weakness 8: connects that are repeated get the same approve, and push no keys out", async () => {
  await using gateway = await openGateway(v1);
  const device = await openV1Device(gateway, "esp-1");
  await device.call("time");
  const recorded = device.side.connect();
  const before = device.received.length;
  for (let i = 0; i < 12; i++) await device.publish(connectTopic, recorded);
  await until(
    "all are dealt with",
    async () => device.received.length - before + await dropped(gateway, "rate_limited") === 12,
  );
  assert.equal(new Set(device.received.slice(before).map(toHex)).size, 1);
  assert.ok(await dropped(gateway, "rate_limited") > 0);
  assert.deepEqual(await device.call("echo", ["still"]), ["still"]);
});

Deno.test("weakness 7: nobody without the psk gets as far as waiting, and the psk is a generated one", async () => {
  await using gateway = await openGateway(v1);
  const put = (body: unknown) =>
    gateway.ask("/devices/esp-1/psk", { method: "PUT", body: JSON.stringify(body) });
  for (
    const psk of ["hunter2", "", "x".repeat(22) + "!", 7, null, toBase64url(new Uint8Array(15))]
  ) {
    const { status, body } = await put({ psk });
    assert.deepEqual([status, body.code], [400, "weak_psk"], `${psk}`);
  }
  const psk = toBase64url(suite.randomBytes(16));
  const { body } = await put({ psk });
  assert.deepEqual(body, { id: "esp-1" }, "what was given is not shown");
  const wrong = await V1Device.open(gateway, "esp-1", { psk: toBase64url(suite.randomBytes(16)) });
  await wrong.connect();
  await isDropped(gateway, "unproven");
  const stranger = await V1Device.open(gateway, "esp-2", { psk });
  await stranger.connect();
  await isDropped(gateway, "stranger");
  assert.deepEqual(gateway.peers.waiting(), []);
  assert.deepEqual(gateway.events, []);
  assert.deepEqual([wrong.received, stranger.received], [[], []]);
});

Deno.test("a psk is an admin's business, is in the history without itself, and is sealed", async () => {
  await using gateway = await openGateway(v1);
  const psk = await enterPsk(gateway, "esp-1");
  const other = await enterPsk(gateway, "esp-1");
  assert.match(psk, /^[\w-]{22}$/);
  assert.notEqual(psk, other);
  const removed = await gateway.ask("/devices/esp-1/psk", { method: "DELETE" });
  assert.deepEqual(removed, { status: 200, body: { id: "esp-1" } });
  const gone = await gateway.ask("/devices/esp-1/psk", { method: "DELETE" });
  assert.deepEqual([gone.status, gone.body.code], [404, "device_unknown"]);
  await enterPsk(gateway, "esp-1", psk);
  const audit = await gateway.db.read((q) =>
    q.all<{ type: string; detail: string }>(sql`SELECT type, detail FROM audit
      WHERE subject = 'esp-1' ORDER BY id`)
  );
  assert.deepEqual(audit.map(({ type }) => type), [
    ...["device.psk_set", "device.psk_set", "device.psk_removed", "device.psk_set"],
  ]);
  assert.ok(audit.every(({ detail }) => detail === "{}"));
});

Deno.test("weakness 11: what is on disk gives away neither psks nor keys", async () => {
  await using gateway = await openGateway(v1);
  const psk = toBase64url(suite.randomBytes(16));
  const device = await openV1Device(gateway, "esp-1", psk);
  await device.call("time");
  const state = decodeCbor(device.side.reserve().state.reveal()) as Map<string, Cbor>;
  const { cipher, hmac: [hmac] } = Object.fromEntries(
    state.get("current") as Map<string, Cbor>,
  ) as {
    cipher: Uint8Array;
    hmac: Uint8Array[];
  };
  const secrets = [cipher, hmac!, fromBase64url(psk)];
  assert.deepEqual(secrets.map(({ length }) => length), [32, 32, 16]);
  const needles = secrets.map(toHex);
  await gateway.stopped(async () => {});
  for (const { name } of Deno.readDirSync(`${gateway.folder}/data`)) {
    if (!name.startsWith("edgeward.db")) continue;
    const hex = toHex(await Deno.readFile(`${gateway.folder}/data/${name}`));
    for (const needle of needles) assert.ok(!hex.includes(needle));
  }
});

Deno.test("a revoked device of v1 has lost its keys and its psk, also where the site stopped at that moment", async () => {
  await using gateway = await openGateway(v1);
  const [one, two] = [await openV1Device(gateway, "esp-1"), await openV1Device(gateway, "esp-2")];
  await one.call("time");
  await two.call("time");
  const secrets = () =>
    gateway.db.read((q) =>
      q.all<{ name: string }>(
        sql`SELECT name FROM secrets WHERE role = 'mqtt-auth-gateway' ORDER BY name`,
      )
    ).then((rows) => rows.map(({ name }) => name));
  assert.deepEqual(await secrets(), ["keys/esp-1", "keys/esp-2", "psk/esp-1", "psk/esp-2"]);
  await gateway.peers.revoke("device", "esp-1");
  await until("they are forgotten", async () => (await secrets()).length === 2);
  await one.publish(messageTopic, one.sealed("echo"));
  await one.connect();
  await isDropped(gateway, "stranger", 2);
  await gateway.stopped(async (execute) => {
    await execute("UPDATE peers SET state = 'revoked' WHERE id = 'esp-2'");
  });
  assert.deepEqual(await secrets(), []);
  assert.deepEqual((await gateway.ask("/status")).body.legacy.psks, 0);
});

Deno.test("a banned device of v1 is not heard, and goes on with its keys when the ban is lifted", async () => {
  await using gateway = await openGateway(v1);
  const device = await openV1Device(gateway, "esp-1");
  await device.call("time");
  await gateway.peers.ban("device", "esp-1", { key: true });
  // the embedded broker has sent it away: through another one it could still come
  const other = await gateway.connection("other");
  await other.publish(messageTopic, device.sealed("echo", ["unheard"]));
  await other.publish(connectTopic, device.side.connect());
  await isDropped(gateway, "not_approved", 2);
  assert.equal((await gateway.ask("/devices/esp-1")).body.calls.length, 1);
  await gateway.peers.unban("device", "esp-1");
  await until("it is back at the broker", () => device.isConnected);
  assert.deepEqual(await device.call("echo", [1]), [1]);
});

Deno.test("weakness 6: where the site says so, a message that was held back is refused", async () => {
  await using gateway = await openGateway(`${v1}\nv1_clock_skew = "5m"`);
  const device = await openV1Device(gateway, "esp-1");
  const held = device.sealed("echo", [1]);
  gateway.advance(5 * 60_000 + 2_000);
  await device.publish(messageTopic, held);
  await isDropped(gateway, "stale");
  gateway.advance(-4 * 60_000);
  assert.deepEqual(await device.call("echo", [2]), [2]);
});

Deno.test("keys of v1 have had their time after 30 days", async () => {
  await using gateway = await openGateway(v1);
  const device = await openV1Device(gateway, "esp-1");
  await device.call("time");
  gateway.advance(30 * 86_400_000 + 60_000);
  await device.publish(messageTopic, device.sealed("echo"));
  await isDropped(gateway, "no_keys");
  await gateway.restart(); // the first look at what is old
  await until("they are forgotten", async () => {
    const rows = await gateway.db.read((q) =>
      q.all(sql`SELECT name FROM secrets WHERE role = 'mqtt-auth-gateway' AND name LIKE 'keys/%'`)
    );
    return rows.length === 0;
  });
});

Deno.test("a device that has spoken v2 is never taken for one of v1 again, and that is an alarm", async () => {
  await using gateway = await openGateway(v1);
  const old = await openV1Device(gateway, "esp-1");
  await old.call("time");
  const connect = old.side.connect();
  // its firmware was changed: the same key, by v2
  const device = await gateway.stranger("esp-1", { staticKey: old.keyPair });
  await device.call("time");
  assert.equal((await gateway.ask("/devices/esp-1")).body.profile, "v2");
  for (const _ of ["before a restart", "after it"]) {
    const intruder = await V1Device.open(gateway, "esp-1", {
      psk: toBase64url(new Uint8Array(16)),
    });
    const alarms = () => gateway.events.filter(({ severity }) => severity === "alarm").length;
    const [before, counted] = [alarms(), await dropped(gateway, "downgrade")];
    for (let i = 0; i < 3; i++) await intruder.publish(connectTopic, connect);
    await isDropped(gateway, "downgrade", counted + 3);
    assert.equal(alarms(), before + 1, "told once");
    const { status, body } = await gateway.ask("/devices/esp-1/psk", { method: "PUT", body: "{}" });
    assert.deepEqual([status, body.code], [409, "device_pinned"]);
    await device.hangUp();
    await gateway.restart();
  }
  const [event] = gateway.events.filter(({ severity }) => severity === "alarm");
  assert.deepEqual([event!.type, event!.subject, event!.detail["reason"]], [
    ...["device.conflict", "esp-1", "downgrade"],
  ]);
  // while its name waits for other hardware, it is still one of v2
  await gateway.replacement("esp-1");
  await gateway.restart();
  const intruder = await V1Device.open(gateway, "esp-1", { psk: toBase64url(new Uint8Array(16)) });
  const counted = await dropped(gateway, "downgrade");
  await intruder.publish(connectTopic, connect);
  await isDropped(gateway, "downgrade", counted + 1);
});

Deno.test("a second key under a name of v1 is in conflict, and takes over only when a person says so", async () => {
  await using gateway = await openGateway(v1);
  const psk = await enterPsk(gateway, "esp-1");
  const first = await V1Device.open(gateway, "esp-1", { psk });
  await first.connect();
  await until("it waits", () => gateway.peers.waiting().length === 1);
  const shown = (await gateway.ask("/devices/esp-1")).body;
  await gateway.peers.approve("device", "esp-1", { fingerprint: shown.fingerprint });
  await until("it is approved", () => first.side.isApproved);
  await first.call("time");

  const second = await V1Device.open(gateway, "esp-1", { psk });
  await second.connect();
  await until("there is a rival", () => gateway.peers.waiting().length === 1);
  const { state, rivals: [rival] } = (await gateway.ask("/devices/esp-1")).body;
  assert.deepEqual([state, rival.state], ["AUTHORIZED", "CONFLICT"]);
  assert.equal(second.side.isApproved, false);
  await gateway.peers.replace("device", "esp-1", { fingerprint: rival.fingerprint });
  await until("it has its keys", () => second.side.isApproved);
  assert.deepEqual(await second.call("echo", [1]), [1]);
  await second.publish(messageTopic, first.sealed("echo"));
  await isDropped(gateway, "forged");
});

Deno.test("a hook is not for devices of v1, unless the configuration names the method", async () => {
  const calls: { once: string; method: string }[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    calls.push(await request.json());
    return Response.json(calls.length);
  });
  const url = `http://127.0.0.1:${server.addr.port}/`;
  {
    await using gateway = await openGateway(`${v1}
      allow = ["relay.*"]
      v1_hooks = ["relay.off"]
      routes = [{ method = "relay.*", url = "${url}" }]`);
    const device = await openV1Device(gateway, "esp-1");
    assert.equal(await device.call("relay.on"), "error not_allowed");
    assert.equal(await device.call("relay.off"), 1);
    const bytes = device.sealed("relay.off");
    const before = device.received.length;
    for (let i = 0; i < 3; i++) await device.publish(messageTopic, bytes);
    await until("it is answered", () => device.received.length >= before + 1);
    assert.equal(await device.call("relay.off"), 3);
    assert.deepEqual(calls.map(({ method }) => method), ["relay.off", "relay.off", "relay.off"]);
    assert.equal(new Set(calls.map(({ once }) => once)).size, 3);
  }
  await server.shutdown();
});
