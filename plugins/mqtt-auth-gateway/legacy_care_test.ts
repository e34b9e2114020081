/**
 * Profile v1 where it is delicate: what anybody does in the name of a device, and what a decision, a ban
 * or a stop at the wrong moment leaves behind. The real device gets in and is served all the same, and
 * keys that have had their time are worth nothing.
 */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { fromBase64url, toBase64url, toHex, utf8 } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { pskOfCode } from "../../core/trust/legacy/connect.ts";
import { DeviceSide } from "../../core/trust/legacy/device_side.ts";
import { openGateway, suite, type TestGateway, until } from "./_test_gateway.ts";
import { connectTopic, enterPsk, messageTopic, openV1Device, V1Device } from "./_test_v1.ts";

const v1 = 'profiles = ["v2", "v1"]';

/** A connection that is nobody's in particular. What it is told to send is sent in this order. */
async function openWire(gateway: TestGateway) {
  const connection = await gateway.connection("wire");
  return (topic: string, payload: Uint8Array) => connection.publish(topic, payload);
}

const dropped = (gateway: TestGateway, reason: string) =>
  gateway.counted("edgeward_rpc_v1_dropped_total", `reason="${reason}"`);

const isDropped = (gateway: TestGateway, reason: string, times: number) =>
  until(`${reason} is counted`, async () => await dropped(gateway, reason) === times);

const callsOf = async (gateway: TestGateway, id: string): Promise<unknown[]> =>
  (await gateway.ask(`/devices/${id}`)).body.calls;

const hex = (length: number) => toHex(suite.randomBytes(length));
const text = (value: unknown) => utf8(JSON.stringify(value));

/** A message, and a connect, as anybody can write them in the name of a device. */
const forgeries = [
  [messageTopic, () => ({
    ...{ device_id: "esp-1", nonce: `00000${hex(9).slice(0, 3)}${hex(8)}` },
    ...{ ciphertext: hex(60), hmac: hex(32) },
  })],
  [connectTopic, () => ({ device_id: "esp-1", pubkey: hex(32), psk_proof: hex(32) })],
] as const;

Deno.test("what anybody sends in the name of a device takes nobody's place", async () => {
  await using gateway = await openGateway(v1);
  const device = await openV1Device(gateway, "esp-1");
  await device.call("time");
  const send = await openWire(gateway);
  for (const [i, [topic, forged]] of forgeries.entries()) {
    const sent = Array.from({ length: 50 }, () => send(topic, text(forged())));
    sent.push(send(messageTopic, device.sealed("echo", [], `real-${i}`)));
    await Promise.all(sent);
    await until("it is answered", () => device.hasAnswer(`real-${i}`));
  }
  assert.equal(await dropped(gateway, "busy"), 0);
});

Deno.test("connects that were recorded once use nothing up that another key needs", async () => {
  await using gateway = await openGateway(v1);
  const psk = pskOfCode(suite, fromBase64url(await enterPsk(gateway, "esp-1")));
  const [recorded, fresh] = [0, 1].map(() =>
    new DeviceSide(suite, { device: parseId("esp-1"), psk, clock: Date.now }).connect()
  );
  for (let i = 0; i < 50; i++) {
    gateway.inject({ topic: connectTopic, payload: recorded!, retained: false });
  }
  await until("most are refused", async () => await dropped(gateway, "rate_limited") > 40);
  gateway.inject({ topic: connectTopic, payload: fresh!, retained: false });
  await until("both wait", () => gateway.peers.waiting().length === 2);
});

Deno.test("a call that came while its device was banned is taken when it comes again", async () => {
  await using gateway = await openGateway(v1);
  const device = await openV1Device(gateway, "esp-1");
  await device.call("time");
  await gateway.peers.ban("device", "esp-1");
  const send = await openWire(gateway);
  const call = device.sealed("echo", [1], "late");
  await send(messageTopic, call);
  await isDropped(gateway, "not_approved", 1);
  const body = JSON.stringify({ method: "relay.on", within_ms: 200 });
  const answer = await gateway.ask("/devices/esp-1/call", { method: "POST", body });
  assert.deepEqual([answer.status, answer.body.code], [409, "not_connected"]);
  await gateway.peers.unban("device", "esp-1");
  await until("it is back at the broker", () => device.isConnected);
  await send(messageTopic, call);
  await until("it is answered", () => device.hasAnswer("late"));
});

Deno.test("keys of hardware that was replaced are worth nothing from that moment, or after a stop", async () => {
  await using gateway = await openGateway(v1);
  const psk = toBase64url(suite.randomBytes(16));
  const first = await openV1Device(gateway, "esp-1", psk);
  await first.call("time");
  await first.hangUp();
  const second = await V1Device.open(gateway, "esp-1", { psk });
  await second.connect();
  await until("it waits", () => gateway.peers.waiting().length === 1);
  const { rivals: [{ fingerprint }] } = (await gateway.ask("/devices/esp-1")).body;
  await gateway.db.write((tx) => tx.run(sql`CREATE TABLE kept AS SELECT * FROM secrets`));

  await gateway.peers.replace("device", "esp-1", { fingerprint });
  await second.publish(messageTopic, first.sealed("echo", ["stolen"]));
  await until("it has its keys", () => second.side.isApproved);
  await second.publish(messageTopic, first.sealed("echo", ["stolen"]));
  assert.deepEqual(await second.call("echo", [1]), [1]);
  assert.equal((await callsOf(gateway, "esp-1")).length, 2);
  // as if it had stopped before it could forget them
  await gateway.stopped(async (execute) => {
    await execute(`UPDATE secrets SET value = (SELECT value FROM kept
      WHERE kept.name = secrets.name) WHERE name = 'keys/esp-1'`);
  });
  const send = await openWire(gateway);
  await send(messageTopic, first.sealed("echo", ["stolen"]));
  await isDropped(gateway, "not_approved", 1);
  assert.equal((await callsOf(gateway, "esp-1")).length, 2);
});

Deno.test("what v1 cannot carry back is an error, and no silence", async () => {
  const deep = `${"[".repeat(20)}1${"]".repeat(20)}`;
  await using gateway = await openGateway(`${v1}\nconfig = { deep = ${deep} }`);
  const device = await openV1Device(gateway, "esp-1");
  assert.equal(await device.call("config.get"), "error malformed");
});
