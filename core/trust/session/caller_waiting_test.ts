/**
 * The calling side of a device that nobody has approved yet: when it asks again, what it shows and pins,
 * and that it gets in whenever somebody decides, whatever was lost or forgotten in between.
 */
import assert from "node:assert/strict";
import { CodedError } from "../../base/errors.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import { decodeFrame, encodeFrame, FrameType } from "./frame.ts";
import { TestCaller } from "./_test_caller.ts";
import { enrolled, isUnknown, TestSite } from "./_test_site.ts";

const suite = nativeSuite();
const seconds = 1_000;
const minutes = 60_000;
const typeOf = (frame: Uint8Array) => frame[1];

/** A device without a code that has been told to wait. */
function waiting(options: { knowsKey?: boolean } = {}): {
  site: TestSite;
  caller: TestCaller;
  call: number;
} {
  const site = new TestSite(suite);
  const caller = new TestCaller(site, options);
  const call = caller.call("hello");
  caller.settle();
  assert.deepEqual(caller.heard(call), []);
  return { site, caller, call };
}

/** Frames over HTTP: each has a response, and a refused one is known to be. */
function overHttp({ site, machine }: TestCaller, isLost: (reply: Uint8Array | null) => boolean) {
  return (frame: Uint8Array): Uint8Array | null => {
    try {
      const reply = site.answer(frame);
      if (!isLost(reply)) return reply;
      machine.failed(frame, "unreachable");
    } catch (error) {
      assert.ok(error instanceof CodedError, `${error}`);
      machine.failed(frame, error.code === "pending" ? "pending" : "refused");
    }
    return null;
  };
}

Deno.test('Caller asks a site that says "pending" again every 10 seconds', () => {
  const { caller } = waiting();
  const began = caller.now;
  const asked = caller.run(1 * minutes).map((time) => (time - began) / seconds);
  assert.deepEqual(asked, [10, 20, 30, 40, 50, 60]);
});

Deno.test('Caller begins anew as rarely when its handshake gets no answer, or "pending"', () => {
  for (const isTold of [true, false]) {
    const site = new TestSite(suite);
    const caller = new TestCaller(site, { knowsKey: true });
    if (isTold) caller.carry((frame) => (caller.machine.failed(frame, "pending"), null));
    const call = caller.call("hello", 61 * minutes);
    const began = caller.now;
    caller.settle();
    const times = caller.run(60 * minutes).map((time) => (time - began) / seconds);
    const firsts = times.filter((_, i) =>
      times[i - 1] === undefined || times[i]! - times[i - 1]! > 5
    );
    // in silence a handshake takes 5 seconds, with one repetition, before the wait begins
    const told = [30, 90, 210, 450, 930, 1530, 2130, 2730, 3330];
    assert.deepEqual(firsts, isTold ? told : [2, ...told.map((t, i) => t + 5 * (i + 1))]);
    const sessions = new Set(caller.sent.map((frame) => decodeFrame(frame).session.join()));
    assert.equal(sessions.size, 10, "each attempt is a handshake of its own");
    caller.run(5 * minutes);
    caller.settle();
    assert.deepEqual(caller.heard(call), [`failed: ${isTold ? "pending" : "no_answer"}`]);
  }
});

Deno.test("Caller shows the words that the site shows while it waits, and none when it is in", () => {
  const site = new TestSite(suite);
  const caller = new TestCaller(site);
  assert.equal(caller.machine.words, null);
  const call = caller.call("hello");
  caller.settle();
  const { words } = site.applicants[0]!;
  assert.match(words!, /^([a-z]+ ){5}[a-z]+$/);
  assert.equal(caller.machine.words, words);
  caller.run(5 * minutes);
  assert.equal(caller.machine.words, words);
  assert.equal(site.applicants.length, 1);
  caller.approve();
  caller.run(10 * minutes);
  assert.equal(caller.machine.words, null);
  assert.deepEqual(caller.heard(call), ["hello"]);
});

Deno.test("Caller pins the site after its admission, not before", () => {
  const { site, caller } = waiting();
  assert.equal(caller.machine.pinned, null);
  caller.run(5 * minutes);
  assert.equal(caller.machine.pinned, null);
  caller.approve();
  caller.run(10 * minutes);
  assert.deepEqual(caller.machine.pinned, { site: site.id, remoteStatic: site.key.publicKey });
});

Deno.test("Caller waits for 30 s again when it has been admitted in between", () => {
  const { site, caller, call } = waiting();
  caller.run(3 * minutes);
  caller.approve();
  caller.run(10 * minutes);
  assert.deepEqual(caller.heard(call), ["hello"]);
  site.put(caller.id, null);
  const http = overHttp(caller, () => false);
  const handshakes: number[] = [];
  const began = caller.now;
  caller.carry((frame) => {
    if (typeOf(frame) === FrameType.message1) handshakes.push(caller.now - began);
    return http(frame);
  });
  caller.call("again");
  caller.run(2 * minutes);
  // the data frame hears at once that its session has ended, and half a second of jitter passes
  assert.deepEqual(handshakes, [500, 30_500, 90_500]);
});

Deno.test("Caller gets in at its next question when it is approved within the life of its session", () => {
  for (const [after, asksAt] of [[24, 30], [101, 110], [405, 410]] as const) {
    const { caller, call } = waiting();
    const began = caller.now;
    caller.run(after * seconds);
    caller.approve();
    caller.run(asksAt * seconds - (caller.now - began) - 1);
    assert.deepEqual(caller.heard(call), []);
    caller.run(1);
    caller.settle();
    assert.deepEqual(caller.heard(call), ["hello"]);
  }
});

Deno.test("Caller gets in when it is approved after 20 minutes, though strangers live for 10", () => {
  const { caller, call } = waiting();
  caller.run(20 * minutes);
  caller.approve();
  caller.run(15 * minutes);
  assert.deepEqual(caller.heard(call), ["hello"]);
});

Deno.test("Caller applies again, and shows new words, when the site has forgotten its first contact", () => {
  const { site, caller } = waiting();
  const { words } = caller.machine;
  site.restart();
  caller.run(2 * minutes);
  assert.equal(site.applicants.length, 2);
  assert.notEqual(caller.machine.words, words);
  assert.equal(caller.machine.words, site.applicants[1]!.words);
});

Deno.test("Caller keeps the session that waits when told by anybody that it is unknown", () => {
  const { site, caller, call } = waiting();
  const { words } = caller.machine;
  const { session } = decodeFrame(caller.sent.at(-1)!);
  caller.machine.receive(encodeFrame(FrameType.unknown, session, 0, new Uint8Array()));
  caller.run(1 * minutes);
  assert.equal(caller.machine.words, words);
  assert.equal(site.applicants.length, 1);
  caller.approve();
  caller.run(3 * minutes);
  assert.deepEqual(caller.heard(call), ["hello"]);
});

Deno.test("Caller that was let in before an outage knocks again soon, and does not wait as strangers do", () => {
  const heardAfter = (isAdmitted: boolean) => {
    const site = new TestSite(suite);
    const caller = new TestCaller(site, { knowsKey: true, isAdmitted });
    caller.carry(() => null);
    const call = caller.call("hello");
    caller.run(3 * minutes);
    caller.approve();
    caller.carryAll();
    caller.run(15 * seconds);
    return caller.heard(call);
  };
  assert.deepEqual(heardAfter(true), ["hello"]);
  assert.deepEqual(heardAfter(false), []);
});

Deno.test("Caller asks again with its first frame alone, once the site has answered one", () => {
  const { caller } = waiting();
  caller.sent.length = 0;
  caller.run(2 * minutes);
  assert.deepEqual(caller.sent.map(typeOf), Array(12).fill(FrameType.data));
});

Deno.test("Caller waits over HTTP, where the site refuses what it has had already", () => {
  const site = new TestSite(suite);
  const caller = new TestCaller(site);
  caller.carry(overHttp(caller, () => false));
  const call = caller.call("hello");
  caller.run(1 * minutes);
  assert.deepEqual(caller.heard(call), []);
  caller.approve();
  caller.run(10 * minutes);
  assert.deepEqual(caller.heard(call), ["hello"]);
});

Deno.test("Caller gets in over HTTP when the answer to its first frame is lost", () => {
  const site = new TestSite(suite);
  const psk = suite.randomBytes(32);
  const caller = new TestCaller(site, { psk });
  site.put(caller.id, enrolled(psk));
  let lost = 1;
  caller.carry(overHttp(caller, (reply) => reply !== null && typeOf(reply) === 4 && lost-- > 0));
  const call = caller.call("hello");
  caller.run(1 * minutes);
  assert.deepEqual(caller.heard(call), ["hello"]);
});

Deno.test("Caller takes the message 2 that an approval sends to its waiting message 1", () => {
  const { site, caller, call } = waiting({ knowsKey: true });
  site.now += 1 * seconds;
  const message2 = caller.approve();
  caller.machine.receive(message2!);
  caller.settle();
  assert.deepEqual(caller.heard(call), ["hello"]);
});

Deno.test("Caller tells its calls that it is refused, when it is revoked while it waits", () => {
  const { site, caller, call } = waiting({ knowsKey: true });
  site.put(caller.id, { ...enrolled(suite.randomBytes(32)), state: "revoked" });
  caller.carry(overHttp(caller, () => false));
  caller.run(1 * minutes);
  assert.deepEqual(caller.heard(call), ["failed: refused"]);
});

Deno.test("Caller knocks twice a minute while nobody takes its first contact, and gets in then", () => {
  const site = new TestSite(suite);
  site.mayApply = () => false;
  const caller = new TestCaller(site);
  const call = caller.call("hello");
  const began = caller.now;
  caller.settle();
  const knocks = () => caller.sent.filter((frame) => typeOf(frame) === FrameType.message1).length;
  const times = caller.run(20 * minutes).map((time) => (time - began) / seconds);
  // each first contact is given 5 seconds
  assert.equal(knocks(), Math.ceil(20 * 60 / 35), `${times}`);
  assert.equal(site.applicants.length, 0);
  assert.equal(site.answerer.size, 0);
  site.mayApply = () => true;
  caller.run(35 * seconds);
  assert.equal(site.applicants.length, 1);
  caller.approve();
  caller.run(10 * minutes);
  assert.deepEqual(caller.heard(call), ["hello"]);
});

Deno.test("a stranger's session is unknown to the site after 10 minutes, as these tests presume", () => {
  const { site, caller } = waiting();
  const device = site.device("m-2");
  const { session } = device.meet();
  site.now += 10 * minutes + 1;
  assert.ok(isUnknown(site.take(session.seal(new Uint8Array(1))), session));
  assert.equal(caller.machine.pinned, null);
});
