/** The MQTT service as roles, devices and simulators use it, over real sockets. */
import assert from "node:assert/strict";
import { concat, utf8 } from "../../base/bytes.ts";
import { Secret } from "../../base/secret.ts";
import type { Log } from "../logging.ts";
import { MetricsRegistry } from "../metrics.ts";
import { startBroker } from "./_broker.ts";
import { parseBrokerUrl } from "./_broker_url.ts";
import { ReconnectingClient } from "./_client.ts";
import { connectMqtt, hashPassword, type MqttMessage, type MqttOptions, openMqtt } from "./mod.ts";

const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
const hostname = "127.0.0.1";
const operator = { username: "operator", password: "of this run" };
const credential = { username: operator.username, password: new Secret(operator.password) };

function embedded(options: Partial<MqttOptions> = {}) {
  const listen = { hostname, port: 0 };
  return openMqtt({ url: "embedded", listen, clientId: "edgeward-site", log, ...options });
}

/** A queue that a test waits on. */
function inbox<T>() {
  const items: T[] = [];
  const waiting: ((item: T) => void)[] = [];
  return {
    put(item: T) {
      const next = waiting.shift();
      if (next) next(item);
      else items.push(item);
    },
    take(): Promise<T> {
      const item = items.shift();
      return item === undefined
        ? new Promise((resolve) => waiting.push(resolve))
        : Promise.resolve(item);
    },
    get size() {
      return items.length;
    },
  };
}

/** Messages as text. */
function mailbox() {
  const box = inbox<string>();
  return {
    ...box,
    handler: (m: MqttMessage) => box.put(`${m.topic} ${new TextDecoder().decode(m.payload)}`),
  };
}

/** A server that accepts every login, says what it is given, and then never another word. */
function muteBroker(words: Uint8Array = new Uint8Array()) {
  const listener = Deno.listen({ hostname, port: 0 });
  const connections = new Set<Deno.Conn>();
  const accepting = (async () => {
    for await (const connection of listener) {
      connections.add(connection);
      await connection.write(concat(Uint8Array.of(0x20, 2, 0, 0), words));
    }
  })();
  return {
    url: `mqtt://${hostname}:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const connection of connections) connection.close();
      await accepting;
    },
  };
}

Deno.test("openMqtt() with the embedded broker connects through its socket", async () => {
  const states: string[] = [];
  {
    await using mqtt = await embedded({ onState: (state) => states.push(state) });
    assert.equal(mqtt.client.connected, true);
    assert.equal(mqtt.broker?.hostname, hostname);
    assert.ok(mqtt.broker!.port > 0);
    const box = mailbox();
    await mqtt.client.subscribe("edgeward/+/up/+", box.handler);
    await using lamp = await connectMqtt({
      url: `mqtt://${hostname}:${mqtt.broker!.port}`,
      clientId: "lamp-1",
      log,
    });
    await lamp.publish("edgeward/meter/up/lamp-1", utf8("on"));
    assert.equal(await box.take(), "edgeward/meter/up/lamp-1 on");
  }
  assert.deepEqual(states, ["up", "down"]);
});

Deno.test("a payload arrives as sent, with QoS 0 and 1, empty and of 200 kB", async () => {
  await using mqtt = await embedded();
  const box = inbox<MqttMessage>();
  await mqtt.client.subscribe("a", box.put);
  const large = new Uint8Array(200_000).map((_, i) => i);
  for (const qos of [0, 1] as const) {
    for (const payload of [new Uint8Array(), Uint8Array.of(0, 255), large]) {
      await mqtt.client.publish("a", payload, { qos });
      assert.deepEqual(await box.take(), { topic: "a", payload, retained: false });
    }
  }
});

Deno.test("every handler that matches is called, whatever another one does", async () => {
  const failures: unknown[] = [];
  await using mqtt = await embedded({
    log: { ...log, error: (_message, properties) => failures.push(properties) },
  });
  const { client } = mqtt;
  const box = mailbox();
  await client.subscribe("a/b", () => {
    throw new Error("first");
  });
  await client.subscribe("a/b", () => Promise.reject(new Error("second")));
  for (const filter of ["a/b", "a/b", "a/+", "a/#", "+/b", "#"]) {
    await client.subscribe(filter, (m) => box.handler({ ...m, topic: filter }));
  }
  await client.subscribe("a", () => assert.fail("does not match"));
  await client.publish("a/b", utf8("1"));
  const got = await Promise.all(Array.from({ length: 6 }, () => box.take()));
  assert.deepEqual(got.sort(), ["# 1", "+/b 1", "a/# 1", "a/+ 1", "a/b 1", "a/b 1"]);
  assert.deepEqual(failures, [
    { filter: "a/b", error: "first" },
    { filter: "a/b", error: "second" },
  ]);
  await client.publish("a/b", utf8("2"));
  await box.take();
});

Deno.test("a subscription ends with its last handler, and can begin again at once", async () => {
  await using mqtt = await embedded();
  const { client } = mqtt;
  const box = mailbox(), marks = mailbox();
  await client.subscribe("mark", marks.handler);
  const first = await client.subscribe("a", box.handler);
  const second = await client.subscribe("a", box.handler);
  await first();
  await first();
  await client.publish("a", utf8("1"));
  assert.equal(await box.take(), "a 1");
  const ending = second();
  // By now the UNSUBSCRIBE is on its way, and a SUBSCRIBE beside it could be done first.
  for (let i = 0; i < 10; i++) await null;
  const third = await client.subscribe("a", box.handler);
  await ending;
  await client.publish("a", utf8("2"));
  assert.equal(await box.take(), "a 2");
  const fourth = client.subscribe("a", box.handler);
  await Promise.all([third(), fourth]);
  await (await fourth)();
  await client.publish("a", utf8("3"));
  await client.publish("mark", utf8(""));
  await marks.take();
  assert.equal(box.size, 0);
});

Deno.test("a refused subscription rejects and leaves the others alone", async () => {
  await using mqtt = await embedded();
  await using lamp = await connectMqtt({
    url: `mqtt://${hostname}:${mqtt.broker!.port}`,
    clientId: "lamp-1",
    log,
  });
  const box = mailbox();
  await lamp.subscribe("jrpc/devices/lamp-1/rx", box.handler);
  await assert.rejects(lamp.subscribe("#", box.handler), { code: "mqtt_refused" });
  await mqtt.client.publish("jrpc/devices/lamp-1/rx", utf8("1"));
  assert.equal(await box.take(), "jrpc/devices/lamp-1/rx 1");
  assert.equal(box.size, 0);
});

Deno.test("what cannot be sent is refused before it costs the connection", async () => {
  await using mqtt = await embedded();
  const { client } = mqtt;
  for (const topic of ["", "a/+", "#", "a\0b", "a\nb"]) {
    await assert.rejects(client.publish(topic, utf8("")), { code: "mqtt_topic" }, topic);
  }
  for (const filter of ["", "a/#/b", "a+", "#a", "a\0"]) {
    await assert.rejects(client.subscribe(filter, () => {}), { code: "mqtt_topic" }, filter);
  }
  const large = new Uint8Array(256 * 1024);
  await assert.rejects(client.publish("a", large), { code: "mqtt_too_large" });
  assert.equal(client.connected, true);
});

Deno.test("a publish that the broker forbids fails, and the client comes back", async () => {
  await using mqtt = await embedded();
  const states = inbox<string>();
  await using lamp = await connectMqtt({
    url: `mqtt://${hostname}:${mqtt.broker!.port}`,
    clientId: "lamp-1",
    log,
    onState: states.put,
  });
  await assert.rejects(lamp.publish("elsewhere", utf8("")), { code: "mqtt_down" });
  for (const state of ["up", "down", "up"]) assert.equal(await states.take(), state);
});

Deno.test("a client finds a broker that starts later and one that comes back", async () => {
  const broker = await startBroker({ hostname, port: 0, operator, log });
  const { port } = broker;
  await broker[Symbol.asyncDispose]();

  const states = inbox<string>();
  await using mqtt = await openMqtt({
    url: `mqtt://${hostname}:${port}`,
    listen: { hostname, port: 1 },
    clientId: "edgeward-site",
    ...credential,
    log,
    onState: states.put,
  });
  assert.equal(await states.take(), "down");
  assert.equal(mqtt.client.connected, false);
  assert.equal(mqtt.broker, undefined);
  await assert.rejects(mqtt.client.publish("a", utf8("")), { code: "mqtt_down" });
  const box = mailbox();
  await mqtt.client.subscribe("a", box.handler);
  const end = await mqtt.client.subscribe(
    "b",
    () => assert.fail("ended while the broker was away"),
  );
  await end();

  for (const round of ["1", "2"]) {
    await using _broker = await startBroker({ hostname, port, operator, log });
    assert.equal(await states.take(), "up");
    await mqtt.client.publish("b", utf8(round));
    await mqtt.client.publish("a", utf8(round));
    assert.equal(await box.take(), `a ${round}`);
    await _broker[Symbol.asyncDispose]();
    assert.equal(await states.take(), "down");
  }
});

Deno.test("a wrong password keeps the client down and says why", async () => {
  await using broker = await startBroker({ hostname, port: 0, operator, log });
  const details: string[] = [];
  await using client = await connectMqtt({
    url: `mqtt://${hostname}:${broker.port}`,
    clientId: "edgeward-site",
    username: operator.username,
    password: new Secret("wrong"),
    log,
    onState: (_state, detail) => details.push(detail),
  });
  assert.equal(client.connected, false);
  assert.match(details[0]!, /Bad username or password/);
});

Deno.test("openMqtt() hands its options to the embedded broker and its doors to the host", async () => {
  const usersFile = await Deno.makeTempFile();
  await using _file = { [Symbol.asyncDispose]: () => Deno.remove(usersFile) };
  await Deno.writeTextFile(usersFile, `tool ${await hashPassword("secret")} read=#\n`);
  const registry = new MetricsRegistry();
  await using mqtt = await embedded({
    usersFile,
    allows: (id) => id !== "lamp-2",
    limits: { clients: 1 },
    metrics: registry.scoped("host"),
  });
  const url = `mqtt://${hostname}:${mqtt.broker!.port}`;
  const states = inbox<string>();
  await using tool = await connectMqtt({
    ...{ url, clientId: "tool", username: "tool", password: new Secret("secret"), log },
    onState: states.put,
  });
  const box = mailbox();
  await tool.subscribe("a/#", box.handler);
  await mqtt.client.publish("a/b", utf8("1"));
  assert.equal(await box.take(), "a/b 1");
  await using lamp = await connectMqtt({ url, clientId: "lamp-1", log });
  await using stranger = await connectMqtt({ url, clientId: "lamp-2", log });
  assert.deepEqual([lamp.connected, stranger.connected], [false, false]);
  const text = await registry.text();
  assert.match(text, /edgeward_mqtt_clients{role="host"} 1/);
  for (const reason of ["full", "stranger"]) {
    assert.match(text, new RegExp(`edgeward_mqtt_refused_total{role="host",reason="${reason}"}`));
  }
  await Deno.writeTextFile(usersFile, "");
  await mqtt.broker!.reload();
  assert.equal(await states.take(), "up");
  assert.equal(await states.take(), "down");
});

Deno.test("publishes under way are bounded and fail when the connection ends", async () => {
  const broker = muteBroker();
  await using client = await connectMqtt({ url: broker.url, clientId: "lamp-1", log });
  assert.equal(client.connected, true);
  const publishes = Promise.allSettled(
    Array.from({ length: 1_000 }, () => client.publish("a", utf8(""))),
  );
  await assert.rejects(client.publish("a", utf8("")), { code: "mqtt_busy" });
  const unheard = client.subscribe("a", () => {});
  await broker[Symbol.asyncDispose]();
  for (const result of await publishes) {
    assert.equal(result.status === "rejected" && result.reason.code, "mqtt_down");
  }
  await (await unheard)();
});

Deno.test("a broker that announces a packet of 256 MiB is left", async () => {
  await using broker = muteBroker(Uint8Array.of(0x40, 0xff, 0xff, 0xff, 0x7f));
  const details = inbox<string>();
  await using _client = await connectMqtt({
    url: broker.url,
    clientId: "lamp-1",
    log,
    onState: (state, detail) => state === "down" && details.put(detail),
  });
  assert.match(await details.take(), /the broker sent a packet of \d+ bytes/);
});

Deno.test("disposing ends at once: unanswered, connecting, between attempts, and twice", async () => {
  await using broker = muteBroker();
  const waiting = await connectMqtt({ url: broker.url, clientId: "lamp-1", log });
  const publishing = assert.rejects(waiting.publish("a", utf8("")), { code: "mqtt_down" });
  await waiting[Symbol.asyncDispose]();
  await publishing;
  await assert.rejects(waiting.publish("a", utf8("")), { code: "mqtt_down" });

  using silent = Deno.listen({ hostname, port: 0 });
  for (const protocol of ["mqtt", "mqtts", "ws", "wss"]) {
    const url = parseBrokerUrl(`${protocol}://${hostname}:${silent.addr.port}`);
    const connecting = new ReconnectingClient({ url, clientId: "lamp-1", log });
    (await silent.accept()).close();
    const again = new ReconnectingClient({ url, clientId: "lamp-1", log });
    using _held = await silent.accept();
    await Promise.all([again[Symbol.asyncDispose](), connecting[Symbol.asyncDispose]()]);
  }

  const away = await connectMqtt({ url: `mqtt://${hostname}:1`, clientId: "lamp-1", log });
  await Promise.all([away[Symbol.asyncDispose](), away[Symbol.asyncDispose]()]);
});

Deno.test("openMqtt() rejects a wrong address and a busy port", async () => {
  const urls = [
    "nonsense",
    "http://broker",
    "mqtt://",
    "mqtt://user:secret@broker",
    "mqtt://broker/path",
    "mqtt://broker:0",
    "mqtt://broker#/a",
    "mqtt://broker#a/+",
  ];
  for (const url of urls) {
    await assert.rejects(embedded({ url }), (error: Error) => {
      assert.equal((error as { code?: string }).code, "mqtt_url", url);
      assert.ok(!error.message.includes("secret"));
      return true;
    });
  }
  await using mqtt = await embedded();
  await assert.rejects(embedded({ listen: mqtt.broker! }), { code: "port_busy" });
});
