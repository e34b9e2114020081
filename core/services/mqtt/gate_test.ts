/** The gate between a connection and aedes, packet by packet, on a clock that the test winds. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import fc from "fast-check";
import { concat, utf8 } from "../../base/bytes.ts";
import { Framer } from "./_framer.ts";
import { Gate } from "./_gate.ts";
import { type BrokerLimits, defaultLimits, type Reason } from "./_limits.ts";
import { connectPacket, packet, publishPacket } from "./_raw_peer.ts";
import { TokenBucket } from "./_token_bucket.ts";

const message = publishPacket("a", utf8("x"));

/** A gate before a stream that a test fills, and that nobody reads from the other side. */
function gated(limits: Partial<BrokerLimits> = {}) {
  const cuts: Reason[] = [];
  const clock = { now: 0 };
  const stream = new Duplex({ read() {}, write() {}, readableHighWaterMark: 64 * 1024 });
  stream.on("error", () => {});
  // The stream hands bytes out to somebody who waits for them, as aedes does.
  stream.on("readable", () => {});
  const gate = new Gate(stream, {
    limits: { ...defaultLimits, ...limits },
    now: () => clock.now,
    cut(reason) {
      cuts.push(reason);
      stream.destroy();
    },
  });
  return {
    cuts,
    clock,
    gate,
    stream,
    /** Logs in; then a turn of the loop has passed. */
    async login(isFree = false) {
      stream.push(connectPacket("lamp-1"));
      assert.deepEqual(stream.read(), Buffer.from(connectPacket("lamp-1")));
      gate.open({ isFree });
      await turn();
    },
    [Symbol.dispose]: () => void stream.destroy(),
  };
}

/** Until the gate lets aedes ask again. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** How many messages come out in this turn of the loop. */
async function passed(stream: Duplex): Promise<number> {
  const bytes: Buffer | null = stream.read();
  await turn();
  return (bytes?.length ?? 0) / message.length;
}

Deno.test("only CONNECT passes, and nothing more until the client is logged in", async () => {
  using opened = gated();
  const { stream, gate } = opened;
  stream.push(concat(connectPacket("lamp-1"), message, message));
  assert.deepEqual(stream.read(), Buffer.from(connectPacket("lamp-1")));
  await turn();
  assert.equal(stream.read(), null);
  gate.open({ isFree: false });
  await turn();
  assert.equal(await passed(stream), 2);
});

Deno.test("a first packet that is no CONNECT is malformed", () => {
  using opened = gated();
  opened.stream.push(message);
  assert.equal(opened.stream.read(), null);
  assert.deepEqual(opened.cuts, ["malformed"]);
});

Deno.test("packets come out whole and some at a time, however they came in", async () => {
  using opened = gated({ messagesPerSecond: 1_000_000 });
  const { stream } = opened;
  await opened.login();
  const bytes = concat(...Array.from({ length: 100 }, () => message));
  stream.push(bytes.subarray(0, 7));
  assert.equal(await passed(stream), 1);
  stream.push(bytes.subarray(7));
  const batches: number[] = [];
  for (let sum = 0; sum < 99; sum += batches.at(-1)!) batches.push(await passed(stream));
  assert.deepEqual(batches, [32, 32, 32, 3]);
});

Deno.test("nothing is handed out while aedes parses", async () => {
  using opened = gated();
  const { stream } = opened;
  await opened.login();
  stream.push(message);
  assert.notEqual(stream.read(), null);
  stream.push(message);
  assert.equal(stream.read(), null);
  await turn();
  assert.equal(await passed(stream), 1);
});

Deno.test("what exceeds the rate is not read from the connection", async () => {
  using opened = gated({ messagesPerSecond: 10 });
  const { stream, clock } = opened;
  await opened.login();
  const flood = concat(...Array.from({ length: 5_000 }, () => message));
  // CONNECT was one of the twenty that may come at once.
  stream.push(flood);
  assert.equal(await passed(stream), 19);
  // What came is with the gate; as much again and more is left to the stream, which says stop.
  assert.equal(stream.push(concat(flood, flood, flood)), false);
  assert.equal(await passed(stream), 0);
  clock.now += 1_000;
  assert.equal(await passed(stream), 10);
  assert.equal(await passed(stream), 0);
  clock.now += 60_000;
  assert.deepEqual(opened.cuts, []);
});

Deno.test("bytes count too, and a packet beyond the bytes at hand is paid off afterwards", async () => {
  using opened = gated({ bytesPerSecond: 1_000 });
  const { stream, clock } = opened;
  await opened.login();
  stream.push(publishPacket("a", new Uint8Array(5_000)));
  stream.push(message);
  assert.ok(await passed(stream) > 0);
  assert.equal(await passed(stream), 0);
  clock.now += 3_000;
  assert.equal(await passed(stream), 0);
  clock.now += 1_000;
  assert.equal(await passed(stream), 1);
});

Deno.test("who stays above the rate is cut", async () => {
  using opened = gated({ messagesPerSecond: 10, patience: 1_000 });
  const { stream, clock, cuts } = opened;
  await opened.login();
  stream.push(concat(...Array.from({ length: 100 }, () => message)));
  for (const time of [0, 500, 1_000]) {
    clock.now = time;
    assert.ok(await passed(stream) > 0);
    assert.equal(await passed(stream), 0);
    assert.deepEqual(cuts, []);
  }
  clock.now = 1_500;
  await passed(stream);
  await passed(stream);
  assert.deepEqual(cuts, ["rate"]);
});

Deno.test("who pauses in time may be above the rate again", async () => {
  using opened = gated({ messagesPerSecond: 10, patience: 1_000 });
  const { stream, clock, cuts } = opened;
  await opened.login();
  for (let round = 0; round < 3; round++) {
    stream.push(concat(...Array.from({ length: 25 }, () => message)));
    const first = await passed(stream);
    assert.ok(first >= 19);
    assert.equal(await passed(stream), 0);
    clock.now += 900;
    assert.equal(first + await passed(stream), 25);
    assert.equal(await passed(stream), 0);
    clock.now += 10_000;
  }
  assert.deepEqual(cuts, []);
});

Deno.test("the site's own client is bound by no rate", async () => {
  using opened = gated({ messagesPerSecond: 1, patience: 0 });
  const { stream } = opened;
  await opened.login(true);
  stream.push(concat(...Array.from({ length: 64 }, () => message)));
  assert.equal(await passed(stream) + await passed(stream), 64);
});

Deno.test("messages that aedes is busy with hold up the next ones", async () => {
  using opened = gated({ messagesPerSecond: 1_000 });
  const { stream, gate } = opened;
  await opened.login();
  stream.push(concat(...Array.from({ length: 64 }, () => message)));
  assert.equal(await passed(stream), 32);
  const payload = utf8("x");
  for (let i = 0; i < 32; i++) gate.begin(payload);
  assert.equal(await passed(stream), 0);
  gate.end(payload);
  await turn();
  assert.equal(await passed(stream), 32);
  gate.begin(new Uint8Array(256 * 1024));
  stream.push(message);
  assert.equal(await passed(stream), 0);
});

Deno.test("a packet of QoS 2, of a broker, or too large for its kind is refused", async () => {
  const refused: [Uint8Array, Reason][] = [
    [publishPacket("a", utf8("x"), { id: 1, qos: 2 }), "qos2"],
    [publishPacket("a", new Uint8Array(300_000)), "too_large"],
    [packet(0x82, new Uint8Array(20_000)), "too_large"],
    [packet(0x40, new Uint8Array(3)), "too_large"],
    [packet(0xc0, new Uint8Array(1)), "too_large"],
    [packet(0x20, new Uint8Array(2)), "malformed"],
    [packet(0x00), "malformed"],
    [packet(0xf0), "malformed"],
    [Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80, 0), "malformed"],
  ];
  for (const [bytes, reason] of refused) {
    using opened = gated();
    await opened.login();
    opened.stream.push(bytes);
    while (opened.cuts.length === 0 && await passed(opened.stream) > 0);
    assert.deepEqual(opened.cuts, [reason]);
  }
});

Deno.test("a subscriber is cut when too much waits for it; writing to it never waits", async () => {
  using opened = gated({ queuedBytes: 1_000 });
  const { stream, cuts } = opened;
  await opened.login();
  for (let i = 0; i < 10; i++) assert.equal(stream.write(new Uint8Array(100)), true);
  assert.deepEqual(cuts, []);
  assert.equal(stream.write(new Uint8Array(100)), true);
  assert.deepEqual(cuts, ["slow_reader"]);
});

Deno.test("the site's own client may make the writer wait", async () => {
  using opened = gated({ queuedBytes: 1_000 });
  await opened.login(true);
  assert.equal(opened.stream.write(new Uint8Array(100_000)), false);
  assert.deepEqual(opened.cuts, []);
});

Deno.test("Framer cuts any stream of packets, in any pieces, into those packets", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 8 }),
    fc.array(fc.nat()),
    (sizes, cuts) => {
      const packets = sizes.map((size, i) => publishPacket("a", new Uint8Array(size).fill(i)));
      const stream = concat(...packets);
      const edges = cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b);
      const framer = new Framer(1_000);
      const out: Uint8Array[] = [];
      for (const [i, end] of [...edges, stream.length].entries()) {
        framer.push(stream.slice(edges[i - 1] ?? 0, end));
        for (let next = framer.next(); next !== undefined; next = framer.next()) out.push(next);
      }
      assert.deepEqual(out.map((bytes) => [...bytes]), packets.map((bytes) => [...bytes]));
    },
  ));
});

Deno.test("TokenBucket lends, and holds its rate over any time", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(2_000), fc.integer({ min: 1, max: 500 })), { maxLength: 50 }),
    (steps) => {
      const bucket = new TokenBucket({ rate: 100, size: 200 }, 0);
      let now = 0, taken = 0;
      for (const [pause, amount] of steps) {
        now += pause;
        if (bucket.wait(now) > 0) continue;
        bucket.take(amount);
        taken += amount;
      }
      const last = 500;
      assert.ok(taken <= 200 + now / 10 + last);
      const wait = bucket.wait(now);
      assert.equal(bucket.wait(now + wait), 0);
    },
  ));
});
