/** Both sides of an association: what they store when, and which keys are in use. */
import assert from "node:assert/strict";
import { toHex } from "../../base/bytes.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import { decodeConnect, pskOfCode } from "./connect.ts";
import { DeviceSide } from "./device_side.ts";
import { GatewaySide } from "./gateway_side.ts";
import { hmacLabels } from "./keys.ts";
import { decodeEnvelope } from "./message.ts";
import { approve, call, codeOfTests, device, open, pairOf, take } from "./_test_pair.ts";

const suite = nativeSuite();
const psk = pskOfCode(suite, codeOfTests);
const days = 24 * 60 * 60 * 1000;
const done = (id: string) => ({ kind: "response", id, result: "done" }) as const;

Deno.test("both sides call each other once the device has called first", () => {
  for (const label of hmacLabels) {
    const pair = pairOf(suite, { label });
    assert.deepEqual([pair.gateway.isConfirmed, pair.gateway.label], [false, null]);
    assert.throws(() => call(pair.gateway, "g"), { code: "no_keys" });
    const first = take(pair.gateway, call(pair.device, "a", { level: 3 }));
    assert.deepEqual([first.rpc.id, first.first], ["a", true]);
    assert.deepEqual([pair.gateway.isConfirmed, pair.gateway.label], [true, label]);
    assert.equal(pair.device.isConfirmed, false);
    const answer = take(pair.device, first.answer(done("a")));
    assert.deepEqual([answer.rpc, answer.first], [done("a"), true]);
    assert.equal(pair.device.isConfirmed, true);
    const request = take(pair.device, call(pair.gateway, "g"));
    assert.equal(request.first, false);
    assert.deepEqual(take(pair.gateway, request.answer(done("g"))).rpc, done("g"));
    assert.equal(take(pair.gateway, call(pair.device, "b")).first, false);
  }
});

Deno.test("a repetition gets the same answer, and none while there is none yet", () => {
  const pair = pairOf(suite);
  const message = call(pair.device, "a");
  const fresh = take(pair.gateway, message);
  const again = () => {
    const arrival = open(pair.gateway, message);
    assert.equal(arrival.kind, "duplicate");
    return arrival.kind === "duplicate" ? arrival.answer : undefined;
  };
  assert.equal(again(), null);
  const answer = fresh.answer(done("a"));
  assert.deepEqual(again(), answer);
  for (let i = 0; i < 63; i++) take(pair.gateway, call(pair.device, `${i}`));
  assert.deepEqual(again(), answer);
  take(pair.gateway, call(pair.device, "last"));
  assert.throws(again, { code: "replayed" });
});

Deno.test("nobody answers before the state is stored, or another call than the one that came", () => {
  const pair = pairOf(suite);
  const arrival = open(pair.gateway, call(pair.device, "a"));
  assert.ok(arrival.kind === "fresh");
  assert.throws(() => arrival.answer(done("a")), { code: "not_stored" });
  arrival.save.stored();
  assert.throws(() => arrival.answer(done("b")), { code: "malformed" });
  const answer = take(pair.device, arrival.answer(done("a")));
  assert.throws(() => answer.answer(done("a")), { code: "malformed" });
});

Deno.test("counters are used only when 100 ahead are stored, and never twice", () => {
  const pair = pairOf(suite);
  take(pair.gateway, call(pair.device, "a"));
  for (const side of [pair.gateway, pair.device] as const) {
    const counters = new Set<number>();
    const next = () => {
      const request = { kind: "request", method: "ping", id: "x" } as const;
      const { counter } = decodeEnvelope(side.request(request));
      assert.ok(!counters.has(counter));
      counters.add(counter);
    };
    while (!side.mustReserve) next();
    assert.throws(next, { code: "not_reserved" });
    const unstored = side.reserve();
    assert.throws(next, { code: "not_reserved" });
    unstored.stored();
    unstored.stored();
    for (let i = 0; i < 100; i++) next();
    assert.ok(side.mustReserve);
    assert.throws(next, { code: "not_reserved" });
  }
});

Deno.test("a side that is restored goes on behind what it may have used", () => {
  const pair = pairOf(suite);
  const message = call(pair.device, "a");
  const arrival = take(pair.gateway, message);
  const before = decodeEnvelope(arrival.answer(done("a"))).counter;
  const gateway = new GatewaySide(suite, { device, clock: () => 0, state: arrival.save.state });
  assert.deepEqual([gateway.isConfirmed, gateway.label], [true, pair.gateway.label]);
  assert.throws(() => open(gateway, message), { code: "replayed" });
  const after = call(gateway, "g");
  assert.equal(decodeEnvelope(after).counter, before + 100);
  const { state } = take(pair.device, after).save;
  const restored = new DeviceSide(suite, { device, psk, clock: () => 0, state });
  assert.throws(() => open(restored, after), { code: "replayed" });
  assert.equal(take(gateway, call(restored, "b")).rpc.id, "b");
});

Deno.test("a state is one device's, whole, and shows no key", () => {
  const pair = pairOf(suite);
  const { state } = take(pair.gateway, call(pair.device, "a")).save;
  assert.equal(`${state} ${JSON.stringify({ state })}`, '[redacted] {"state":"[redacted]"}');
  const other = "esp32_b" as typeof device;
  assert.throws(() => new GatewaySide(suite, { device: other, clock: () => 0, state }), {
    code: "malformed",
  });
  const bytes = state.reveal();
  bytes.set([0], bytes.length - 1);
  assert.throws(() => new DeviceSide(suite, { device, psk, clock: () => 0, state }), {
    code: "malformed",
  });
});

Deno.test("new keys take over with the device's first message under them, and not before", () => {
  const pair = pairOf(suite);
  take(pair.gateway, call(pair.device, "a"));
  const connect = decodeConnect(pair.device.connect());
  const approved = pair.gateway.approve(connect, psk);
  approved.save.stored();
  const late = call(pair.device, "late");
  assert.equal(take(pair.gateway, call(pair.device, "old")).first, false);
  pair.device.approve(approved.approve).stored();
  const arrival = take(pair.gateway, call(pair.device, "new"));
  assert.equal(arrival.first, true);
  assert.throws(() => open(pair.gateway, late), { code: "forged" });
  take(pair.device, arrival.answer(done("new")));
});

Deno.test("an answer under keys that were replaced meanwhile is not sent", () => {
  const pair = pairOf(suite);
  const arrival = take(pair.gateway, call(pair.device, "a"));
  approve(suite, pair);
  take(pair.gateway, call(pair.device, "b"));
  assert.throws(() => arrival.answer(done("a")), { code: "no_keys" });
});

Deno.test("whichever of four approves the device has heard, it gets in; candidates are restored", () => {
  for (let heard = 0; heard < 5; heard++) {
    const pair = pairOf(suite);
    take(pair.gateway, call(pair.device, "a"));
    const connect = decodeConnect(pair.device.connect());
    const approves = Array.from({ length: 5 }, () => pair.gateway.approve(connect, psk));
    const { state } = approves[4]!.save;
    const gateway = new GatewaySide(suite, { device, clock: () => 0, state });
    pair.device.approve(approves[heard]!.approve).stored();
    const message = call(pair.device, "b");
    // one more than there is room for: the oldest has given way
    if (heard === 0) assert.throws(() => open(gateway, message), { code: "forged" });
    else assert.equal(take(gateway, message).first, true);
  }
});

Deno.test("keys end after 30 days, candidates after one", () => {
  let now = 5;
  const clock = () => now;
  const gateway = new GatewaySide(suite, { device, clock });
  const pair = { gateway, device: new DeviceSide(suite, { device, psk, clock }) };
  approve(suite, pair);
  now += days + 1;
  assert.throws(() => open(gateway, call(pair.device, "late")), { code: "no_keys" });
  approve(suite, pair);
  assert.equal(gateway.expires, now + days);
  take(gateway, call(pair.device, "a"));
  assert.equal(gateway.expires, now + 30 * days);
  now += 30 * days;
  const last = call(pair.device, "b");
  take(gateway, last);
  assert.ok(pair.device.isApproved && gateway.isConfirmed);
  now += 1;
  assert.throws(() => open(gateway, last), { code: "no_keys" });
  assert.throws(() => call(gateway, "g"), { code: "no_keys" });
  assert.throws(() => call(pair.device, "c"), { code: "no_keys" });
  assert.deepEqual([gateway.isConfirmed, gateway.expires], [false, null]);
  approve(suite, pair);
  take(gateway, call(pair.device, "d"));
});

Deno.test("wipe() leaves no keys, neither in the side nor in what it stores next", () => {
  const pair = pairOf(suite);
  take(pair.gateway, call(pair.device, "a"));
  approve(suite, pair);
  const message = call(pair.device, "b");
  pair.gateway.wipe();
  assert.throws(() => open(pair.gateway, message), { code: "no_keys" });
  const { state } = pair.gateway.reserve();
  const restored = new GatewaySide(suite, { device, clock: () => 0, state });
  assert.equal(restored.expires, null);
  pair.device.wipe();
  assert.throws(() => call(pair.device, "c"), { code: "no_keys" });
});

Deno.test("the device repeats its connect until it hears an approve, and takes one only", () => {
  const gateway = new GatewaySide(suite, { device, clock: () => 0 });
  const side = new DeviceSide(suite, { device, psk, clock: () => 0 });
  const connect = side.connect();
  assert.deepEqual(side.connect(), connect);
  const approves = [0, 1].map(() => gateway.approve(decodeConnect(connect), psk).approve);
  side.approve(approves[0]!).stored();
  assert.throws(() => side.approve(approves[1]!), { code: "not_connecting" });
  assert.notDeepEqual(side.connect(), connect);
  const known = suite.x25519.keyPair();
  const static_ = new DeviceSide(suite, { device, psk, clock: () => 0, keyPair: known });
  for (let i = 0; i < 2; i++) {
    const connect = decodeConnect(static_.connect());
    assert.deepEqual(connect.publicKey, known.publicKey);
    static_.approve(gateway.approve(connect, psk).approve).stored();
    take(gateway, call(static_, "a"));
  }
});

Deno.test("a device that is given old keys once more uses none of their counters again", () => {
  const gateway = new GatewaySide(suite, { device, clock: () => 0 });
  const keyPair = suite.x25519.keyPair();
  // it stores nothing, and its clock begins anew with it
  const booted = () => new DeviceSide(suite, { device, psk, clock: () => 0, keyPair });
  const { approve } = gateway.approve(decodeConnect(booted().connect()), psk);
  const lives = [0, 1].map(() => {
    const side = booted();
    side.connect();
    side.approve(approve).stored();
    return Array.from({ length: 100 }, (_, i) => toHex(decodeEnvelope(call(side, `${i}`)).nonce));
  });
  assert.equal(new Set(lives.flat()).size, 200);
});

Deno.test("what opens says with which key of the device its keys were agreed on", () => {
  const gateway = new GatewaySide(suite, { device, clock: () => 0 });
  const pairs = [suite.x25519.keyPair(), suite.x25519.keyPair()] as const;
  const sides = pairs.map((keyPair) => {
    const side = new DeviceSide(suite, { device, psk, clock: () => 0, keyPair });
    side.approve(gateway.approve(decodeConnect(side.connect()), psk).approve).stored();
    return side;
  });
  for (const [i, side] of sides.entries()) {
    const message = call(side, "a");
    const { key, save: { state } } = take(gateway, message);
    assert.deepEqual(key, pairs[i]!.publicKey);
    assert.deepEqual(gateway.key, key);
    assert.deepEqual(open(gateway, message).key, key);
    const restored = new GatewaySide(suite, { device, clock: () => 0, state });
    assert.deepEqual(restored.key, key);
    assert.deepEqual(open(restored, call(side, "b")).key, key);
  }
});

Deno.test("the halves end at their last counters", () => {
  // what a test cannot count up to: the last block of each half, as it would be stored
  const pair = pairOf(suite);
  const state = take(pair.gateway, call(pair.device, "a")).save.state;
  const next = [0x1a, 0x80, 0x00, 0x00, 0x64]; // 2^31 + 100, as CBOR
  const bytes = state.reveal();
  const at = bytes.findIndex((_, i) => next.every((byte, k) => bytes[i + k] === byte));
  bytes.set([0x1a, 0xff, 0xff, 0xff, 0xfe], at);
  const gateway = new GatewaySide(suite, { device, clock: () => 0, state });
  for (const counter of [2 ** 32 - 2, 2 ** 32 - 1]) {
    assert.equal(decodeEnvelope(call(gateway, "g")).counter, counter);
  }
  assert.throws(() => call(gateway, "g"), { code: "exhausted" });
  const restored = new GatewaySide(suite, {
    ...{ device, clock: () => 0, state: gateway.reserve().state },
  });
  assert.throws(() => call(restored, "g"), { code: "exhausted" });
});
