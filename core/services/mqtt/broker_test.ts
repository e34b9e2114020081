/** The embedded broker's rules and limits, over real sockets and below any client library. */
import assert from "node:assert/strict";
import { concat, utf8 } from "../../base/bytes.ts";
import { MqttError } from "./_errors.ts";
import { connectPacket, publishPacket, RawPeer, subscribePacket } from "./_raw_peer.ts";
import { listener, message, open, operator } from "./_test_broker.ts";

const connack = 2, puback = 4, suback = 9;
const refusedSubscription = 0x80;

Deno.test("the operator publishes and subscribes to everything", async () => {
  await using broker = await open();
  using site = await listener(broker);
  await site.send(publishPacket("any/topic", utf8("hello"), { id: 7 }));
  assert.equal((await site.receive())?.type, puback);
  assert.deepEqual(message(await site.receive()), ["any/topic", "hello"]);
});

Deno.test("a peer talks and listens under its own id only", async () => {
  await using broker = await open();
  using site = await listener(broker);
  using peer = await RawPeer.login(broker.port, "lamp-1");
  const purposes = ["unlock", "meter", "uplink", "keychain", "share", "witness"];
  const up = [
    ...purposes.flatMap((p) => [`edgeward/${p}/connect/lamp-1`, `edgeward/${p}/up/lamp-1`]),
    "jrpc/connect/request",
    "jrpc/gateway/rx",
    "jrpc/v2/connect/lamp-1",
  ];
  for (const topic of up) {
    await peer.send(publishPacket(topic, utf8("x"), { id: 1 }));
    assert.equal((await peer.receive())?.type, puback, topic);
    assert.deepEqual(message(await site.receive()), [topic, "x"]);
  }
  const down = [...purposes.map((p) => `edgeward/${p}/down/lamp-1`), "jrpc/devices/lamp-1/rx"];
  await peer.send(subscribePacket(2, down));
  assert.deepEqual([...(await peer.receive())!.body], [0, 2, ...down.map(() => 1)]);
  await site.send(publishPacket("edgeward/unlock/down/lamp-1", utf8("key")));
  assert.deepEqual(message(await peer.receive()), ["edgeward/unlock/down/lamp-1", "key"]);
});

Deno.test("a peer that publishes elsewhere is cut and nothing arrives", async () => {
  await using broker = await open();
  using site = await listener(broker);
  const topics = [
    "edgeward/unlock/up/lamp-2",
    "edgeward/unlock/up/lamp-1/x",
    "edgeward/unlock/up/",
    "edgeward/unlock/down/lamp-1",
    "edgeward/other/up/lamp-1",
    "edgeward/rpc/up/lamp-1",
    "edgeward/meter/up/lamp-1 ",
    "jrpc/devices/lamp-1/rx",
    "jrpc/v2/connect/lamp-2",
    "any/topic",
    "$SYS/broker/uptime",
    "$other",
    "a/".repeat(300),
  ];
  for (const topic of topics) {
    using peer = await RawPeer.login(broker.port, "lamp-1");
    await peer.send(publishPacket(topic, utf8("x"), { id: 1 }));
    assert.equal(await peer.receive(), undefined, topic);
  }
  using peer = await RawPeer.login(broker.port, "lamp-1");
  await peer.send(publishPacket("edgeward/unlock/up/lamp-1", utf8("the first"), { id: 1 }));
  assert.deepEqual(message(await site.receive()), ["edgeward/unlock/up/lamp-1", "the first"]);
});

Deno.test("the operator does not publish to $SYS", async () => {
  await using broker = await open();
  using site = await RawPeer.login(broker.port, "edgeward-site", operator);
  await site.send(publishPacket("$SYS/x", utf8("x"), { id: 1 }));
  assert.equal(await site.receive(), undefined);
});

Deno.test("a subscription elsewhere is refused, by name and by wildcard", async () => {
  await using broker = await open();
  using peer = await RawPeer.login(broker.port, "lamp-1");
  const filters = [
    "#",
    "+/+/+/+",
    "edgeward/#",
    "edgeward/+/down/lamp-1",
    "edgeward/unlock/down/+",
    "edgeward/unlock/down/lamp-2",
    "edgeward/unlock/down/lamp-1/#",
    "edgeward/unlock/up/lamp-1",
    "edgeward/rpc/down/lamp-1",
    "jrpc/devices/+/rx",
    "jrpc/devices/lamp-2/rx",
    "$SYS/#",
    "$share/group/edgeward/unlock/down/lamp-1",
  ];
  await peer.send(subscribePacket(1, filters));
  const answer = await peer.receive();
  assert.deepEqual([...answer!.body], [0, 1, ...filters.map(() => refusedSubscription)]);
});

Deno.test("a refused filter is not smuggled into a stored session by a granted one", async () => {
  await using broker = await open();
  using site = await RawPeer.login(broker.port, "edgeward-site", operator);
  const own = "edgeward/unlock/down/lamp-1", other = "edgeward/unlock/down/lamp-2";
  {
    using peer = await RawPeer.login(broker.port, "lamp-1", { clean: false });
    await peer.send(subscribePacket(1, [own, other, "#"]));
    await peer.receive();
  }
  await site.send(publishPacket(other, utf8("not yours"), { id: 1 }));
  assert.equal((await site.receive())?.type, puback);
  using peer = await RawPeer.login(broker.port, "lamp-1", { clean: false });
  await peer.send(subscribePacket(2, [own]));
  assert.equal((await peer.receive())?.type, suback);
  await site.send(publishPacket(own, utf8("yours")));
  assert.deepEqual(message(await peer.receive()), [own, "yours"]);
});

Deno.test("odd client ids are refused with return code 2", async () => {
  await using broker = await open();
  const ids = [
    "",
    "#",
    "+",
    "a/b",
    "a b",
    "a.b",
    "é",
    "\n",
    "$SYS",
    "x".repeat(65),
    "x".repeat(16_000),
  ];
  for (const id of ids) {
    using peer = await RawPeer.open(broker.port);
    await peer.send(connectPacket(id));
    const answer = await peer.receive();
    assert.deepEqual([answer?.type, answer?.body[1]], [connack, 2], JSON.stringify(id));
    assert.equal(await peer.receive(), undefined);
  }
  for (const id of ["x", "x".repeat(64), "__proto__", "constructor"]) {
    using _peer = await RawPeer.login(broker.port, id);
  }
});

Deno.test("wrong credentials are refused with return code 4", async () => {
  await using broker = await open();
  const logins = [
    { username: "operator", password: "wrong" },
    { username: "operator", password: "" },
    { username: "operator" },
    { username: "lamp-1", password: "of this run" },
    { username: "", password: "" },
  ];
  for (const login of logins) {
    using peer = await RawPeer.open(broker.port);
    await peer.send(connectPacket("lamp-1", login));
    const answer = await peer.receive();
    assert.deepEqual([answer?.type, answer?.body[1]], [connack, 4], JSON.stringify(login));
    assert.equal(await peer.receive(), undefined);
  }
});

Deno.test("MQTT 5 is refused with return code 1", async () => {
  await using broker = await open();
  using peer = await RawPeer.open(broker.port);
  await peer.send(connectPacket("lamp-1", { version: 5 }));
  assert.equal((await peer.receive())?.body[1], 1);
});

Deno.test("nobody takes over the site's client id", async () => {
  await using broker = await open();
  using squatter = await RawPeer.login(broker.port, "edgeward-site");
  using site = await RawPeer.login(broker.port, "edgeward-site", operator);
  assert.equal(await squatter.receive(), undefined);
  using peer = await RawPeer.open(broker.port);
  await peer.send(connectPacket("edgeward-site"));
  assert.equal((await peer.receive())?.body[1], 2);
  await site.send(publishPacket("still/here", utf8("x"), { id: 1 }));
  assert.equal((await site.receive())?.type, puback);
});

Deno.test("a peer's message is delivered but not retained", async () => {
  await using broker = await open();
  using site = await listener(broker);
  using peer = await RawPeer.login(broker.port, "lamp-1");
  const topic = "edgeward/meter/connect/lamp-1";
  await peer.send(publishPacket(topic, utf8("again and again"), { id: 1, retain: true }));
  assert.equal(message(await site.receive())[0], topic);
  using late = await RawPeer.login(broker.port, "late", operator);
  await late.send(subscribePacket(1, [topic]));
  assert.equal((await late.receive())?.type, suback);
  await site.send(publishPacket(topic, utf8("fresh")));
  assert.deepEqual(message(await late.receive()), [topic, "fresh"]);
});

Deno.test("a will obeys the same rules as a message", async () => {
  await using broker = await open();
  using site = await listener(broker);
  const own = "edgeward/meter/up/lamp-1";
  for (const topic of ["edgeward/meter/up/lamp-2", "$SYS/x", "a/#", own]) {
    using _peer = await RawPeer.login(broker.port, "lamp-1", {
      will: { topic, payload: utf8("gone") },
    });
  }
  assert.deepEqual(message(await site.receive()), [own, "gone"]);
});

Deno.test("a peer that announces too large a packet is cut, the others are not", async () => {
  await using broker = await open({ limits: { packetBytes: 4096 } });
  using site = await listener(broker);
  using good = await RawPeer.login(broker.port, "good");
  const topic = "edgeward/meter/up/lamp-1";
  // The announcement alone must do: 4 KiB, 256 MiB, a length field without end.
  for (const length of [[0x80, 0x20], [0xff, 0xff, 0xff, 0x7f], [0xff, 0xff, 0xff, 0xff]]) {
    using peer = await RawPeer.login(broker.port, "lamp-1");
    await peer.send(publishPacket(topic, utf8("before")), Uint8Array.of(0x30, ...length));
    assert.equal(await peer.receive(), undefined);
  }
  {
    using stranger = await RawPeer.open(broker.port);
    await stranger.send(Uint8Array.of(0x10, 0xff, 0xff, 0xff, 0x7f));
    assert.equal(await stranger.receive(), undefined);
  }
  await good.send(publishPacket("edgeward/meter/up/good", utf8("fine"), { id: 1 }));
  assert.equal((await good.receive())?.type, puback);
  let received = message(await site.receive());
  while (received[0] === topic) received = message(await site.receive());
  assert.deepEqual(received, ["edgeward/meter/up/good", "fine"]);
});

Deno.test("packets that arrive byte by byte are understood", async () => {
  await using broker = await open();
  using site = await listener(broker);
  using peer = await RawPeer.open(broker.port);
  const topic = "edgeward/meter/up/lamp-1";
  const bytes = concat(connectPacket("lamp-1"), publishPacket(topic, utf8("slow"), { id: 1 }));
  for (const byte of bytes) await peer.send(Uint8Array.of(byte));
  assert.equal((await peer.receive())?.type, connack);
  assert.equal((await peer.receive())?.type, puback);
  assert.deepEqual(message(await site.receive()), [topic, "slow"]);
});

Deno.test("packets that arrive together are understood, large ones before the login is done", async () => {
  await using broker = await open();
  using site = await listener(broker);
  using peer = await RawPeer.open(broker.port);
  const topic = "edgeward/meter/up/lamp-1";
  const large = "x".repeat(200_000);
  const sent = [...Array.from({ length: 30 }, (_, i) => `${i}`), large, "last"];
  await peer.send(
    connectPacket("lamp-1"),
    ...sent.map((text, i) => publishPacket(topic, utf8(text), { id: i + 1 })),
  );
  assert.equal((await peer.receive())?.type, connack);
  for (const text of sent) {
    assert.equal((await peer.receive())?.type, puback);
    assert.deepEqual(message(await site.receive()), [topic, text]);
  }
});

Deno.test("the clients are counted, and the site is let in when it is full", async () => {
  await using broker = await open({ limits: { clients: 2 } });
  using _first = await RawPeer.login(broker.port, "first");
  using _second = await RawPeer.login(broker.port, "second");
  using third = await RawPeer.open(broker.port);
  await third.send(connectPacket("third"));
  assert.equal((await third.receive())?.body[1], 3);
  using _site = await RawPeer.login(broker.port, "edgeward-site", operator);
});

Deno.test("connections beyond the cap are closed before they are read", async () => {
  await using broker = await open({ limits: { clients: 1 } });
  using stack = new DisposableStack();
  for (let i = 0; i < 65; i++) stack.use(await RawPeer.open(broker.port));
  using peer = await RawPeer.open(broker.port);
  assert.equal(await peer.receive(), undefined);
});

Deno.test("a connection that does not log in is closed", async () => {
  await using broker = await open({ limits: { connectTimeout: 20 } });
  using peer = await RawPeer.open(broker.port);
  await peer.send(Uint8Array.of(0x10));
  assert.equal(await peer.receive(), undefined);
});

Deno.test("garbage ends its own connection only", async () => {
  await using broker = await open();
  using site = await RawPeer.login(broker.port, "edgeward-site", operator);
  const inputs = ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0\0\0\0", "\x10\x02\x00\x04", "\xf0\x00"];
  for (const input of inputs) {
    using peer = await RawPeer.open(broker.port);
    await peer.send(Uint8Array.from(input, (c) => c.charCodeAt(0)));
    assert.equal(await peer.receive(), undefined, JSON.stringify(input));
  }
  await site.send(publishPacket("still/here", utf8("x"), { id: 1 }));
  assert.equal((await site.receive())?.type, puback);
});

Deno.test("a busy port is named", async () => {
  await using broker = await open();
  await assert.rejects(open({ port: broker.port }), (error) => {
    assert.ok(error instanceof MqttError);
    assert.equal(error.code, "port_busy");
    assert.equal(error.message, `Cannot listen on 127.0.0.1:${broker.port}: the port is in use`);
    return true;
  });
});

Deno.test("a foreign address cannot be listened on", async () => {
  await assert.rejects(open({ hostname: "192.0.2.1" }), { code: "listen_failed" });
});

Deno.test("stopping cuts every connection, frees the port and may be repeated", async () => {
  const broker = await open();
  using peer = await RawPeer.login(broker.port, "lamp-1");
  using stranger = await RawPeer.open(broker.port);
  await stranger.send(Uint8Array.of(0x10));
  await Promise.all([broker[Symbol.asyncDispose](), broker[Symbol.asyncDispose]()]);
  assert.equal(await peer.receive(), undefined);
  assert.equal(await stranger.receive(), undefined);
  await using again = await open({ port: broker.port });
  using _peer = await RawPeer.login(again.port, "lamp-1");
});
