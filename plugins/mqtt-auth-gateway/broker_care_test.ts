/** What a broker that nobody controls may hand to the gateway: whatever it is, the gateway stays. */
import assert from "node:assert/strict";
import { toHex, utf8 } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { openGateway, suite, type TestGateway, until } from "./_test_gateway.ts";
import { connectTopic, enterPsk, messageTopic, openV1Device } from "./_test_v1.ts";

const v1 = 'profiles = ["v2", "v1"]';

const dropped = (gateway: TestGateway, reason = "") =>
  gateway.counted("edgeward_rpc_v1_dropped_total", reason && `reason="${reason}"`);

const isDropped = (gateway: TestGateway, reason: string, times: number) =>
  until(`${reason} is counted`, async () => await dropped(gateway, reason) === times);

const text = (value: unknown) => utf8(typeof value === "string" ? value : JSON.stringify(value));

/** A connect as anybody can write it. */
const connectOf = (device_id: unknown) => ({
  device_id,
  pubkey: toHex(suite.randomBytes(32)),
  psk_proof: toHex(suite.randomBytes(32)),
});

Deno.test("weakness 14: no id of a message becomes a topic, a file or a property", async () => {
  await using gateway = await openGateway(v1);
  const ids = ["#", "+", "a/b", "../x", "", "a b", "a\u0000", "é", "x".repeat(65), 7, null, {}];
  for (const id of ids) {
    gateway.inject({ topic: connectTopic, payload: text(connectOf(id)), retained: false });
  }
  await isDropped(gateway, "malformed", ids.length);
  for (const id of ["__proto__", "constructor", "hasOwnProperty", "toString"]) {
    gateway.inject({ topic: connectTopic, payload: text(connectOf(id)), retained: false });
  }
  await isDropped(gateway, "stranger", 4);
  // they are names like any other
  const device = await gateway.device("__proto__");
  assert.deepEqual(await device.call("config.get"), {});
  await device.call("telemetry.push", { values: { constructor: 1 } });
  const { body } = await gateway.ask("/devices/__proto__");
  assert.deepEqual([body.id, body.state, body.telemetry[0].name], [
    ...["__proto__", "AUTHORIZED", "constructor"],
  ]);
  assert.ok((await gateway.ask("/status")).body.broker.connected);
});

Deno.test("weakness 15: a stranger hears nothing, whatever it says", async () => {
  await using gateway = await openGateway(v1);
  const connection = await gateway.connection("stranger");
  const heard: string[] = [];
  await connection.subscribe("jrpc/devices/stranger/rx", ({ topic }) => heard.push(topic));
  const envelope = { device_id: "stranger", nonce: "00".repeat(12), ciphertext: "00".repeat(20) };
  const said = [
    ...["", "{", "{}", "[]", "null", "\u0002", "hello", connectOf("stranger")],
    ...[envelope, { ...envelope, hmac: "00".repeat(32) }],
    { jsonrpc: "2.0", method: "time", id: 1 },
  ];
  for (const one of said) {
    for (const topic of [connectTopic, messageTopic]) {
      await connection.publish(topic, text(one));
    }
  }
  await until(
    "all was looked at",
    async () =>
      await dropped(gateway) + await gateway.counted("edgeward_session_refused_total") ===
        2 * said.length,
  );
  assert.deepEqual([heard, gateway.events, gateway.warnings], [[], [], []]);
});

Deno.test("weakness 16: what a broker has retained is ignored and counted", async () => {
  await using gateway = await openGateway(v1);
  const device = await openV1Device(gateway, "esp-1");
  const connect = device.side.connect();
  const before = device.received.length;
  for (let i = 0; i < 5; i++) {
    gateway.inject({ topic: connectTopic, payload: connect, retained: true });
  }
  assert.equal(await dropped(gateway, "retained"), 5);
  await device.call("time");
  assert.equal(device.received.length, before + 1, "the answer and nothing else");
});

Deno.test("weakness 21: ciphertexts of 0 to 20 bytes are refused, and nothing else happens", async () => {
  await using gateway = await openGateway(v1);
  const device = await openV1Device(gateway, "esp-1");
  await device.call("time");
  for (let length = 0; length <= 20; length++) {
    await device.publish(
      messageTopic,
      text({
        device_id: "esp-1",
        nonce: "0000000f0000000000000001",
        ciphertext: "00".repeat(length),
        hmac: "00".repeat(32),
      }),
    );
  }
  await isDropped(gateway, "malformed", 16);
  await isDropped(gateway, "forged", 5);
  assert.deepEqual(await device.call("echo", [1]), [1]);
});

Deno.test("weakness 23: JSON that two readers understand differently is refused", async () => {
  await using gateway = await openGateway(v1);
  await enterPsk(gateway, "esp-1");
  const { pubkey, psk_proof } = connectOf("esp-1");
  const members = `"pubkey":"${pubkey}","psk_proof":"${psk_proof}"`;
  const odd = [
    `{"device_id":"esp-1","device_id":"esp-2",${members}}`,
    `{"__proto__":{"device_id":"esp-1"},"device_id":"esp-1",${members}}`,
    `{"device_id":"esp-1",${members},"more":1}`,
    ` {"device_id":"esp-1",${members}}`,
    `{"device_id":"esp-1",${members}} `.repeat(2),
    `{"device_id":"esp-1",${members.toUpperCase()}}`,
    `{"device_id":"\\ud800",${members}}`,
    `${'{"a":'.repeat(300)}1${"}".repeat(300)}`,
    `{"device_id":"esp-1",${members}}`.padEnd(1_025),
  ];
  for (const one of odd) {
    gateway.inject({ topic: connectTopic, payload: text(one), retained: false });
  }
  await isDropped(gateway, "malformed", odd.length);
  gateway.inject({
    topic: connectTopic,
    payload: text(`{"device_id":"esp-1",${members}}`),
    retained: false,
  });
  await isDropped(gateway, "unproven", 1);
});

Deno.test("messages of a megabyte cost their sender its connection, and nobody else anything", async () => {
  await using gateway = await openGateway(v1);
  const device = await gateway.device("pump-7");
  await device.call("time");
  const attacker = await gateway.connection("attacker");
  for (const size of [65_537, 70_000, 200_000]) {
    const payload = new Uint8Array(size).fill(0x20);
    payload[0] = 0x7b;
    await attacker.publish(messageTopic, payload).catch(() => {});
    await attacker.publish(connectTopic, payload).catch(() => {});
    gateway.inject({ topic: connectTopic, payload, retained: false });
  }
  gateway.inject({ topic: connectTopic, payload: new Uint8Array(1_048_576), retained: false });
  await device.call("echo", ["still here"]);
  assert.ok(await dropped(gateway, "malformed") >= 4);
});

Deno.test("weakness 13: floods of strangers leave few traces, and known devices in their places", async () => {
  await using gateway = await openGateway(v1);
  const device = await gateway.device("pump-7");
  await device.call("time");
  await gateway.peers.openJoin(600_000);
  const key = suite.x25519.keyPair().publicKey;
  const honest = { device: parseId("honest"), key, proof: "code", words: null } as const;
  for (let i = 0; i < 10_000; i++) {
    const applicant = { device: parseId(`flood-${i}`), key: suite.randomBytes(32), words: null };
    await gateway.peers.apply("device", { ...applicant, proof: i % 2 === 0 ? "none" : "key" });
    gateway.inject({
      topic: connectTopic,
      payload: text(connectOf(`flood-${i}`)),
      retained: false,
    });
  }
  await isDropped(gateway, "stranger", 10_000);
  await gateway.peers.apply("device", honest);
  const { devices, total } = (await gateway.ask("/devices?limit=500")).body;
  assert.ok(total <= 2 + 256 + 64, `${total} are listed`);
  const of = (id: string) => devices.find((one: { id: string }) => one.id === id)?.state;
  assert.deepEqual([of("pump-7"), of("honest")], ["AUTHORIZED", "PENDING"]);
  const pending = gateway.events.filter(({ type }) => type === "device.pending");
  assert.ok(pending.length < 100, `${pending.length} were announced`);
  await device.call("echo");
});
