/**
 * Sessions at the broker: what is taken from which topic, what is dropped without a word, and `rpc` both
 * ways over the embedded broker. Mosquitto and NATS are in ../mqtt/rpc_sessions_test.ts.
 */
import assert from "node:assert/strict";
import { utf8 } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import { decodeFrame, encodeFrame, FrameType } from "../../trust/session/frame.ts";
import { Initiator, pskFromCode } from "../../trust/session/handshake.ts";
import { decodeRpc, encodeRpc } from "../../wire/json_rpc.ts";
import { type MqttClient, type MqttHandler, openMqtt } from "../mqtt/mod.ts";
import { dial } from "./mod.ts";
import { type MqttBinding, serveMqtt } from "./_mqtt_binding.ts";
import { device, FakeSite, log, suite } from "./_site.ts";

const brace = utf8('{"device_id":"x"}');
const up = "jrpc/gateway/rx";
const connect = `jrpc/v2/connect/${device}`;

/** A broker's client in memory: the test is the broker. */
class FakeMqtt implements MqttClient {
  readonly broker = { url: "", since: 0, reconnects: 0, hasRival: false, facts: null };
  readonly connected = true;
  readonly handlers = new Map<string, MqttHandler>();
  readonly published: { readonly topic: string; readonly payload: Uint8Array }[] = [];

  publish(topic: string, payload: Uint8Array): Promise<void> {
    this.published.push({ topic, payload });
    return Promise.resolve();
  }

  subscribe(filter: string, handler: MqttHandler): Promise<() => Promise<void>> {
    this.handlers.set(filter, handler);
    return Promise.resolve(() => Promise.resolve(void this.handlers.delete(filter)));
  }

  /** Hands a message over, and waits until it has been dealt with. */
  async deliver(topic: string, payload: Uint8Array, retained = false): Promise<void> {
    const filter = topic.startsWith("jrpc/v2/connect/") ? "jrpc/v2/connect/+" : topic;
    this.handlers.get(filter)!({ topic, payload, retained });
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

const echo = (body: Uint8Array) => {
  const { id } = decodeRpc(body);
  return Promise.resolve(encodeRpc({ kind: "result", id, result: "well" }));
};

async function served(binding: Partial<MqttBinding> = {}) {
  const site = new FakeSite(echo, () => 0, { purpose: "rpc" });
  const mqtt = new FakeMqtt();
  const undo = await serveMqtt(mqtt, site.responder, { log, ...binding });
  return { site, mqtt, undo };
}

/** Message 1 of a device that has a code. */
function begin(site: FakeSite, code: Uint8Array): Initiator {
  return new Initiator(suite, {
    hello: { purpose: "rpc", site: site.id, device, versions: [2] },
    staticKey: suite.x25519.keyPair(),
    remoteStatic: site.staticKey.publicKey,
    psk: pskFromCode(suite, code, { site: site.id, device }),
    clock: () => 0,
  });
}

Deno.test("serveMqtt() listens to the topics of rpc, and no longer than it is wanted", async () => {
  const { mqtt, undo } = await served();
  assert.deepEqual([...mqtt.handlers.keys()], ["jrpc/v2/connect/+", up]);
  await undo();
  assert.equal(mqtt.handlers.size, 0);
});

Deno.test("serveMqtt() answers a frame on the topic of the device whose session it bears", async () => {
  const { site, mqtt } = await served();
  const initiator = begin(site, site.enrol());
  await mqtt.deliver(connect, initiator.message1);
  const [message2] = mqtt.published;
  assert.equal(message2?.topic, `jrpc/devices/${device}/rx`);
  const session = initiator.finish(decodeFrame(message2.payload));
  await mqtt.deliver(up, session.seal(Uint8Array.of(4)));
  assert.deepEqual(mqtt.published.map(({ topic }) => topic), Array(2).fill(message2.topic));
  assert.equal(session.open(decodeFrame(mqtt.published[1]!.payload)).seq, 0);
  assert.deepEqual(await site.refused(), { malformed: 1 });
});

Deno.test("serveMqtt() says nothing to a frame of nobody's session, because nobody could hear it", async () => {
  const { site, mqtt } = await served();
  const stray = encodeFrame(FrameType.data, suite.randomBytes(8), 0, new Uint8Array(40));
  for (let i = 0; i < 5; i++) await mqtt.deliver(up, stray);
  await mqtt.deliver(up, stray.with(0, 3));
  await mqtt.deliver(up, new Uint8Array(0));
  await mqtt.deliver(up, begin(site, site.enrol()).message1);
  assert.deepEqual(mqtt.published, []);
  assert.deepEqual(await site.refused(), { unknown_session: 6, wrong_version: 1, malformed: 1 });
});

Deno.test("serveMqtt() takes no name that is none, and none that the handshake does not bear", async () => {
  const { site, mqtt } = await served();
  const { message1 } = begin(site, site.enrol());
  for (const name of ["", "a b", "$x", "ä", "x".repeat(65)]) {
    await mqtt.deliver(`jrpc/v2/connect/${name}`, message1);
  }
  assert.deepEqual(await site.refused(), {});
  await mqtt.deliver("jrpc/v2/connect/m-2", message1);
  assert.deepEqual(await site.refused(), { wrong_device: 1 });
  assert.deepEqual(mqtt.published, []);
});

Deno.test("serveMqtt() ignores retained messages and counts each", async () => {
  const legacy = () => assert.fail("a retained message is handed on");
  const { site, mqtt } = await served({ legacy });
  const { message1 } = begin(site, site.enrol());
  for (const [topic, payload] of [[connect, message1], [up, message1], [up, brace]] as const) {
    await mqtt.deliver(topic, payload, true);
  }
  assert.deepEqual(await site.refused(), { retained: 3 });
  assert.deepEqual(mqtt.published, []);
});

Deno.test("serveMqtt() hands over what is of profile v1, and survives its faults", async () => {
  const heard: [string, number][] = [];
  const { site, mqtt } = await served({
    legacy(topic, payload) {
      heard.push([topic, payload.length]);
      throw new Error("a fault of the role");
    },
  });
  await mqtt.deliver(up, brace);
  await mqtt.deliver(connect, brace);
  const large = new Uint8Array(65_554).fill(0x7b);
  await mqtt.deliver(up, large);
  await mqtt.deliver(up, large.subarray(1));
  assert.deepEqual(heard, [[up, brace.length], [connect, brace.length], [up, 65_553]]);
  assert.deepEqual(await site.refused(), { too_large: 1 });

  const alone = await served();
  await alone.mqtt.deliver(up, brace);
  await alone.mqtt.deliver(connect, brace);
  assert.deepEqual(await alone.site.refused(), { wrong_version: 2 });
});

Deno.test("rpc runs both ways over the embedded broker, for each device on its own", async () => {
  const site = new FakeSite(echo, () => performance.now(), { purpose: "rpc" });
  await using mqtt = await openMqtt({
    ...{ url: "embedded", clientId: "edgeward-site", log },
    listen: { hostname: "127.0.0.1", port: 0 },
  });
  const undo = await serveMqtt(mqtt.client, site.responder, { log });
  const names = ["d-1", "d-2"].map(parseId);
  await using stack = new AsyncDisposableStack();
  for (const name of names) {
    const channel = stack.use(dial({
      ...{ site: site.id, noiseKey: site.staticKey.publicKey, code: site.enrol(name) },
      url: `mqtt://127.0.0.1:${mqtt.broker!.port}`,
    }, {
      ...{ suite, device: name, purpose: "rpc", log },
      staticKey: suite.x25519.keyPair(),
      signKey: suite.ed25519.signer().publicKey,
      onCall: (body) => {
        const { id } = decodeRpc(body);
        return Promise.resolve(encodeRpc({ kind: "result", id, result: name }));
      },
    }));
    const calls = Array.from(
      { length: 20 },
      (_, id) => channel.call(encodeRpc({ kind: "request", id, method: "echo" })),
    );
    for (const answer of await Promise.all(calls)) {
      assert.equal((decodeRpc(answer) as { result: unknown }).result, "well");
    }
  }
  const asked = names.flatMap((name) => Array.from({ length: 8 }, (_, id) => ({ name, id })));
  await Promise.all(asked.map(async ({ name, id }) => {
    const body = encodeRpc({ kind: "request", id, method: "who" });
    const answer = decodeRpc(await site.responder.call(name, body));
    assert.deepEqual({ ...answer }, { kind: "result", id, result: name });
  }));
  assert.deepEqual(await site.refused(), {});
  await undo();
  site.responder.close();
});
