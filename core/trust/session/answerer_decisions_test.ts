/**
 * What people's decisions do to sessions and to those who wait: who becomes an applicant with which
 * proof, and what `update` opens, sends and ends.
 */
import assert from "node:assert/strict";
import { utf8 } from "../../base/bytes.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import type { KeyPair } from "../crypto.ts";
import { decodeFrame, encodeFrame, FrameType } from "./frame.ts";
import { zeroPsk } from "./handshake.ts";
import { encodeOpening, encodePrologue, type Hello } from "./hello.ts";
import { Handshake } from "./noise.ts";
import { applicantIn, approved, enrolled, isUnknown, replyIn, revoked } from "./_test_site.ts";
import { senderIn, type TestDevice, TestSite } from "./_test_site.ts";

const suite = nativeSuite();
const psk = suite.randomBytes(32);
const hi = utf8("hi");
const knockAge = 120_000;

/** A session whose first frame has opened. */
function confirmed(site: TestSite, device: TestDevice) {
  const session = device.connect();
  assert.notEqual(senderIn(site.take(session.seal(hi))), null);
  return session;
}

Deno.test("Answerer takes whoever comes with the right code for the peer, by either handshake", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1", { psk });
  site.put(device.id, enrolled(psk));
  assert.equal(senderIn(site.take(device.connect().seal(hi)))?.state, "enrolled");
  const { session, step } = device.meet();
  assert.deepEqual(step, { step: "silence" });
  assert.equal(senderIn(site.take(session.seal(hi)))?.state, "enrolled");
});

Deno.test("Answerer tells that a stranger has proven its key, and nobody's name", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1");
  const shown = { device: device.id, key: device.key.publicKey, proof: "key" };
  const ik = applicantIn(site.take(device.ik().message1));
  assert.deepEqual(ik, { ...shown, words: null });
  assert.equal(site.answerer.size, 0);
  for (const name of ["", site.id] as const) {
    const { words, step } = device.meet({ site: name });
    assert.deepEqual(applicantIn(step), { ...shown, words });
  }
});

Deno.test("Answerer tells that a code is unknown, and the key that its sender claims", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1", { psk });
  const claimed = { device: device.id, key: device.key.publicKey, proof: "none", words: null };
  assert.deepEqual(applicantIn(site.take(device.ik().message1)), claimed);
  assert.deepEqual(applicantIn(device.meet().step), claimed);
  assert.equal(site.answerer.size, 0);
});

Deno.test("Answerer takes no claim to somebody else's key for a proof", () => {
  const site = new TestSite(suite);
  const victim = suite.x25519.keyPair();
  const liar: KeyPair = { ...victim, sharedSecret: () => suite.randomBytes(32) };
  const step = site.take(site.device("m-1", { key: liar }).ik().message1);
  const claimed = { device: "m-1", key: victim.publicKey, proof: "none", words: null };
  assert.deepEqual(applicantIn(step), claimed);
});

Deno.test("Answerer refuses another code than the peer's, and the peer's key without its code", () => {
  const site = new TestSite(suite);
  const forged = { code: "payload_forged" };
  const guess = site.device("m-1", { psk: suite.randomBytes(32) });
  site.put(guess.id, enrolled(psk));
  assert.throws(() => guess.connect(), forged);
  assert.throws(() => guess.meet(), forged);
  const none = site.device("m-1");
  assert.throws(() => none.connect(), forged);
  assert.throws(() => none.meet(), forged);
  site.put(none.id, approved(none.key, psk));
  assert.throws(() => none.connect(), forged);
  assert.throws(() => guess.connect(), forged);
  assert.equal(site.answerer.size, 0);
});

Deno.test("Answerer takes no first contact with the name left open for a proof of the code", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1");
  site.put(device.id, enrolled(psk));
  const { session, words, step } = device.meet({ site: "" });
  const { proof, ...shown } = applicantIn(step);
  assert.equal(proof, "key");
  assert.deepEqual(shown, { device: device.id, key: device.key.publicKey, words });
  assert.equal(senderIn(site.take(session.seal(hi))), null);
});

Deno.test("Answerer tells of a second key under a name, by what it proves, and ends no session", () => {
  // what the peer has, what the second key comes with, and what that proves
  const cases = [[zeroPsk, zeroPsk, "key"], [psk, psk, "code"], [psk, zeroPsk, "key"]] as const;
  for (const [its, his, proof] of cases) {
    const site = new TestSite(suite);
    const device = site.device("m-1", { psk: its });
    site.put(device.id, approved(device.key, its));
    const session = confirmed(site, device);
    const second = site.device("m-1", { psk: his });
    const shown = { device: device.id, key: second.key.publicKey, proof };
    const ik = applicantIn(site.take(second.ik().message1));
    assert.deepEqual(ik, { ...shown, words: null });
    // without the code it must not name the site: it would be taken for somebody with a code
    const { step, words, session: waiting } = second.meet(his === zeroPsk ? { site: "" } : {});
    assert.deepEqual(applicantIn(step), { ...shown, words: proof === "code" ? null : words });
    assert.equal(senderIn(site.take(waiting.seal(hi))), null);
    assert.notEqual(senderIn(site.take(session.seal(hi))), null);
    assert.equal(site.answerer.size, 2);
  }
});

Deno.test("Answerer.update() turns the session of a stranger who waits into an admitted one", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1");
  const { session } = device.meet();
  assert.equal(senderIn(site.take(session.seal(hi))), null);
  const peer = approved(device.key);
  assert.equal(site.put(device.id, peer), null);
  assert.equal(senderIn(site.take(session.seal(hi))), peer);
  // what ends strangers' sessions leaves it alone
  site.now += 11 * 60_000;
  assert.equal(senderIn(site.take(session.seal(hi))), peer);
});

Deno.test("Answerer.update() tells the live sessions of a peer what it now is", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1", { psk });
  site.put(device.id, enrolled(psk));
  const session = confirmed(site, device);
  const bound = { ...approved(device.key, psk), signKey: suite.randomBytes(32) };
  site.put(device.id, bound);
  assert.equal(senderIn(site.take(session.seal(hi))), bound);
});

Deno.test("Answerer.update() answers the newest message 1 of IK that waits for 120 seconds", () => {
  for (const age of [0, knockAge, knockAge + 1]) {
    const site = new TestSite(suite);
    const device = site.device("m-1");
    const old = device.ik();
    applicantIn(site.take(old.message1));
    site.now += 1_000;
    const newest = device.ik();
    applicantIn(site.take(newest.message1));
    site.now += age;
    const message2 = site.put(device.id, approved(device.key));
    if (age > knockAge) {
      assert.equal(message2, null);
      assert.equal(site.answerer.size, 0);
      continue;
    }
    const frame = decodeFrame(message2!);
    assert.deepEqual([old.expects(frame), newest.expects(frame)], [false, true]);
    assert.notEqual(senderIn(site.take(newest.finish(frame).seal(hi))), null);
    assert.equal(site.put(device.id, approved(device.key)), null);
  }
});

Deno.test("Answerer.update() makes a waiting message 1 no younger by other decisions", () => {
  const decisions: Record<string, (site: TestSite, device: TestDevice) => void> = {
    "another key approved": (site, { id }) => void site.put(id, approved(suite.x25519.keyPair())),
    "enrolled": (site, { id }) => void site.put(id, enrolled(psk)),
    "removed": (site, { id }) => void site.put(id, null),
  };
  for (const [what, decide] of Object.entries(decisions)) {
    const site = new TestSite(suite);
    const device = site.device("m-1");
    applicantIn(site.take(device.ik().message1));
    site.now += knockAge;
    decide(site, device);
    site.now += 1;
    assert.ok(site.put(device.id, approved(device.key)) === null, what);
  }
});

Deno.test("Answerer.update() answers nobody but the key that is approved", () => {
  const site = new TestSite(suite);
  const [device, other] = [site.device("m-1"), site.device("m-1")];
  applicantIn(site.take(device.ik().message1));
  assert.equal(site.put(device.id, approved(other.key)), null);
  assert.equal(site.answerer.size, 0);
  // the other's own message 1, which came last, is answered; the first one's is gone
  const [mine, his] = [device.ik(), other.ik()];
  site.put(device.id, null);
  applicantIn(site.take(mine.message1));
  applicantIn(site.take(his.message1));
  const message2 = decodeFrame(site.put(device.id, approved(other.key))!);
  assert.deepEqual([mine.expects(message2), his.expects(message2)], [false, true]);
});

Deno.test("Answerer.update() answers no message 1 that proved nothing", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1", { psk });
  applicantIn(site.take(device.ik().message1));
  assert.equal(site.put(device.id, approved(device.key)), null);
  assert.equal(site.answerer.size, 0);
  assert.notEqual(site.put(device.id, enrolled(psk)), null);
});

Deno.test("Answerer.update() ends the sessions of every other key under the name", () => {
  const site = new TestSite(suite);
  const [device, stranger, bystander] = [
    ...[site.device("m-1"), site.device("m-1"), site.device("m-2")],
  ];
  const [mine, his, spared] = [device!.meet(), stranger!.meet(), bystander!.meet()];
  site.put(device!.id, approved(device!.key));
  assert.notEqual(senderIn(site.take(mine.session.seal(hi))), null);
  assert.ok(isUnknown(site.take(his.session.seal(hi)), his.session));
  assert.equal(senderIn(site.take(spared.session.seal(hi))), null);
  // replaced: now it is the first one that must go
  site.put(device!.id, approved(stranger!.key));
  assert.ok(isUnknown(site.take(mine.session.seal(hi)), mine.session));
});

Deno.test("Answerer.update() ends sessions of a code that was replaced", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1", { psk });
  site.put(device.id, enrolled(psk));
  const session = confirmed(site, device);
  site.put(device.id, enrolled(suite.randomBytes(32)));
  assert.ok(isUnknown(site.take(session.seal(hi)), session));
});

Deno.test("Answerer.update() ends all of a device that is revoked or removed, at once", () => {
  for (const gone of ["revoked", "removed"] as const) {
    const site = new TestSite(suite);
    const [device, bystander] = [site.device("m-1"), site.device("m-2")];
    for (const { id, key } of [device, bystander]) site.put(id, approved(key));
    const spared = confirmed(site, bystander);
    const stranger = site.device("m-1");
    const sessions = [confirmed(site, device), device.connect(), device.meet().session];
    sessions.push(stranger.meet({ site: "" }).session);
    const half = [device, stranger].map((one) => {
      const initiator = one.xx({ site: "" });
      const message2 = replyIn(site.take(initiator.message1));
      return initiator.finish(decodeFrame(message2)).message3;
    });
    applicantIn(site.take(stranger.ik().message1));
    assert.equal(site.answerer.size, 5);
    assert.equal(site.put(device.id, gone === "revoked" ? revoked(device.key) : null), null);
    assert.equal(site.answerer.size, 1);
    for (const session of sessions) {
      assert.ok(isUnknown(site.take(session.seal(hi), device.id), session), gone);
    }
    for (const third of half) {
      assert.throws(() => site.take(third), { code: "unexpected_frame" }, gone);
    }
    assert.notEqual(senderIn(site.take(spared.seal(hi))), null);
    const again = device.ik().message1;
    if (gone === "revoked") assert.throws(() => site.take(again), { code: "revoked" });
    else assert.equal(applicantIn(site.take(again)).proof, "key");
  }
});

Deno.test("Answerer.update() answers no message 1 that waited when its sender was revoked", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1");
  applicantIn(site.take(device.ik().message1));
  assert.equal(site.put(device.id, revoked(device.key)), null);
  assert.equal(site.answerer.size, 0);
});

Deno.test("Answerer refuses an opening with more in it than belongs there", () => {
  const site = new TestSite(suite);
  const device = site.device("m-1");
  site.put(device.id, approved(device.key));
  const hello: Hello = { purpose: "rpc", site: site.id, device: device.id, versions: [2] };
  const prologue = encodePrologue(hello);
  const handshake = new Handshake(suite, "Noise_IKpsk1_25519_ChaChaPoly_SHA256", {
    ...{ initiator: true, prologue, staticKey: device.key, psk: zeroPsk },
    remoteStatic: site.key.publicKey,
  });
  const body = encodeOpening(prologue, handshake.writeMessage(utf8("a request")));
  const frame = encodeFrame(FrameType.message1, new Uint8Array(8), 0, body);
  assert.throws(() => site.take(frame), { name: "HandshakeError", code: "refused" });
  assert.equal(site.answerer.size, 0);
});
