/**
 * Who may apply at all: whoever is not invited leaves nothing behind, whatever they send, and nobody who
 * is admitted is asked for an invitation.
 */
import assert from "node:assert/strict";
import { isZero, utf8 } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import type { Applicant } from "./answerer.ts";
import { decodeFrame } from "./frame.ts";
import { applicantIn, approved, enrolled, isUnknown, replyIn, senderIn } from "./_test_site.ts";
import { TestSite } from "./_test_site.ts";

const suite = nativeSuite();
const psk = suite.randomBytes(32);
const uninvited = { name: "RefusedFrame", code: "not_invited" };

/** A site that invites nobody, and whom it has been asked about. */
function closedSite() {
  const site = new TestSite(suite);
  const asked: Applicant[] = [];
  site.mayApply = (applicant) => (asked.push(applicant), false);
  return { site, asked };
}

Deno.test("Answerer keeps nothing of a stranger who is not invited, by either handshake", () => {
  const { site, asked } = closedSite();
  for (const [i, options] of [{}, { psk }].entries()) {
    const device = site.device(`m-${i}`, options);
    assert.throws(() => site.take(device.ik().message1), uninvited);
    const initiator = device.xx();
    const message2 = replyIn(site.take(initiator.message1));
    const { message3, session } = initiator.finish(decodeFrame(message2));
    assert.throws(() => site.take(message3), uninvited);
    assert.throws(() => site.take(message3), { code: "unexpected_frame" });
    assert.equal(site.answerer.size, 0);
    assert.ok(isUnknown(site.take(session.seal(utf8("hi"))), session));
    // the message 1 of nobody waits for an approval
    assert.equal(site.put(device.id, approved(device.key, options.psk)), null);
    const proof = i === 0 ? "key" : "none";
    assert.deepEqual(asked.splice(0).map((one) => [one.device, one.proof]), [
      ...[[device.id, proof], [device.id, proof]],
    ]);
  }
});

Deno.test("Answerer erases the keys of a session that it does not open", () => {
  const keys: Uint8Array[] = [];
  const site = new TestSite({
    ...suite,
    hkdfSha256(ikm, ...rest) {
      const okm = suite.hkdfSha256(ikm, ...rest);
      // the two keys of a session are what HKDF makes of nothing, at the end of a handshake
      if (ikm.length === 0) keys.push(okm);
      return okm;
    },
  });
  site.mayApply = () => false;
  assert.throws(() => site.device("m-1").meet(), uninvited);
  assert.throws(() => site.take(site.device("m-1").ik().message1), uninvited);
  // the device has its own, and nothing to erase them for
  assert.deepEqual(keys.map(isZero), [false, true, true]);
});

Deno.test("Answerer asks of a second key under a known name whether it may apply", () => {
  const { site, asked } = closedSite();
  const device = site.device("m-1");
  site.put(device.id, approved(device.key));
  const session = device.connect();
  site.take(session.seal(utf8("hi")));
  const rival = site.device("m-1");
  assert.throws(() => site.take(rival.ik().message1), uninvited);
  assert.throws(() => rival.meet(), uninvited);
  assert.deepEqual(asked.map(({ key }) => key), [rival.key.publicKey, rival.key.publicKey]);
  assert.notEqual(senderIn(site.take(session.seal(utf8("still")))), null);
  assert.equal(site.answerer.size, 1);
});

Deno.test("Answerer asks for no invitation of who is admitted, or comes with its code", () => {
  const { site, asked } = closedSite();
  const [known, coming] = [site.device("m-1"), site.device("m-2", { psk })];
  site.put(known.id, approved(known.key));
  site.put(coming.id, enrolled(psk));
  for (const device of [known, coming]) {
    assert.notEqual(senderIn(site.take(device.connect().seal(utf8("hi")))), null);
    const { session, step } = device.meet();
    assert.deepEqual(step, { step: "silence" });
    assert.notEqual(senderIn(site.take(session.seal(utf8("hi")))), null);
  }
  assert.deepEqual(asked, []);
});

Deno.test("Answerer.dismiss() forgets an applicant, and no other of the same name", () => {
  const site = new TestSite(suite);
  const [device, rival] = [site.device("m-1"), site.device("m-1")];
  const waiting = device.meet();
  const applicant = applicantIn(rival.meet().step);
  applicantIn(site.take(rival.ik().message1));
  assert.equal(site.answerer.size, 2);
  site.answerer.dismiss(applicant);
  assert.equal(site.answerer.size, 1);
  assert.equal(senderIn(site.take(waiting.session.seal(utf8("hi")))), null);
  assert.equal(site.put(parseId("m-1"), approved(rival.key)), null);
});
