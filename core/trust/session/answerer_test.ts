/**
 * Whose frames the answering side takes: the reason of each refusal, repetitions, and which session of a
 * device ends when. What strangers can make of it is in answerer_floods_test.ts, what people's
 * decisions make of it in answerer_decisions_test.ts.
 */
import assert from "node:assert/strict";
import { concat, utf8 } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import type { Suite } from "../crypto.ts";
import { RefusedFrame } from "./answerer.ts";
import { decodeFrame, encodeFrame, FrameType } from "./frame.ts";
import { decodeOpening, encodeOpening, encodePrologue, type Hello } from "./hello.ts";
import { applicantIn, approved, enrolled, isUnknown, replyIn, revoked } from "./_test_site.ts";
import { senderIn, type TestDevice, TestSite } from "./_test_site.ts";

const suite = nativeSuite();
const nothing = new Uint8Array(0);
const other = parseId("m-2");
const elsewhere = parseId("site-2");
const half = 30_000;

function siteWith(names: readonly string[]): { site: TestSite; devices: TestDevice[] } {
  const site = new TestSite(suite);
  const devices = names.map((name) => site.device(name));
  for (const { id, key } of devices) site.put(id, approved(key));
  return { site, devices };
}

/** Message 1 of either kind, with these members of the hello changed. */
function both(device: TestDevice, hello: Partial<Hello>): Uint8Array[] {
  return [device.ik(hello).message1, device.xx(hello).message1];
}

function refused(code: string) {
  return (error: unknown) => error instanceof RefusedFrame && error.code === code;
}

/** Message 1 with other versions in clear than the ones that the device had offered. */
function stripped(device: TestDevice, message1: Uint8Array, versions: number[]): Uint8Array {
  const frame = decodeFrame(message1);
  const { hello, noiseMessage } = decodeOpening(frame.body);
  assert.equal(hello.device, device.id);
  const body = encodeOpening(encodePrologue({ ...hello, versions }), noiseMessage);
  return encodeFrame(FrameType.message1, frame.session, 0, body);
}

/** Message 3 of a first contact whose message 1 has been answered. */
function thirdOf(site: TestSite, device: TestDevice): Uint8Array {
  const initiator = device.xx();
  const message2 = replyIn(site.take(initiator.message1));
  return initiator.finish(decodeFrame(message2)).message3;
}

Deno.test("Answerer refuses each frame for its own reason, and nothing changes", () => {
  const { site, devices: [device, gone, late] } = siteWith(["m-1", "m-gone", "m-late"]);
  site.put(gone!.id, revoked(gone!.key));
  site.put(late!.id, enrolled(suite.randomBytes(32), site.now - 1));
  const live = device!.connect();
  site.take(live.seal(utf8("confirms it")));
  const third = thirdOf(site, device!);
  const frame = (type: FrameType) => encodeFrame(type, live.id, 0, new Uint8Array(50));
  const cases: [string, Uint8Array[], topic?: typeof other][] = [
    ["wrong_purpose", both(device!, { purpose: "uplink" })],
    ["wrong_site", both(device!, { site: elsewhere })],
    ["wrong_site", [device!.ik({ site: "" }).message1]],
    ["wrong_device", both(device!, {}), other],
    ["wrong_device", [third], other],
    ["wrong_device", [live.seal(utf8("not his"))], other],
    ["wrong_version", both(device!, { versions: [1, 3] })],
    ["wrong_version", both(device!, { versions: [2, 3] }).map((m) => stripped(device!, m, [3]))],
    ["revoked", both(gone!, {})],
    ["code_expired", both(late!, {})],
    ["unexpected_frame", [frame(FrameType.message2), frame(FrameType.unknown)]],
    ["unexpected_frame", [frame(FrameType.message3)]],
  ];
  const { size } = site.answerer;
  for (const [code, frames, topic] of cases) {
    for (const bytes of frames) assert.throws(() => site.take(bytes, topic), refused(code), code);
  }
  assert.equal(site.answerer.size, size);
  assert.notEqual(senderIn(site.take(live.seal(utf8("well")), device!.id)), null);
  assert.deepEqual(site.take(third, device!.id), { step: "silence" });
});

Deno.test("Answerer opens nothing when the list of versions was stripped to one that it speaks", () => {
  const { site, devices: [device] } = siteWith(["m-1"]);
  const [ik, xx] = both(device!, { versions: [3, 2] })
    .map((message1) => stripped(device!, message1, [2]));
  assert.throws(() => site.take(ik!), { name: "NoiseError", code: "static_forged" });
  assert.throws(() => site.take(xx!), { name: "NoiseError", code: "payload_forged" });
  assert.equal(site.answerer.size, 0);
});

Deno.test("Answerer takes a handshake of each kind that offers its version among others", () => {
  const { site, devices: [device] } = siteWith(["m-1"]);
  for (const message1 of both(device!, { versions: [3, 2] })) {
    assert.equal(decodeFrame(replyIn(site.take(message1))).type, FrameType.message2);
  }
});

Deno.test("Answerer lets a first contact leave the site open, and no other handshake", () => {
  const { site, devices: [device] } = siteWith(["m-1"]);
  assert.throws(() => site.take(device!.ik({ site: "" }).message1), refused("wrong_site"));
  assert.equal(site.answerer.size, 0);
  const { session, step } = device!.meet({ site: "" });
  assert.deepEqual(step, { step: "silence" });
  assert.notEqual(senderIn(site.take(session.seal(nothing))), null);
});

Deno.test("Answerer takes a code until the millisecond at which it expires", () => {
  const site = new TestSite(suite);
  const psk = suite.randomBytes(32);
  const device = site.device("m-1", { psk });
  site.put(device.id, enrolled(psk, site.now + 100));
  for (const ahead of [0, 100, 101]) {
    const now = site.now;
    site.now += ahead;
    for (const message1 of both(device, {})) {
      if (ahead <= 100) replyIn(site.take(message1));
      else assert.throws(() => site.take(message1), refused("code_expired"));
    }
    site.now = now;
  }
});

Deno.test("Answerer gives no session the identifier of a live one", () => {
  // a source of randomness that repeats itself: the same frames then lead to the same session
  const [secret, bytes] = [suite.randomBytes(32), suite.randomBytes(64)];
  const stuck: Suite = {
    ...suite,
    randomBytes: (length) => bytes.slice(0, length),
    x25519: { keyPair: (key = secret) => suite.x25519.keyPair(key) },
  };
  for (const kind of ["ik", "xx"] as const) {
    const site = new TestSite(stuck);
    const device = site.device("m-1", { key: suite.x25519.keyPair() });
    site.put(device.id, approved(device.key));
    const shake = () => kind === "ik" ? device.connect() : device.meet().session;
    const session = shake();
    site.take(session.seal(utf8("confirms it")));
    site.now += half + 1;
    // message 1 of IK alone tells already that there is nothing new in it
    assert.throws(shake, refused(kind === "ik" ? "used_up" : "session_live"), kind);
    assert.equal(site.answerer.size, 1);
    assert.notEqual(senderIn(site.take(session.seal(utf8("still")))), null);
  }
});

Deno.test("Answerer gives the same message 1 the same message 2, as long as it may be finished", () => {
  for (const i of [0, 1]) {
    const { site, devices: [device] } = siteWith(["m-1"]);
    const message1 = both(device!, {})[i]!;
    const message2 = replyIn(site.take(message1));
    for (const wait of [0, 1, half - 1]) {
      site.now += wait;
      assert.deepEqual(replyIn(site.take(message1, device!.id)), message2);
    }
    site.now += 1;
    if (i === 0) assert.throws(() => site.take(message1), refused("used_up"));
    else assert.notDeepEqual(replyIn(site.take(message1)), message2);
    // another message 1 under the same session's name
    const frame = decodeFrame(both(device!, {})[i]!);
    const renamed = encodeFrame(1, decodeFrame(message1).session, 0, frame.body);
    site.now += half + 1;
    assert.notDeepEqual(replyIn(site.take(renamed)), message2);
  }
});

Deno.test("Answerer gives the same message 2 to a message 1 that came twice before its look-up", () => {
  const { site, devices: [device] } = siteWith(["m-1"]);
  for (const message1 of both(device!, {})) {
    const knocks = [0, 1].map(() => site.answerer.take(message1));
    const [one, two] = knocks.map((step) => {
      assert.ok(step.step === "knock");
      return replyIn(site.answerer.admit(step.knock, site.peers.get(device!.id)!));
    });
    assert.deepEqual(one, two);
  }
  assert.equal(site.answerer.size, 1);
});

Deno.test("Answerer keeps four unconfirmed sessions of a device: the oldest gives way", () => {
  const { site, devices: [device, bystander] } = siteWith(["m-1", "m-2"]);
  const spared = bystander!.connect();
  const sessions = Array.from({ length: 6 }, () => device!.connect());
  assert.equal(site.answerer.size, 1 + 4);
  for (const [i, session] of sessions.entries()) {
    const step = site.take(session.seal(nothing));
    if (i < 2) assert.ok(isUnknown(step, session));
    else assert.notEqual(senderIn(step), null);
  }
  assert.notEqual(senderIn(site.take(spared.seal(nothing))), null);
});

Deno.test("Answerer keeps four half contacts of a device: the oldest gives way", () => {
  const { site, devices: [device, bystander] } = siteWith(["m-1", "m-2"]);
  const spared = thirdOf(site, bystander!);
  const thirds = Array.from({ length: 6 }, () => thirdOf(site, device!));
  for (const [i, third] of thirds.entries()) {
    if (i < 2) assert.throws(() => site.take(third), refused("unexpected_frame"));
    else assert.deepEqual(site.take(third), { step: "silence" });
  }
  assert.deepEqual(site.take(spared), { step: "silence" });
});

Deno.test("Answerer waits 30 seconds for message 3, and for the first frame of a session", () => {
  const { site, devices: [device] } = siteWith(["m-1"]);
  const [inTime, late] = [thirdOf(site, device!), thirdOf(site, device!)];
  site.now += half;
  assert.deepEqual(site.take(inTime), { step: "silence" });
  site.now += 1;
  assert.throws(() => site.take(late), refused("unexpected_frame"));
  const [first, second] = [device!.connect(), device!.meet().session];
  site.now += half;
  assert.notEqual(senderIn(site.take(first.seal(nothing))), null);
  site.now += 1;
  assert.ok(isUnknown(site.take(second.seal(nothing)), second));
});

Deno.test("Answerer opens one session for message 3, however often it comes", () => {
  const { site, devices: [device] } = siteWith(["m-1"]);
  const third = thirdOf(site, device!);
  for (let i = 0; i < 3; i++) assert.deepEqual(site.take(third), { step: "silence" });
  assert.equal(site.answerer.size, 1);
  site.now += half + 1;
  assert.throws(() => site.take(third), refused("unexpected_frame"));
});

Deno.test("Answerer tells once of a stranger whose message 3 comes more often", () => {
  const site = new TestSite(suite);
  const third = thirdOf(site, site.device("m-1"));
  assert.equal(applicantIn(site.take(third)).proof, "key");
  assert.deepEqual(site.take(third), { step: "silence" });
});

Deno.test("Answerer takes message 3 once, though a forged one has come before", () => {
  const { site, devices: [device] } = siteWith(["m-1"]);
  const third = thirdOf(site, device!);
  const forged = third.with(third.length - 1, third.at(-1)! ^ 1);
  assert.throws(() => site.take(forged), { code: "payload_forged" });
  assert.equal(site.answerer.size, 0);
  for (let i = 0; i < 2; i++) assert.deepEqual(site.take(third), { step: "silence" });
  assert.equal(site.answerer.size, 1);
});

Deno.test("Answerer replaces a session when the first frame of the new one opens, not before", () => {
  const { site, devices: [device] } = siteWith(["m-1"]);
  const old = device!.connect();
  site.take(old.seal(utf8("1")));
  const next = [device!.connect(), device!.meet().session];
  for (const session of next) {
    assert.notEqual(senderIn(site.take(old.seal(utf8("2")))), null);
    const forged = session.seal(utf8("forged"));
    forged[forged.length - 1]! ^= 1;
    assert.throws(() => site.take(forged), { code: "forged" });
    assert.notEqual(senderIn(site.take(old.seal(utf8("3")))), null);
  }
  assert.notEqual(senderIn(site.take(next[1]!.seal(utf8("4")))), null);
  assert.ok(isUnknown(site.take(old.seal(utf8("5"))), old));
  assert.notEqual(senderIn(site.take(next[0]!.seal(utf8("6")))), null);
  assert.ok(isUnknown(site.take(next[1]!.seal(utf8("7"))), next[1]!));
  assert.equal(site.answerer.size, 1);
});

Deno.test("Answerer gives a message out once, and its answer to each repetition", () => {
  const { site, devices: [device] } = siteWith(["m-1"]);
  const session = device!.connect();
  const frames = Array.from({ length: 66 }, (_, i) => session.seal(utf8(`${i}`)));
  for (const [i, frame] of frames.entries()) {
    const step = site.take(frame);
    assert.ok(step.step === "message");
    assert.deepEqual([step.seq, step.plaintext, step.live.key], [
      ...[i, utf8(`${i}`), device!.key.publicKey],
    ]);
    assert.deepEqual(site.take(frame), { step: "again", answer: undefined });
    site.answerer.remember(step.live, i, utf8(`answer ${i}`));
    assert.deepEqual(site.take(frame), { step: "again", answer: utf8(`answer ${i}`) });
    assert.ok(step.live.answers.size <= 64);
  }
  assert.deepEqual(site.take(frames[2]!), { step: "again", answer: utf8("answer 2") });
  assert.throws(() => site.take(frames[1]!), { name: "SessionError", code: "replayed" });
});

Deno.test("Answerer says that a session is unknown once in 10 seconds to each device", () => {
  const site = new TestSite(suite);
  const stray = encodeFrame(FrameType.data, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 7, nothing);
  const said = { step: "reply", frame: stray.with(1, FrameType.unknown).with(17, 0) } as const;
  const silence = { step: "silence" } as const;
  const [one, two] = [parseId("m-1"), parseId("m-2")];
  assert.deepEqual([one, one, two].map((topic) => site.take(stray, topic)), [said, silence, said]);
  site.now += 9_999;
  assert.deepEqual(site.take(stray, one), silence);
  site.now += 1;
  assert.deepEqual([one, one].map((topic) => site.take(stray, topic)), [said, silence]);
});

Deno.test("Answerer forgets everything when it is closed", () => {
  const { site, devices: [device] } = siteWith(["m-1"]);
  const stranger = site.device("m-9");
  const session = device!.connect();
  site.take(session.seal(nothing));
  const third = thirdOf(site, device!);
  applicantIn(site.take(stranger.ik().message1));
  site.answerer.close();
  assert.equal(site.answerer.size, 0);
  assert.ok(isUnknown(site.take(session.seal(nothing)), session));
  assert.throws(() => site.take(third), refused("unexpected_frame"));
  assert.equal(site.put(stranger.id, approved(stranger.key)), null);
});

Deno.test("Answerer refuses what is no frame and no opening with their parsers' errors", () => {
  const { site, devices: [device] } = siteWith(["m-1"]);
  const { message1 } = device!.ik();
  assert.throws(() => site.take(nothing), { name: "FrameError", code: "malformed" });
  assert.throws(() => site.take(message1.with(0, 3)), { name: "FrameError" });
  assert.throws(() => site.take(message1.subarray(0, 30)), { name: "HelloError" });
  const long = concat(message1, new Uint8Array(1));
  assert.throws(() => site.take(long), { name: "NoiseError", code: "payload_forged" });
});
