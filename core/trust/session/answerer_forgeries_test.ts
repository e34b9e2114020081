/**
 * What somebody who reads along, and writes in the name of a device, can do to a handshake that is under
 * way: forge its next message, begin another one beside it, and repeat what was recorded of old ones.
 */
import assert from "node:assert/strict";
import { utf8 } from "../../base/bytes.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import { decodeFrame, encodeFrame, FrameType } from "./frame.ts";
import { applicantIn, approved, replyIn, senderIn, TestSite } from "./_test_site.ts";

const suite = nativeSuite();
const hi = utf8("hi");

Deno.test("Answerer ends a first contact though somebody has forged its message 3 before", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1");
  const initiator = device.xx();
  const message2 = decodeFrame(replyIn(site.take(initiator.message1)));
  for (const length of [0, 47, 80, 200]) {
    const forged = encodeFrame(FrameType.message3, message2.session, 0, new Uint8Array(length));
    assert.throws(() => site.take(forged), { name: "NoiseError" }, `${length}`);
  }
  const { message3, session, words } = initiator.finish(message2);
  const altered = message3.with(-1, message3.at(-1)! ^ 1);
  // by its key, which anybody could have sent again, and not by what proves it
  assert.equal(applicantIn(site.take(altered)).proof, "none");
  assert.equal(applicantIn(site.take(message3)).words, words);
  assert.deepEqual(site.take(message3), { step: "silence" });
  site.put(device.id, approved(device.key));
  assert.ok(senderIn(site.take(session.seal(hi))) !== null);
});

Deno.test("Answerer ends a first contact though somebody has begun another under its session", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1");
  const initiator = device.xx();
  const message2 = decodeFrame(replyIn(site.take(initiator.message1)));
  const { body } = decodeFrame(site.device("m-2").xx().message1);
  const rival = encodeFrame(FrameType.message1, message2.session, 0, body);
  assert.throws(() => site.take(rival), { name: "RefusedFrame", code: "session_live" });
  assert.equal(applicantIn(site.take(initiator.finish(message2).message3)).device, device.id);
  // a session that nobody is about to use is free again
  site.now += 30_001;
  replyIn(site.take(rival));
});

Deno.test("Answerer opens one session for a message 1, so that old ones push no handshake out", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1");
  site.put(device.id, approved(device.key));
  const recorded = Array.from({ length: 6 }, () => device.ik());
  for (const { message1 } of recorded) replyIn(site.take(message1));
  site.now += 60_000;
  const session = device.connect();
  for (const { message1 } of recorded) {
    assert.throws(() => site.take(message1), { name: "RefusedFrame", code: "used_up" });
  }
  assert.ok(senderIn(site.take(session.seal(hi))) !== null);
  // those of another life of the device are as good as they were
  site.put(device.id, null);
  site.put(device.id, approved(device.key));
  replyIn(site.take(recorded[0]!.message1));
});

Deno.test("Answerer keeps the message 1 of who waits, whoever else comes under its name", () => {
  for (const isInvited of [true, false]) {
    const site = new TestSite(suite);
    const device = site.device("m-1");
    applicantIn(site.take(device.ik().message1));
    const applicant = applicantIn(site.take(site.device("m-1").ik().message1));
    if (!isInvited) site.answerer.dismiss(applicant);
    assert.ok(site.put(device.id, approved(device.key)) !== null);
  }
});
