/** The prefix of a site's topics: on the wire it is everywhere, behind the borders nowhere. */
import assert from "node:assert/strict";
import { utf8 } from "../../base/bytes.ts";
import { parseBrokerUrl } from "./_broker_url.ts";
import { probeBroker } from "./_probe.ts";
import { publishPacket, RawPeer, subscribePacket } from "./_raw_peer.ts";
import { missing, mosquitto } from "./_real_broker.ts";
import { listener, log, message, open } from "./_test_broker.ts";
import { connectMqtt, type MqttClient, openMqtt } from "./mod.ts";

const listen = { hostname: "127.0.0.1", port: 0 };
const site = { clientId: "edgeward-site", log };

/** The next message that a client gets by a filter. */
function next(client: MqttClient, filter: string) {
  const { promise, resolve } = Promise.withResolvers<[string, string]>();
  const subscribed = client.subscribe(filter, ({ topic, payload }) => {
    resolve([topic, new TextDecoder().decode(payload)]);
  });
  return { subscribed, message: promise };
}

Deno.test("two ends that know the prefix see the topics of the protocol", async () => {
  await using mqtt = await openMqtt({ url: "embedded", prefix: "plant/hall-2", listen, ...site });
  const up = next(mqtt.client, "edgeward/+/up/+");
  await up.subscribed;
  const url = `mqtt://127.0.0.1:${mqtt.broker!.port}#plant/hall-2`;
  await using lamp = await connectMqtt({ url, clientId: "lamp-1", log });
  const down = next(lamp, "jrpc/devices/lamp-1/rx");
  await down.subscribed;
  await lamp.publish("edgeward/meter/up/lamp-1", utf8("on"));
  await mqtt.client.publish("jrpc/devices/lamp-1/rx", utf8("off"));
  assert.deepEqual(await up.message, ["edgeward/meter/up/lamp-1", "on"]);
  assert.deepEqual(await down.message, ["jrpc/devices/lamp-1/rx", "off"]);
});

Deno.test("the embedded broker knows peers behind the prefix only", async () => {
  await using broker = await open({ prefix: "plant" });
  using all = await listener(broker);
  for (const topic of ["edgeward/meter/up/lamp-1", "plants/edgeward/meter/up/lamp-1"]) {
    using peer = await RawPeer.login(broker.port, "lamp-1");
    await peer.send(publishPacket(topic, utf8("x"), { id: 1 }));
    assert.equal(await peer.receive(), undefined, topic);
  }
  using peer = await RawPeer.login(broker.port, "lamp-1");
  const filters = ["jrpc/devices/lamp-1/rx", "plant/jrpc/devices/lamp-1/rx"];
  await peer.send(subscribePacket(2, [...filters, "plant/jrpc/devices/lamp-2/rx"]));
  assert.deepEqual([...(await peer.receive())!.body], [0, 2, 0x80, 1, 0x80]);
  await peer.send(publishPacket("plant/jrpc/gateway/rx", utf8("y"), { id: 1 }));
  assert.deepEqual(message(await all.receive()), ["plant/jrpc/gateway/rx", "y"]);
});

Deno.test({
  name: "a site keeps to its corner of a broker elsewhere, and the probe does",
  ignore: missing("mosquitto"),
  async fn() {
    const path = await Deno.makeTempDir({ prefix: "edgeward-prefix-" });
    try {
      await Deno.writeTextFile(`${path}/acl`, "topic plant/hall-2/#\ntopic read $SYS/#\n");
      await using broker = await mosquitto(path, { lines: [`acl_file ${path}/acl`] });
      const plain = `mqtt://127.0.0.1:${broker.ports.mqtt}`;
      const facts = await probeBroker({
        ...{ url: parseBrokerUrl(`${plain}#plant/hall-2`), clientId: "edgeward-site" },
        signal: new AbortController().signal,
      });
      assert.deepEqual([facts.wildcards, facts.largest], [true, 65_553]);
      assert.match(facts.name!, /^mosquitto/);

      await using client = await connectMqtt({ url: `${plain}#plant/hall-2`, ...site });
      using outsider = await RawPeer.login(broker.ports.mqtt, "outsider");
      await outsider.send(subscribePacket(1, ["#"]));
      assert.equal((await outsider.receive())?.type, 9);
      await client.publish("edgeward/meter/down/m-1", utf8("x"));
      assert.deepEqual(message(await outsider.receive()), [
        ...["plant/hall-2/edgeward/meter/down/m-1", "x"],
      ]);
    } finally {
      await Deno.remove(path, { recursive: true });
    }
  },
});
