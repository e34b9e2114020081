/** How devices are, through a whole site: silence, reboots, people's decisions, and restarts. */
import assert from "node:assert/strict";
import { type Device, onceId, openGateway, type TestGateway, until } from "./_test_gateway.ts";

const minute = 60_000;

async function stateOf(gateway: TestGateway, id: string): Promise<string> {
  const { status, body } = await gateway.ask(`/devices/${id}`);
  return status === 404 ? "unknown" : body.state;
}

const isNow = (gateway: TestGateway, id: string, state: string) =>
  until(`${id} is ${state}`, async () => await stateOf(gateway, id) === state);

/** A call that waits for its device's approval: where the test fails before, nobody awaits it. */
function waiting(device: Device): Promise<unknown> {
  const called = device.call("time", undefined, { within: 90_000 });
  called.catch(() => {});
  return called;
}

const eventsOf = (gateway: TestGateway) =>
  gateway.events.map(({ type, subject }) => `${type} ${subject}`);

Deno.test("weakness 17: a device is OFFLINE after its silence, and AUTHORIZED with its next frame", async () => {
  await using gateway = await openGateway('devices.slow.silence = "10m"');
  const [fast, slow] = [await gateway.device("fast"), await gateway.device("slow")];
  await fast.call("time");
  await slow.call("time");
  gateway.advance(minute);
  await isNow(gateway, "fast", "OFFLINE");
  assert.equal(await stateOf(gateway, "slow"), "AUTHORIZED");
  gateway.advance(9 * minute);
  await isNow(gateway, "slow", "OFFLINE");
  // the session goes on: silence is not its end
  await fast.call("time");
  assert.equal(await stateOf(gateway, "fast"), "AUTHORIZED");
  assert.deepEqual(eventsOf(gateway).slice(-3), [
    ...["device.offline fast", "device.offline slow", "device.authorized fast"],
  ]);
});

Deno.test("a reboot of the device or of the gateway needs no second approval", async () => {
  await using gateway = await openGateway();
  const device = await gateway.device("pump-7");
  await device.call("time");
  const before = (await gateway.ask("/devices/pump-7")).body;
  await device.hangUp();
  await device.call("time");
  assert.equal(await stateOf(gateway, "pump-7"), "AUTHORIZED");
  await device.hangUp();
  await gateway.restart();
  const after = (await gateway.ask("/devices/pump-7")).body;
  assert.equal(after.state, "OFFLINE", "nobody has heard it since");
  assert.deepEqual(
    [after.first_seen, after.fingerprint, after.profile, after.calls.length],
    [before.first_seen, before.fingerprint, "v2", 2],
  );
  assert.ok(after.last_seen !== null);
  gateway.advance(10 * minute);
  await device.call("time");
  assert.equal(await stateOf(gateway, "pump-7"), "AUTHORIZED");
  await device.hangUp();
  await gateway.restart();
  const last = (await gateway.ask("/devices/pump-7")).body;
  assert.ok(Date.parse(last.last_seen) >= Date.parse(after.last_seen) + 10 * minute);
  assert.equal(last.calls.length, 3);
  assert.ok(!eventsOf(gateway).includes("device.pending pump-7"));
});

Deno.test("a stranger is PENDING while strangers may apply, and APPROVED, then AUTHORIZED", async () => {
  await using gateway = await openGateway();
  const stranger = await gateway.stranger("lamp-1");
  await assert.rejects(stranger.call("time", undefined, { within: 500 }));
  assert.equal(await stateOf(gateway, "lamp-1"), "unknown");

  await gateway.peers.openJoin(5 * minute);
  const called = waiting(stranger);
  await isNow(gateway, "lamp-1", "PENDING");
  const { fingerprint } = (await gateway.ask("/devices/lamp-1")).body;
  await gateway.peers.approve("device", "lamp-1", { fingerprint });
  await called;
  assert.equal(await stateOf(gateway, "lamp-1"), "AUTHORIZED");
  assert.deepEqual(eventsOf(gateway), [
    ...["device.pending lamp-1", "device.approved lamp-1", "device.authorized lamp-1"],
  ]);
});

Deno.test("weakness 12: a second key under a name is in CONFLICT beside the first, which goes on", async () => {
  await using gateway = await openGateway();
  const device = await gateway.device("lamp-1");
  await device.call("time");
  await gateway.ask("/devices/lamp-1/permissions", {
    method: "PUT",
    body: JSON.stringify({ allow: ["time", "relay.*"] }),
  });
  await gateway.peers.openJoin(5 * minute);
  const rival = await gateway.stranger("lamp-1");
  const called = waiting(rival);
  await until(
    "there is a rival",
    async () => (await gateway.ask("/devices/lamp-1")).body.rivals.length === 1,
  );
  const { state, fingerprint, rivals: [other] } = (await gateway.ask("/devices/lamp-1")).body;
  assert.deepEqual([state, other.state, other.proof], ["AUTHORIZED", "CONFLICT", "key"]);
  assert.notEqual(other.fingerprint, fingerprint);
  // both have one client id, and take the connection from each other, less often each time
  await device.call("time", undefined, { within: 90_000 });
  const { body: { devices } } = await gateway.ask("/devices?state=CONFLICT");
  assert.deepEqual(devices.map((d: { fingerprint: string }) => d.fingerprint), [other.fingerprint]);

  // its hardware was replaced after all: the name goes over, with all that hangs on it
  await gateway.peers.replace("device", "lamp-1", { fingerprint: other.fingerprint });
  await called;
  const now = (await gateway.ask("/devices/lamp-1")).body;
  assert.deepEqual([now.state, now.fingerprint, now.rivals, now.allow], [
    ...["AUTHORIZED", other.fingerprint, [], ["time", "relay.*"]],
  ]);
  assert.ok(now.calls.length >= 3, "its history stays");
  await assert.rejects(device.call("time", undefined, { within: 1_000 }));
});

Deno.test("a name that waits for new hardware is in no list, and is what it was when that comes", async () => {
  await using gateway = await openGateway();
  const device = await gateway.device("lamp-1");
  await device.call("time");
  const anew = await gateway.replacement("lamp-1");
  assert.equal(await stateOf(gateway, "lamp-1"), "unknown");
  await assert.rejects(device.call("time", undefined, { within: 500 }));
  await gateway.restart();
  assert.equal(await stateOf(gateway, "lamp-1"), "unknown");
  await anew.call("time");
  const { state, calls } = (await gateway.ask("/devices/lamp-1")).body;
  assert.deepEqual([state, calls.length], ["AUTHORIZED", 2]);
});

Deno.test("a revoked device stays REVOKED, over restarts, until it is removed with all that it left", async () => {
  await using gateway = await openGateway();
  const device = await gateway.device("pump-7");
  await device.call("telemetry.push", { values: { bar: 1 } });
  await gateway.peers.revoke("device", "pump-7");
  await isNow(gateway, "pump-7", "REVOKED");
  await assert.rejects(device.call("time", undefined, { within: 500 }));
  await gateway.restart();
  assert.equal(await stateOf(gateway, "pump-7"), "REVOKED");
  await gateway.peers.remove("device", "pump-7");
  assert.equal(await stateOf(gateway, "pump-7"), "unknown");
  const again = await gateway.device("pump-7");
  await again.call("time");
  const { telemetry, calls } = (await gateway.ask("/devices/pump-7")).body;
  assert.deepEqual([telemetry, calls.length], [[], 1]);
});

Deno.test("what a removed device left is forgotten, even when the site stops at that moment", async () => {
  await using gateway = await openGateway();
  const device = await gateway.device("pump-7");
  await device.call("telemetry.push", { values: { bar: 1 } });
  await device.hangUp();
  await gateway.restart();
  await gateway.stopped(async (execute) => {
    await execute("DELETE FROM peers WHERE id = 'pump-7'");
  });
  const again = await gateway.device("pump-7");
  await again.call("time");
  assert.deepEqual((await gateway.ask("/devices/pump-7")).body.telemetry, []);
});

Deno.test("a banned device is shown as banned, is heard by nobody, and is what it was afterwards", async () => {
  await using gateway = await openGateway();
  const device = await gateway.device("pump-7");
  await device.call("time");
  await gateway.peers.ban("device", "pump-7", { reason: "too loud", lasts: 60 * minute });
  const { state, ban } = (await gateway.ask("/devices/pump-7")).body;
  assert.deepEqual([state, ban.by, ban.reason], ["AUTHORIZED", "name", "too loud"]);
  await assert.rejects(device.call("time", undefined, { within: 500 }));
  gateway.advance(minute);
  await isNow(gateway, "pump-7", "OFFLINE");
  await gateway.peers.unban("device", "pump-7");
  await device.hangUp();
  await device.call("time");
  const now = (await gateway.ask("/devices/pump-7")).body;
  assert.deepEqual([now.state, now.ban], ["AUTHORIZED", null]);
});

Deno.test("a ban of the key shows on the device that has it", async () => {
  await using gateway = await openGateway();
  const device = await gateway.device("pump-7");
  await device.call("time");
  await gateway.peers.ban("device", "pump-7", { key: true });
  const { body: { devices: [shown] } } = await gateway.ask("/devices");
  assert.deepEqual([shown.ban.by, shown.ban.until], ["key", null]);
});

Deno.test("how devices are is counted for the metrics", async () => {
  await using gateway = await openGateway();
  await (await gateway.device("pump-7")).call("echo", [onceId()]);
  const online = () => gateway.counted("edgeward_rpc_devices", 'status="AUTHORIZED"');
  await until("it is counted", async () => await online() === 1);
});
