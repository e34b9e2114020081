/**
 * The calling side as a machine: handshakes, calls, deadlines, windows and the ends of sessions. How it
 * waits for approval is in caller_waiting_test.ts, what any schedule of faults does in machines_test.ts.
 */
import assert from "node:assert/strict";
import { concat, isZero } from "../../base/bytes.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import type { Suite } from "../crypto.ts";
import { encodeMessage } from "./call.ts";
import { contactMessageLength } from "./contact.ts";
import { decodeFrame, encodeFrame, FrameType } from "./frame.ts";
import { decodeOpening } from "./hello.ts";
import { TestCaller } from "./_test_caller.ts";
import { enrolled, TestSite } from "./_test_site.ts";

const suite = nativeSuite();
const nothing = new Uint8Array(0);
const day = 24 * 60 * 60 * 1000;
const typeOf = (frame: Uint8Array) => frame[1];

/** A device that has a code, and knows the site's key or not. */
function joining(knowsKey = true): { site: TestSite; caller: TestCaller } {
  const site = new TestSite(suite);
  const psk = suite.randomBytes(32);
  const caller = new TestCaller(site, { psk, knowsKey });
  site.put(caller.id, enrolled(psk));
  return { site, caller };
}

/** The same, and its session is open. */
function joined(knowsKey = true): { site: TestSite; caller: TestCaller } {
  const ends = joining(knowsKey);
  const call = ends.caller.call("join");
  ends.caller.settle();
  assert.deepEqual(ends.caller.heard(call), ["join"]);
  ends.caller.sent.length = 0;
  return ends;
}

/** Type 5, which anybody can write who has seen a frame of the session. */
function unknown(session: Uint8Array): Uint8Array {
  return encodeFrame(FrameType.unknown, session, 0, nothing);
}

function sessionOf(frame: Uint8Array): Uint8Array {
  return decodeFrame(frame).session.slice();
}

Deno.test("Caller joins a site by its code and has its call answered, by either handshake", () => {
  for (const knowsKey of [true, false]) {
    const { site, caller } = joining(knowsKey);
    const call = caller.call("hello");
    caller.settle();
    assert.deepEqual(caller.heard(call), ["hello"]);
    const types = caller.sent.map(typeOf);
    assert.deepEqual(types, knowsKey ? [1, 4, 4] : [1, 3, 4, 4]);
    assert.deepEqual(site.peers.get(caller.id)?.signKey, caller.signKey);
    assert.deepEqual(caller.machine.pinned, { site: site.id, remoteStatic: site.key.publicKey });
    assert.equal(caller.machine.advance().due, Infinity);
  }
});

Deno.test("Caller says nothing as long as there is nothing to call", () => {
  const { caller } = joining();
  assert.deepEqual(caller.machine.advance(), {
    send: [],
    outcomes: [],
    requests: [],
    due: Infinity,
  });
});

Deno.test("Caller makes the first contact once, and uses the key that it has pinned then", () => {
  const { site, caller } = joined(false);
  site.restart();
  caller.call("again");
  caller.run(30_000);
  const first = caller.sent.find((frame) => typeOf(frame) === FrameType.message1)!;
  const { hello, noiseMessage } = decodeOpening(decodeFrame(first).body);
  assert.notEqual(noiseMessage.length, contactMessageLength);
  assert.equal(hello.site, site.id);
  assert.deepEqual(site.executed, ["join", "again"]);
});

Deno.test("Caller repeats a frame byte for byte after 2, 4, 8 and then every 10 seconds", () => {
  const { site, caller } = joined();
  const began = caller.now;
  const times: number[] = [];
  caller.carry((frame) => {
    // what it asks and begins beside that, because nobody answers, is no repetition
    if (frame.join() === caller.sent[0]!.join()) times.push(caller.now - began);
    return null;
  });
  const call = caller.call("hello");
  caller.settle();
  caller.run(45_000);
  assert.deepEqual(times, [0, 2_000, 6_000, 14_000, 24_000, 34_000, 44_000]);
  caller.carryAll();
  caller.run(10_000);
  assert.deepEqual(caller.heard(call), ["hello"]);
  assert.deepEqual(site.executed, ["join", "hello"]);
});

Deno.test("Caller sends message 3 again with its first frame until that is answered", () => {
  const { site, caller } = joining(false);
  let lost = 3;
  caller.carry((frame) => {
    const isLost = typeOf(frame) === FrameType.message3 && lost-- > 0;
    return isLost ? null : site.serve(frame);
  });
  const call = caller.call("hello");
  caller.run(4_000);
  const [message1, ...rest] = caller.sent;
  assert.equal(typeOf(message1!), FrameType.message1);
  assert.deepEqual(rest.map(typeOf), [3, 4, 3, 4]);
  assert.deepEqual(rest.slice(2), rest.slice(0, 2));
  assert.deepEqual(caller.heard(call), []);
  // the handshake is given up after 5 seconds, and the next one's message 3 arrives second
  caller.run(10_000);
  assert.deepEqual(caller.heard(call), ["hello"]);
});

Deno.test("Caller refuses a forged message 2, and goes on with the genuine one", () => {
  for (const knowsKey of [true, false]) {
    const { site, caller } = joining(knowsKey);
    const call = caller.call("hello");
    let genuine: Uint8Array | null = null;
    caller.carry((frame) => (genuine = site.serve(frame), null));
    caller.turn();
    for (const at of [18, genuine!.length - 1]) {
      const forged = genuine!.with(at, genuine!.at(at)! ^ 1);
      assert.throws(() => caller.machine.receive(forged), { name: "NoiseError" }, `${at}`);
    }
    caller.machine.receive(genuine!);
    caller.carryAll();
    caller.settle();
    assert.deepEqual(caller.heard(call), ["hello"]);
  }
});

Deno.test("Caller fails a call at its deadline, and no millisecond earlier", () => {
  const { caller } = joined();
  caller.carry(() => null);
  const [early, late] = [caller.call("1", 999), caller.call("2", 7_001)];
  assert.equal(caller.settle(), caller.now + 999);
  const heard = () => [caller.heard(early), caller.heard(late)];
  caller.run(998);
  caller.turn();
  assert.deepEqual(heard(), [[], []]);
  caller.site.now += 1;
  caller.turn();
  assert.deepEqual(heard(), [["failed: no_answer"], []]);
  caller.run(6_001);
  assert.deepEqual(heard(), [["failed: no_answer"], []]);
  caller.site.now += 1;
  assert.equal(caller.settle(), Infinity);
  assert.deepEqual(heard(), [["failed: no_answer"], ["failed: no_answer"]]);
});

Deno.test("Caller gives a call that is late already no chance", () => {
  const { site, caller } = joined();
  const call = caller.call("late", 0);
  caller.settle();
  assert.deepEqual(caller.heard(call), ["failed: no_answer"]);
  assert.deepEqual([caller.sent, site.executed], [[], ["join"]]);
});

Deno.test("Caller tries again after a frame was not carried, after 250 ms to 5 s", () => {
  const { caller } = joined();
  const call = caller.call("hello", 20_000);
  caller.carry((frame) => (caller.machine.failed(frame, "unreachable"), null));
  const began = caller.now;
  caller.settle();
  const times = caller.run(20_000).map((time) => time - began);
  assert.deepEqual(times, [250, 750, 1_750, 3_750, 7_750, 12_750, 17_750]);
  caller.settle();
  assert.deepEqual(caller.heard(call), ["failed: unreachable"]);
});

Deno.test("Caller fails a refused call at once, and no other", () => {
  const { site, caller } = joined();
  const [refused, fine] = [caller.call("1"), caller.call("2")];
  const [one] = caller.machine.advance().send.flat();
  caller.machine.failed(one!, "refused");
  caller.run(2_000);
  assert.deepEqual([caller.heard(refused), caller.heard(fine)], [["failed: refused"], ["2"]]);
  assert.deepEqual(site.executed, ["join", "2"]);
  caller.machine.failed(one!, "refused");
  assert.deepEqual(caller.machine.advance().outcomes, []);
});

Deno.test("Caller fails all its calls when its handshake is refused, and begins anew for others", () => {
  const { caller } = joining();
  const calls = [caller.call("1"), caller.call("2")];
  caller.carry((frame) => (caller.machine.failed(frame, "refused"), null));
  caller.settle();
  for (const call of calls) assert.deepEqual(caller.heard(call), ["failed: refused"]);
  caller.carryAll();
  const next = caller.call("3");
  assert.equal(caller.settle(), caller.now + 250);
  caller.run(250);
  caller.settle();
  assert.deepEqual(caller.heard(next), ["3"]);
});

Deno.test("Caller tells each call the refusal of the site", () => {
  const { site, caller } = joined();
  const [one, two] = [caller.call("1"), caller.call("2")];
  caller.carry((frame) => {
    const step = site.take(frame);
    assert.ok(step.step === "message");
    const { live, seq } = step;
    return live.session.seal(encodeMessage({ kind: "refusal", to: seq, code: "too_much" }));
  });
  caller.settle();
  assert.deepEqual([caller.heard(one), caller.heard(two)], [
    ...[["refused: too_much"], ["refused: too_much"]],
  ]);
});

Deno.test("Caller keeps its session and its calls when told by anybody that it is unknown", () => {
  const { site, caller } = joined();
  const call = caller.call("hello");
  const [frame] = caller.machine.advance().send.flat();
  const session = sessionOf(frame!);
  for (let i = 0; i < 3; i++) caller.machine.receive(unknown(session));
  // it shakes hands with jitter, and the old session is still heard meanwhile
  const before = caller.now;
  caller.carry((frame) => typeOf(frame) === FrameType.message1 ? null : site.serve(frame));
  assert.equal(caller.settle(), before + 500);
  caller.run(600);
  assert.deepEqual(caller.sent.map(typeOf), [FrameType.message1]);
  caller.machine.receive(site.serve(frame!)!);
  const next = caller.call("next");
  caller.settle();
  assert.deepEqual([caller.heard(call), caller.heard(next)], [["hello"], ["next"]]);
  assert.ok(caller.sent.slice(1).every((frame) => sessionOf(frame).join() === session.join()));
  // nor does it help to say the same of the handshake's, or of a session that never was
  const stray = [sessionOf(caller.sent[0]!), new Uint8Array(8)];
  for (const id of stray) caller.machine.receive(unknown(id));
  const last = caller.call("last");
  caller.settle();
  assert.deepEqual(caller.heard(last), ["last"]);
});

Deno.test("Caller makes its calls again in the new session when the site has forgotten the old one", () => {
  const { site, caller } = joined();
  site.restart();
  const calls = [caller.call("1"), caller.call("2")];
  caller.run(10_000);
  assert.deepEqual(calls.map((call) => caller.heard(call)), [["1"], ["2"]]);
  assert.deepEqual(site.executed, ["join", "1", "2"]);
});

Deno.test("Caller finds back to a site that has forgotten it, though nobody says so", () => {
  const { site, caller } = joined();
  site.restart();
  // whoever writes in its name uses up what the site says of unknown sessions
  const stray = encodeFrame(FrameType.data, new Uint8Array(8), 0, new Uint8Array(16));
  caller.carry((frame) => {
    site.take(stray, caller.id);
    return site.serve(frame, caller.id);
  });
  const call = caller.call("hello", 60_000);
  caller.run(60_000);
  assert.deepEqual(caller.heard(call), ["hello"]);
});

Deno.test("Caller keeps to 48 frames in flight behind the oldest one without an answer", () => {
  const { site, caller } = joined();
  const calls = Array.from({ length: 150 }, (_, i) => caller.call(`${i}`));
  const sealed: Uint8Array[] = [];
  caller.carry((frame) => (sealed.push(frame), null));
  caller.settle();
  assert.equal(sealed.length, 48);
  // all are answered but the first: no more go out, as they would leave it behind the window
  for (const frame of sealed.slice(1)) caller.machine.receive(site.serve(frame)!);
  caller.settle();
  assert.equal(sealed.length, 48);
  caller.machine.receive(site.serve(sealed[0]!)!);
  caller.settle();
  assert.equal(sealed.length, 96);
  for (const frame of sealed.slice(48).reverse()) caller.machine.receive(site.serve(frame)!);
  caller.carryAll();
  caller.settle();
  for (const [i, call] of calls.entries()) assert.deepEqual(caller.heard(call), [`${i}`]);
  assert.equal(site.executed.length, 151);
});

Deno.test("Caller leaves room for 60 frames of the site since its oldest call went out", () => {
  const { site, caller } = joined();
  let live: Parameters<typeof site.answerer.remember>[0] | undefined;
  caller.carry((frame) => {
    const step = site.take(frame);
    assert.ok(step.step === "message");
    live = step.live;
    return null;
  });
  for (let i = 0; i < 20; i++) caller.call(`${i}`);
  caller.settle();
  assert.equal(caller.sent.length, 20);
  const chatter = encodeMessage({ kind: "answer", to: 9_999, body: nothing });
  for (let i = 0; i < 39; i++) caller.machine.receive(live!.session.seal(chatter));
  for (let i = 0; i < 20; i++) caller.call(`more ${i}`);
  caller.settle();
  assert.equal(caller.sent.length, 21);
});

Deno.test("Caller has its calls answered in each generation of keys, renewed by age", () => {
  const { site, caller } = joined();
  for (const text of ["second day", "third day", "fourth day"]) {
    site.now += day + 1;
    const calls = [caller.call(text), caller.call(`${text}, again`)];
    caller.settle();
    assert.deepEqual(calls.map((call) => caller.heard(call)), [[text], [`${text}, again`]]);
  }
  assert.deepEqual(caller.sent.map(typeOf), Array(6).fill(FrameType.data));
});

Deno.test("Caller ends its session after seven days and shakes hands anew", () => {
  const { site, caller } = joined();
  site.now += 7 * day;
  caller.call("in time");
  caller.settle();
  assert.equal(typeOf(caller.sent[0]!), FrameType.data);
  site.now += 1;
  caller.sent.length = 0;
  const late = caller.call("late");
  caller.settle();
  assert.equal(typeOf(caller.sent[0]!), FrameType.message1);
  assert.deepEqual(caller.heard(late), ["late"]);
  assert.equal(site.answerer.size, 1);
});

Deno.test("Caller refuses what is forged and what is repeated, and nothing changes", () => {
  const { site, caller } = joined();
  const call = caller.call("hello");
  const [frame] = caller.machine.advance().send.flat();
  const answer = site.serve(frame!)!;
  const forged = answer.with(-1, answer.at(-1)! ^ 1);
  assert.throws(() => caller.machine.receive(forged), { code: "forged" });
  assert.throws(() => caller.machine.receive(nothing), { name: "FrameError" });
  for (const other of [unknown(new Uint8Array(8)), concat(answer.with(1, 2).with(17, 0))]) {
    caller.machine.receive(other);
  }
  caller.machine.receive(answer);
  caller.machine.receive(answer);
  caller.settle();
  assert.deepEqual(caller.heard(call), ["hello"]);
});

Deno.test("Caller.close() erases the keys of its session and calls nobody any more", () => {
  for (const isOpen of [true, false]) {
    // the two keys of a session are what HKDF makes of nothing, at the end of a handshake
    const keys: Uint8Array[] = [];
    const watched: Suite = {
      ...suite,
      hkdfSha256(ikm, ...rest) {
        const okm = suite.hkdfSha256(ikm, ...rest);
        if (ikm.length === 0) keys.push(okm);
        return okm;
      },
    };
    const caller = new TestCaller(new TestSite(watched));
    if (isOpen) caller.approve();
    caller.call("hello");
    caller.settle();
    assert.equal(caller.machine.words === null, isOpen);
    assert.deepEqual(keys.map((okm) => [okm.length, isZero(okm)]), [[64, false], [64, false]]);
    caller.machine.close();
    assert.deepEqual(keys.map(isZero), [true, false]);
    assert.deepEqual(caller.machine.advance(), {
      send: [],
      outcomes: [],
      requests: [],
      due: Infinity,
    });
    assert.equal(caller.machine.words, null);
  }
});

Deno.test("Caller seals nothing under renewed keys that leaves behind what is under way", () => {
  const { site, caller } = joined();
  caller.carry(() => null);
  const slow = caller.call("slow");
  caller.settle();
  site.now += day + 1;
  const next = caller.call("next");
  caller.run(30_000);
  const data = caller.sent.filter((frame) => typeOf(frame) === FrameType.data);
  assert.equal(new Set(data.map((frame) => decodeFrame(frame).seq)).size, 1);
  caller.carryAll();
  caller.run(30_000);
  assert.deepEqual([caller.heard(slow), caller.heard(next)], [["slow"], ["next"]]);
});
