/**
 * What strangers can do to an answering side that anybody can write to: fill what is bounded, push out
 * each other, and never anybody who is admitted.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import { parseId } from "../../base/id.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import type { Applicant } from "./answerer.ts";
import type { ContactInitiator } from "./contact.ts";
import { decodeFrame, encodeFrame, FrameType } from "./frame.ts";
import type { Session } from "./session.ts";
import { applicantIn, approved, isUnknown, replyIn, senderIn, TestSite } from "./_test_site.ts";

const suite = nativeSuite();
/** One stranger under many names is as good as many: no DH of his needs to be done twice. */
const key = suite.x25519.keyPair();
const ephemeral = suite.x25519.keyPair();
const flood = 2_000;
const hi = utf8("hi");
const unexpected = { name: "RefusedFrame", code: "unexpected_frame" };

/** A site with one admitted device, which has a session and a handshake that waits. */
function busySite() {
  const site = new TestSite(suite);
  const device = site.device("m-1");
  site.put(device.id, approved(device.key));
  const session = device.connect();
  site.take(session.seal(hi));
  const handshake = device.connect();
  const check = () => {
    assert.ok(senderIn(site.take(session.seal(hi), device.id)) !== null);
    assert.ok(senderIn(site.take(handshake.seal(hi), device.id)) !== null);
    assert.ok(isUnknown(site.take(session.seal(hi)), session), "the new one has replaced it");
  };
  return { site, device, check };
}

function finish(site: TestSite, initiator: ContactInitiator, message2: Uint8Array): Applicant {
  return applicantIn(site.take(initiator.finish(decodeFrame(message2)).message3));
}

Deno.test("Answerer keeps 64 half contacts of 2,000 names, the newest", () => {
  const { site, check } = busySite();
  const begun = Array.from({ length: flood }, (_, i) => {
    const initiator = site.device(`stranger-${i}`, { key }).xx({}, ephemeral);
    return { initiator, message2: replyIn(site.take(initiator.message1)) };
  });
  const late = begun.splice(-64);
  for (const i of [0, 1_000, begun.length - 1]) {
    const { initiator, message2 } = begun[i]!;
    assert.throws(() => finish(site, initiator, message2), unexpected, `${i}`);
  }
  for (const { initiator, message2 } of late) finish(site, initiator, message2);
  check();
});

Deno.test("Answerer keeps 256 sessions of 2,000 strangers, the newest", () => {
  const { site, check } = busySite();
  // a stranger that was admitted is none any more
  const newcomer = site.device("m-2");
  const { session: admitted } = newcomer.meet();
  site.put(newcomer.id, approved(newcomer.key));
  assert.ok(senderIn(site.take(admitted.seal(hi))) !== null);
  const sessions: Session[] = [];
  for (let i = 0; i < flood; i++) {
    const initiator = site.device(`stranger-${i}`, { key }).xx({}, ephemeral);
    const message2 = decodeFrame(replyIn(site.take(initiator.message1)));
    const { session, message3 } = initiator.finish(message2);
    applicantIn(site.take(message3));
    sessions.push(session);
    assert.ok(site.answerer.size <= 256 + 3, `${site.answerer.size} sessions`);
  }
  const late = sessions.splice(-256);
  for (const session of sessions) assert.ok(isUnknown(site.take(session.seal(hi)), session));
  for (const session of late) assert.equal(senderIn(site.take(session.seal(hi))), null);
  assert.ok(senderIn(site.take(admitted.seal(hi))) !== null);
  check();
});

Deno.test("Answerer keeps the messages 1 of 256 names out of 2,000, the newest", () => {
  const { site, check } = busySite();
  const devices = Array.from(
    { length: flood },
    (_, i) => site.device(`stranger-${i}`, { key }),
  );
  for (const device of devices) applicantIn(site.take(device.ik().message1));
  assert.equal(site.answerer.size, 2);
  const answered = devices.map(({ id }) => site.put(id, approved(key)) !== null);
  assert.deepEqual(answered.slice(0, -256), Array(flood - 256).fill(false));
  assert.deepEqual(answered.slice(-256), Array(256).fill(true));
  check();
});

Deno.test("Answerer keeps four sessions of strangers under one name, and the owner's beside them", () => {
  const { site, device, check } = busySite();
  const sessions = Array.from({ length: 20 }, () => site.device(device.id).meet().session);
  assert.equal(site.answerer.size, 2 + 4);
  for (const [i, session] of sessions.entries()) {
    const step = site.take(session.seal(hi));
    if (i < 16) assert.ok(isUnknown(step, session));
    else assert.equal(senderIn(step), null);
  }
  check();
});

Deno.test("Answerer does not count strangers among the handshakes of the owner of their name", () => {
  const { site, device, check } = busySite();
  for (let i = 0; i < 4; i++) site.device(device.id).meet();
  device.connect();
  check();
});

Deno.test("Answerer lets a stranger's session live for 10 minutes, however much it speaks", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1");
  const [{ session }, { session: quiet }] = [device.meet(), site.device("m-2").meet()];
  for (let minute = 0; minute <= 10; minute++) {
    assert.equal(senderIn(site.take(session.seal(hi))), null);
    if (minute < 10) site.now += 60_000;
  }
  site.now += 1;
  for (const one of [session, quiet]) assert.ok(isUnknown(site.take(one.seal(hi)), one));
  assert.equal(site.answerer.size, 0);
  assert.equal(site.put(device.id, approved(device.key)), null);
  assert.ok(isUnknown(site.take(session.seal(hi), parseId("m-1")), session));
});

Deno.test("Answerer forgets whom it has told of an unknown session after 10,000 devices", () => {
  const site = new TestSite(suite);
  const stray = encodeFrame(FrameType.data, new Uint8Array(8), 0, new Uint8Array(16));
  const said = (i: number) => site.take(stray, parseId(`m-${i}`)).step === "reply";
  for (let i = 0; i < 10_000; i++) assert.ok(said(i));
  assert.deepEqual([said(0), said(9_999)], [false, false]);
  assert.ok(said(10_000));
  assert.ok(said(0));
});

const names = fc.constantFrom("m-1", "m-2", "m-3");
const act = fc.oneof(
  fc.record({ meet: names }),
  fc.record({ knock: names }),
  fc.record({ halve: names }),
  fc.record({ replay: fc.nat(40) }),
  fc.record({ alter: fc.nat(40), at: fc.nat(200), flip: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ wait: fc.nat(4_000) }),
);

Deno.test("Answerer lets no strangers disturb an admitted device, whatever they send", () => {
  let refused = 0;
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const { site, check } = busySite();
      const seen: Uint8Array[] = [];
      const began = site.now;
      const send = (frame: Uint8Array) => {
        seen.push(frame);
        try {
          return site.take(frame);
        } catch (error) {
          assert.ok(error instanceof CodedError, `${error}`);
          refused++;
          return null;
        }
      };
      for (const act of acts) {
        if ("wait" in act) site.now = Math.min(site.now + act.wait, began + 30_000);
        else if ("knock" in act) send(site.device(act.knock).ik().message1);
        else if ("replay" in act) send(seen[act.replay % seen.length] ?? hi);
        else if ("alter" in act) {
          const frame = (seen[act.alter % seen.length] ?? hi).slice();
          frame[act.at % frame.length]! ^= act.flip;
          send(frame);
        } else {
          const initiator = site.device("meet" in act ? act.meet : act.halve).xx({}, ephemeral);
          const step = send(initiator.message1);
          if (step?.step !== "reply" || "halve" in act) continue;
          const { session, message3 } = initiator.finish(decodeFrame(step.frame));
          send(message3);
          assert.equal(senderIn(send(session.seal(hi))!), null);
        }
        assert.ok(site.answerer.size <= 2 + 3 * 4, `${site.answerer.size} sessions`);
      }
      check();
    }),
    { numRuns: 200 },
  );
  assert.ok(refused > 100, `${refused} refused`);
});
