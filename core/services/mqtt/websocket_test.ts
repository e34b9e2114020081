/** MQTT over WebSocket through an HTTP server's upgrades: the same broker, the same rules and limits. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import { WebSocket } from "ws";
import { concat, utf8 } from "../../base/bytes.ts";
import { mendAccepted } from "../accepted_socket.ts";
import type { BrokerOptions } from "./_broker.ts";
import type { Reason } from "./_limits.ts";
import { connectMqtt, type MqttMessage } from "./mod.ts";
import { connectPacket, publishPacket, RawPeer, subscribePacket } from "./_raw_peer.ts";
import { listener, log, message, open, operator, type TestBroker } from "./_test_broker.ts";

const topic = "edgeward/meter/up/lamp-1";

/** A broker behind an HTTP server, for which all come from one address. */
async function openWeb({ from, ...options }: Partial<BrokerOptions> & { from?: string } = {}) {
  await using stack = new AsyncDisposableStack();
  const server = createServer((_request, response) => response.end());
  const closed = once(server, "close");
  stack.defer(async () => {
    server.close();
    server.closeAllConnections();
    await closed;
  });
  const broker = stack.use(await open(options));
  server.on("connection", mendAccepted);
  server.on("upgrade", (request, socket, head) => {
    if (from !== undefined) Object.defineProperty(socket, "remoteAddress", { value: from });
    const client = request.headers["x-client"]?.toString();
    broker.attachWebSocket(request, socket, head, client === undefined ? client : { client });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address!.port : 0;
  const kept = stack.move();
  return {
    broker,
    url: `ws://127.0.0.1:${port}/mqtt`,
    port,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A bare WebSocket that has logged in. */
async function login(url: string, id: string, options: { autoPong?: boolean } = {}) {
  const socket = new WebSocket(url, ["mqtt"], options);
  socket.on("error", () => {});
  await once(socket, "open");
  socket.send(connectPacket(id));
  const [data] = await once(socket, "message");
  assert.deepEqual([...data as Uint8Array], [0x20, 2, 0, 0]);
  return socket;
}

async function isCut(socket: WebSocket, broker: TestBroker, reason: Reason): Promise<void> {
  if (socket.readyState !== WebSocket.CLOSED) await once(socket, "close");
  assert.equal(await broker.refused(reason), 1, reason);
}

/** The status that answers an upgrade with these headers. */
function upgrade(port: number, headers: Record<string, string>): Promise<number | undefined> {
  const request = httpRequest({
    ...{ host: "127.0.0.1", port, path: "/mqtt" },
    headers: {
      ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
      ...{ "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", ...headers },
    },
  });
  request.end();
  return new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    });
    request.on("upgrade", (_response, socket) => {
      socket.destroy();
      resolve(101);
    });
  });
}

Deno.test("a client over WebSocket talks with one over TCP", async () => {
  await using web = await openWeb();
  using site = await listener(web.broker);
  await using lamp = await connectMqtt({ url: web.url, clientId: "lamp-1", log });
  assert.equal(lamp.connected, true);
  const received = Promise.withResolvers<MqttMessage>();
  await lamp.subscribe("edgeward/meter/down/lamp-1", received.resolve);
  const large = "x".repeat(200_000);
  await lamp.publish(topic, utf8(large));
  assert.deepEqual(message(await site.receive()), [topic, large]);
  await site.send(publishPacket("edgeward/meter/down/lamp-1", utf8(large), { id: 1 }));
  assert.equal((await received.promise).payload.length, 200_000);
  await assert.rejects(lamp.publish("elsewhere", utf8("")), { code: "mqtt_down" });
});

Deno.test("packets may be cut into frames, and frames hold packets, anywhere", async () => {
  await using web = await openWeb();
  using site = await listener(web.broker);
  const socket = new WebSocket(web.url, ["mqtt"]);
  await once(socket, "open");
  assert.deepEqual([socket.protocol, socket.extensions], ["mqtt", ""]);
  const packets = ["1", "2", "3"].map((text) => publishPacket(topic, utf8(text)));
  const bytes = concat(connectPacket("lamp-1"), ...packets);
  for (const byte of bytes.subarray(0, 40)) socket.send(Uint8Array.of(byte));
  socket.send(bytes.subarray(40));
  for (const text of ["1", "2", "3"]) {
    assert.deepEqual(message(await site.receive()), [topic, text]);
  }
  socket.terminate();
  await once(socket, "close");
});

Deno.test("an upgrade without the subprotocol or from a foreign page is refused", async () => {
  await using web = await openWeb();
  const { port } = web;
  const mqtt = { "sec-websocket-protocol": "chat, mqtt" };
  const answers: [number, Record<string, string>][] = [
    [101, mqtt],
    [101, { ...mqtt, origin: `http://127.0.0.1:${port}` }],
    [400, {}],
    [400, { "sec-websocket-protocol": "chat" }],
    [403, { ...mqtt, origin: "https://evil.example" }],
    [403, { ...mqtt, origin: `http://127.0.0.1:${port + 1}` }],
    [403, { ...mqtt, origin: "null" }],
    [400, { ...mqtt, "sec-websocket-key": "short" }],
    [400, { ...mqtt, "sec-websocket-version": "7" }],
  ];
  for (const [status, headers] of answers) {
    assert.equal(await upgrade(port, headers), status, JSON.stringify(headers));
  }
  assert.equal(await web.broker.refused("websocket"), 5);
});

Deno.test("connections over WebSocket and TCP have their places in common", async () => {
  await using web = await openWeb({ limits: { clients: 1 } });
  using stack = new DisposableStack();
  for (let i = 0; i < 65; i++) stack.use(await RawPeer.open(web.broker.port));
  assert.equal(await upgrade(web.port, { "sec-websocket-protocol": "mqtt" }), 503);
  assert.equal(await web.broker.refused("full"), 1);
});

Deno.test("an address has so many places", async () => {
  await using web = await openWeb({ limits: { clientsPerAddress: 2 }, from: "192.0.2.1" });
  const sockets = [await login(web.url, "a"), await login(web.url, "b")];
  assert.equal(await upgrade(web.port, { "sec-websocket-protocol": "mqtt" }), 503);
  assert.equal(await web.broker.refused("address"), 1);
  const gone = once(sockets[0]!, "close");
  sockets[0]!.close();
  await gone;
  sockets.push(await login(web.url, "c"));
  // behind a proxy it is the one before it that counts
  const headers = { "sec-websocket-protocol": "mqtt", "x-client": "192.0.2.2" };
  assert.equal(await upgrade(web.port, headers), 101);
  for (const socket of sockets) socket.terminate();
});

Deno.test("what is too large or too much is cut over WebSocket too", async () => {
  await using web = await openWeb({ limits: { messagesPerSecond: 100, patience: 50 } });
  const { broker, url } = web;
  const large = await login(url, "large");
  large.send(publishPacket("edgeward/meter/up/large", new Uint8Array(261_000)));
  large.send(Uint8Array.of(0x30, 0xff, 0xff, 0x7f));
  await isCut(large, broker, "too_large");

  const flood = await login(url, "flood");
  const packets = Array.from(
    { length: 100 },
    () => publishPacket("edgeward/meter/up/flood", utf8("x")),
  );
  for (let i = 0; i < 500; i++) flood.send(concat(...packets));
  await isCut(flood, broker, "rate");

  const frozen = await login(url, "frozen");
  frozen.send(subscribePacket(1, ["edgeward/meter/down/frozen"]));
  await once(frozen, "message");
  frozen.pause();
  using site = await RawPeer.login(broker.port, "edgeward-site", operator);
  for (let i = 1; await broker.refused("slow_reader") === 0; i++) {
    assert.ok(i < 500);
    await site.send(
      publishPacket("edgeward/meter/down/frozen", new Uint8Array(200_000), { id: i }),
    );
    await site.receive();
  }
  frozen.terminate();
});

Deno.test("a message beyond the largest packet, and text, end the connection", async () => {
  await using web = await openWeb();
  for (const data of [new Uint8Array(300_000), "text"]) {
    const socket = await login(web.url, "lamp-1");
    socket.send(data);
    await once(socket, "close");
  }
  await using lamp = await connectMqtt({ url: web.url, clientId: "lamp-1", log });
  assert.equal(lamp.connected, true);
});

Deno.test("a peer that does not log in, or answers no ping, is cut", async () => {
  await using web = await openWeb({ limits: { connectTimeout: 50, pingInterval: 50 } });
  const silent = new WebSocket(web.url, ["mqtt"]);
  await once(silent, "open");
  await isCut(silent, web.broker, "slow_login");
  const gone = await login(web.url, "gone", { autoPong: false });
  await once(gone, "close");
  assert.equal(await web.broker.clients(), 0);
});

Deno.test("stopping the broker ends its WebSockets, and no new one begins", async () => {
  await using web = await openWeb();
  const socket = await login(web.url, "lamp-1");
  const over = once(socket, "close");
  await web.broker[Symbol.asyncDispose]();
  await over;
  assert.equal(await upgrade(web.port, { "sec-websocket-protocol": "mqtt" }), 503);
});
