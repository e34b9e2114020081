/** What a hostile or broken client of the embedded broker can take: its own connection, no more. */
import assert from "node:assert/strict";
import { utf8 } from "../../base/bytes.ts";
import type { Id } from "../../base/id.ts";
import type { Reason } from "./_limits.ts";
import { connectPacket, packet, publishPacket, RawPeer, subscribePacket } from "./_raw_peer.ts";
import { listener, message, open, operator, type TestBroker } from "./_test_broker.ts";

const connack = 2, puback = 4, suback = 9, pingresp = 13;
const topic = "edgeward/meter/up/lamp-1";

/** Two who were there before, and find each other when all is over. */
async function bystanders(broker: TestBroker) {
  const site = await listener(broker);
  const good = await RawPeer.login(broker.port, "good");
  return {
    async areFine() {
      await good.send(publishPacket("edgeward/meter/up/good", utf8("fine"), { id: 1 }));
      assert.equal((await good.receive())?.type, puback);
      let received = message(await site.receive());
      while (received[0] === topic) received = message(await site.receive());
      assert.deepEqual(received, ["edgeward/meter/up/good", "fine"]);
    },
    [Symbol.dispose]() {
      good[Symbol.dispose]();
      site[Symbol.dispose]();
    },
  };
}

/** Reads until the broker hangs up. */
async function isCut(peer: RawPeer): Promise<void> {
  while (await peer.receive() !== undefined);
}

Deno.test("a packet of 1 MB is refused", async () => {
  await using broker = await open();
  using others = await bystanders(broker);
  using peer = await RawPeer.login(broker.port, "lamp-1");
  // The broker hangs up while most of it is still under way.
  const sending = peer.send(publishPacket(topic, new Uint8Array(1_000_000), { id: 1 }));
  await isCut(peer);
  await sending.catch(() => {});
  assert.equal(await broker.refused("too_large"), 1);
  await others.areFine();
});

Deno.test("a topic of 500 levels is refused: published, subscribed to, as a will", async () => {
  await using broker = await open();
  using others = await bystanders(broker);
  const deep = `${"a/".repeat(499)}a`;
  for (const login of [{}, operator]) {
    using publisher = await RawPeer.login(broker.port, "lamp-1", login);
    await publisher.send(publishPacket(deep, utf8("x"), { id: 1 }));
    await isCut(publisher);
    for (const filter of [deep, `${"+/".repeat(499)}#`]) {
      using subscriber = await RawPeer.login(broker.port, "lamp-1", login);
      await subscriber.send(subscribePacket(1, [filter]));
      await isCut(subscriber);
    }
    const will = { topic: deep, payload: utf8("gone") };
    using _dying = await RawPeer.login(broker.port, "lamp-1", { ...login, will });
  }
  await others.areFine();
});

Deno.test("names of JavaScript's own are names like any other", async () => {
  await using broker = await open();
  using site = await listener(broker);
  for (const id of ["__proto__", "constructor", "hasOwnProperty"]) {
    using peer = await RawPeer.login(broker.port, id);
    await peer.send(subscribePacket(1, [`edgeward/meter/down/${id}`]));
    assert.equal((await peer.receive())?.type, suback);
    await peer.send(publishPacket(`edgeward/meter/up/${id}`, utf8("x")));
    assert.equal(message(await site.receive())[0], `edgeward/meter/up/${id}`);
    await site.send(publishPacket(`edgeward/meter/down/${id}`, utf8("y")));
    assert.equal(message(await peer.receive())[1], "y");
    assert.equal(message(await site.receive())[1], "y");
  }
});

Deno.test("who sends too fast is slowed down and gets everything through", async () => {
  await using broker = await open({ limits: { messagesPerSecond: 500 } });
  using peer = await RawPeer.login(broker.port, "lamp-1");
  const flood = Array.from(
    { length: 1_200 },
    (_, i) => publishPacket(topic, utf8(""), { id: i + 1 }),
  );
  await peer.send(...flood);
  for (let i = 0; i < flood.length; i++) assert.equal((await peer.receive())?.type, puback);
  assert.equal(await broker.refused("rate"), 0);
});

Deno.test("who goes on sending too fast is cut", async () => {
  await using broker = await open({ limits: { messagesPerSecond: 100, patience: 50 } });
  using others = await bystanders(broker);
  using peer = await RawPeer.login(broker.port, "lamp-1");
  const sending = peer.send(
    ...Array.from({ length: 50_000 }, () => publishPacket(topic, utf8("flood"))),
  );
  await isCut(peer);
  await sending.catch(() => {});
  assert.equal(await broker.refused("rate"), 1);
  await others.areFine();
});

Deno.test("a subscriber that does not read is cut, and the others do not wait for it", async () => {
  await using broker = await open();
  using site = await RawPeer.login(broker.port, "edgeward-site", operator);
  using frozen = await RawPeer.login(broker.port, "frozen");
  using good = await RawPeer.login(broker.port, "good");
  const down = (id: string) => `edgeward/unlock/down/${id}`;
  for (const [peer, id] of [[frozen, "frozen"], [good, "good"]] as const) {
    await peer.send(subscribePacket(1, [down(id)]));
    assert.equal((await peer.receive())?.type, suback);
  }
  const payload = new Uint8Array(200_000);
  for (let i = 1; await broker.refused("slow_reader") === 0; i++) {
    assert.ok(i < 500, "100 MB wait for a subscriber that does not read");
    await site.send(publishPacket(down("frozen"), payload, { id: i }));
    assert.equal((await site.receive())?.type, puback);
    await site.send(publishPacket(down("good"), utf8(`${i}`)));
    assert.deepEqual(message(await good.receive()), [down("good"), `${i}`]);
  }
  await isCut(frozen);
});

Deno.test("a subscriber that never acknowledges gets its messages once and is forgotten", async () => {
  await using broker = await open();
  using site = await RawPeer.login(broker.port, "edgeward-site", operator);
  const down = "edgeward/unlock/down/lamp-1";
  {
    using peer = await RawPeer.login(broker.port, "lamp-1", { clean: false });
    await peer.send(subscribePacket(1, [down]));
    assert.equal((await peer.receive())?.type, suback);
    for (let i = 1; i <= 500; i++) {
      await site.send(publishPacket(down, utf8(`${i}`), { id: i }));
      assert.equal((await site.receive())?.type, puback);
      assert.deepEqual(message(await peer.receive()), [down, `${i}`]);
    }
  }
  using again = await RawPeer.login(broker.port, "lamp-1", { clean: false });
  await again.send(packet(0xc0));
  assert.equal((await again.receive())?.type, pingresp);
});

Deno.test("a subscriber that leaves too much unacknowledged is cut", async () => {
  await using broker = await open({ limits: { unacknowledged: 10, unacknowledgedBytes: 100_000 } });
  using site = await RawPeer.login(broker.port, "edgeward-site", operator);
  const down = "edgeward/unlock/down/lamp-1";
  for (const [size, count] of [[1, 11], [30_000, 4]] as const) {
    using peer = await RawPeer.login(broker.port, "lamp-1");
    await peer.send(subscribePacket(1, [down]));
    assert.equal((await peer.receive())?.type, suback);
    for (let i = 1; i <= count + 5; i++) {
      await site.send(publishPacket(down, new Uint8Array(size), { id: i }));
      assert.equal((await site.receive())?.type, puback);
      if (i > 5) continue;
      const { body } = (await peer.receive())!;
      const id = 2 + (body[0]! << 8 | body[1]!);
      await peer.send(packet(0x40, body.slice(id, id + 2)));
      // The broker has seen the acknowledgement when it answers what came after it.
      await peer.send(packet(0xc0));
      assert.equal((await peer.receive())?.type, pingresp);
    }
    await isCut(peer);
  }
  assert.equal(await broker.refused("slow_reader"), 2);
});

Deno.test("who is silent beyond the longest keep-alive is cut, whatever it asked for", async () => {
  await using broker = await open({ limits: { keepAlive: 20 } });
  for (const keepAlive of [0, 1, 65_535]) {
    using peer = await RawPeer.login(broker.port, "lamp-1", { keepAlive });
    assert.equal(await peer.receive(), undefined);
  }
  assert.equal(await broker.refused("silent"), 3);
});

Deno.test("a will is bounded like any packet, and never sent with QoS 2", async () => {
  await using broker = await open();
  using site = await listener(broker);
  {
    using peer = await RawPeer.open(broker.port);
    await peer.send(connectPacket("lamp-1", { will: { topic, payload: new Uint8Array(17_000) } }));
    assert.equal(await peer.receive(), undefined);
  }
  {
    const will = { topic, payload: utf8("gone"), qos: 2 as const };
    using _peer = await RawPeer.login(broker.port, "lamp-1", { will });
  }
  const received = await site.receive();
  assert.deepEqual(message(received), [topic, "gone"]);
  assert.equal(received!.flags >> 1 & 3, 1);
});

Deno.test("publishing with QoS 2 ends the connection", async () => {
  await using broker = await open();
  for (const login of [{}, operator]) {
    using peer = await RawPeer.login(broker.port, "lamp-1", login);
    await peer.send(publishPacket(topic, utf8("x"), { id: 1, qos: 2 }));
    assert.equal(await peer.receive(), undefined);
  }
  assert.equal(await broker.refused("qos2"), 2);
});

Deno.test("a peer that the host does not know is kept out, one that it drops is cut at once", async () => {
  const welcome = new Set(["lamp-1"]);
  await using broker = await open({ allows: (id) => welcome.has(id) });
  {
    using stranger = await RawPeer.open(broker.port);
    await stranger.send(connectPacket("lamp-2"));
    const answer = await stranger.receive();
    assert.deepEqual([answer?.type, answer?.body[1]], [connack, 5]);
  }
  using site = await listener(broker);
  const will = { topic, payload: utf8("a last word") };
  using peer = await RawPeer.login(broker.port, "lamp-1", { will });
  welcome.delete("lamp-1");
  broker.disconnect("lamp-1" as Id);
  assert.equal(await peer.receive(), undefined);
  broker.disconnect("edgeward-site" as Id);
  broker.disconnect("nobody" as Id);
  await site.send(publishPacket("still/here", utf8("x")));
  assert.deepEqual(message(await site.receive()), ["still/here", "x"]);
  assert.deepEqual([await broker.refused("stranger"), await broker.refused("revoked")], [1, 1]);
});

Deno.test("of many connections under one id one stays, and nothing is miscounted", async () => {
  await using broker = await open();
  using site = await listener(broker);
  using stack = new DisposableStack();
  // aedes ends a client that has subscriptions a little later than it says.
  const first = stack.use(await RawPeer.login(broker.port, "lamp-1"));
  await first.send(subscribePacket(1, ["edgeward/meter/down/lamp-1"]));
  assert.equal((await first.receive())?.type, suback);
  const peers = [first];
  for (let i = 0; i < 30; i++) peers.push(stack.use(await RawPeer.open(broker.port)));
  await Promise.all(peers.slice(1).map((peer) => peer.send(connectPacket("lamp-1"))));
  const left = new Set(peers);
  const cut = peers.map((peer) => isCut(peer).then(() => left.delete(peer)));
  while (left.size > 1) await Promise.race(cut.filter((_, i) => left.has(peers[i]!)));
  const [last] = left;
  await last!.send(publishPacket(topic, utf8("the last one")));
  assert.deepEqual(message(await site.receive()), [topic, "the last one"]);
  assert.equal(await broker.clients(), 1);
  assert.equal(await broker.refused("takeover"), 30);
  broker.disconnect("lamp-1" as Id);
  await Promise.all(cut);
  assert.equal(await broker.clients(), 0);
});

Deno.test("every refusal is counted under its reason", async () => {
  await using broker = await open({ limits: { clients: 1, connectTimeout: 50 } });
  const attempts: [Reason, Uint8Array][] = [
    ["client_id", connectPacket("a/b")],
    ["login", connectPacket("lamp-1", { username: "operator", password: "wrong" })],
    ["malformed", packet(0x10, utf8("nonsense"))],
    ["too_large", Uint8Array.of(0x10, 0xff, 0xff, 0xff, 0x7f)],
    ["slow_login", Uint8Array.of(0x10)],
  ];
  for (const [reason, bytes] of attempts) {
    using peer = await RawPeer.open(broker.port);
    await peer.send(bytes);
    await isCut(peer);
    assert.equal(await broker.refused(reason), 1, reason);
  }
  using peer = await RawPeer.login(broker.port, "lamp-1");
  assert.equal(await broker.clients(), 1);
  using other = await RawPeer.open(broker.port);
  await other.send(connectPacket("lamp-2"));
  assert.equal((await other.receive())?.body[1], 3);
  await peer.send(subscribePacket(1, ["#"]), publishPacket("elsewhere", utf8("x")));
  await isCut(peer);
  for (const reason of ["full", "subscription", "topic"] as const) {
    assert.equal(await broker.refused(reason), 1, reason);
  }
});

Deno.test("a thousand connections that come and go leave nothing behind", async () => {
  const args = [
    "run",
    "--v8-flags=--expose-gc",
    "-A",
    new URL("_churn.ts", import.meta.url).pathname,
  ];
  const { stdout, success } = await new Deno.Command(Deno.execPath(), { args }).output();
  assert.ok(success);
  const heaps: number[] = JSON.parse(new TextDecoder().decode(stdout));
  // The first thousand fill caches. Whatever keeps a connection keeps kilobytes of it.
  const grown = heaps.at(-1)! - heaps.at(-2)!;
  assert.ok(grown < 1_000_000, `the heap has grown: ${heaps}`);
});
