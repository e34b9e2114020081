/** The answering side: whose frames it takes, what it forgets, and that a call runs once. */
import assert from "node:assert/strict";
import { equalBytes } from "../../base/bytes.ts";
import type { Id } from "../../base/id.ts";
import { decodeFrame, encodeFrame, FrameType } from "../../trust/session/frame.ts";
import type { Hello } from "../../trust/session/hello.ts";
import { Session } from "../../trust/session/session.ts";
import { encodeMessage } from "../../trust/session/call.ts";
import { encodeEnrolAnswer, encodeEnrolRequest } from "../../trust/session/call.ts";
import { Refusal } from "./_channel.ts";
import { callOf, day, Device, echo, messageIn, openTestSite, textIn } from "./_test_site.ts";
import { siteId, slowly, suite } from "./_test_site.ts";

const nothing = new Uint8Array(0);
/** What a peer hears that has enrolled. */
const joined = new TextDecoder().decode(encodeEnrolAnswer(siteId));

Deno.test("Responder answers the same message 1 with the same message 2", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const responder = site.responder(echo);
  const { message1 } = device.begin();
  const message2 = await responder.receive(message1, device.id);
  assert.deepEqual(await responder.receive(message1, device.id), message2);
  assert.equal(responder.size, 1);
  const other = await responder.receive(device.begin().message1, device.id);
  assert.notDeepEqual(other, message2);
  assert.equal(responder.size, 2);
});

Deno.test("Responder answers the same message 1 alike while the first is still looked up", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const responder = site.responder(echo);
  const { message1 } = device.begin();
  const [one, two] = await Promise.all([0, 1].map(() => responder.receive(message1, device.id)));
  assert.deepEqual(one, two);
});

Deno.test("Responder keeps four unconfirmed handshakes: the oldest gives way", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const responder = site.responder(echo);
  const sessions: Session[] = [];
  for (let i = 0; i < 7; i++) sessions.push(await device.connect(responder));
  assert.equal(responder.size, 4);
  const [first, , , fourth] = sessions;
  const unknown = await responder.receive(callOf(first!, "early"), device.id);
  assert.equal(decodeFrame(unknown!).type, FrameType.unknown);
  assert.equal(textIn(fourth!, await responder.receive(callOf(fourth!, "mine"))), "mine");
});

Deno.test("Responder lets the real device in under a flood of recorded messages 1", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const recorded = Array.from({ length: 20 }, () => device.begin().message1);
  const responder = site.responder(echo);
  for (const message1 of recorded) await responder.receive(message1, device.id);
  // each has had its turn: as often as they come now, they push nobody out
  const flood = async () => {
    for (const message1 of recorded.slice(0, -4)) {
      await assert.rejects(responder.receive(message1, device.id), { code: "used_up" });
    }
  };
  const session = await device.connect(responder);
  await flood();
  assert.equal(textIn(session, await responder.receive(callOf(session, "in"))), "in");
  await flood();
  assert.equal(textIn(session, await responder.receive(callOf(session, "still in"))), "still in");
  assert.ok(responder.size <= 5);
});

Deno.test("Responder does not let one device's handshakes push out another's", async () => {
  await using site = await openTestSite();
  const [a, b] = [await site.approve("m-1"), await site.approve("m-2")];
  const responder = site.responder(echo);
  const session = await b.connect(responder);
  for (let i = 0; i < 9; i++) await a.connect(responder);
  assert.equal(textIn(session, await responder.receive(callOf(session, "b"), b.id)), "b");
});

Deno.test("Responder forgets an unconfirmed handshake after 30 seconds, a confirmed one not", async () => {
  let now = 0;
  await using site = await openTestSite(() => now);
  const [device, other] = [await site.approve("m-1"), await site.approve("m-2")];
  const responder = site.responder(echo);
  const [late, just] = [await device.connect(responder), await other.connect(responder)];
  now += 30_000;
  assert.equal(textIn(just, await responder.receive(callOf(just, "in time"))), "in time");
  now += 1;
  const reply = await responder.receive(callOf(late, "too late"), device.id);
  assert.equal(decodeFrame(reply!).type, FrameType.unknown);
  now += 3 * day;
  assert.equal(textIn(just, await responder.receive(callOf(just, "days later"))), "days later");
  now += 4 * day;
  const expired = await responder.receive(callOf(just, "after a week"), other.id);
  assert.equal(decodeFrame(expired!).type, FrameType.unknown);
  assert.equal(responder.size, 0);
});

Deno.test("Responder says that a session is unknown once in 10 seconds and device", async () => {
  let now = 0;
  await using site = await openTestSite(() => now);
  const responder = site.responder(echo);
  const id = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const stray = encodeFrame(FrameType.data, id, 7, new Uint8Array(40));
  const said = async (device: string) => await responder.receive(stray, device as Id);
  const unknown = encodeFrame(FrameType.unknown, id, 0, nothing);
  assert.deepEqual(await said("m-1"), unknown);
  assert.equal(await said("m-1"), null);
  assert.deepEqual(await said("m-2"), unknown);
  now += 9_999;
  assert.equal(await said("m-1"), null);
  now += 1;
  assert.deepEqual(await said("m-1"), unknown);
});

Deno.test("Responder replaces a session only when the new one's first frame opens", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const responder = site.responder(echo);
  const old = await device.connect(responder);
  await responder.receive(callOf(old, "1"));
  const next = await device.connect(responder);
  assert.equal(textIn(old, await responder.receive(callOf(old, "2"))), "2");
  const forged = callOf(next, "forged");
  forged[forged.length - 1]! ^= 1;
  await assert.rejects(responder.receive(forged), { code: "forged" });
  assert.equal(textIn(old, await responder.receive(callOf(old, "3"))), "3");
  assert.equal(textIn(next, await responder.receive(callOf(next, "4"))), "4");
  const reply = await responder.receive(callOf(old, "5"));
  assert.equal(decodeFrame(reply!).type, FrameType.unknown);
  assert.equal(responder.size, 1);
});

Deno.test("Responder ends the session of a revoked peer at once", async () => {
  await using site = await openTestSite();
  const [device, other] = [await site.approve("m-1"), await site.approve("m-2")];
  const responder = site.responder(echo);
  const [session, spared] = [await device.connect(responder), await other.connect(responder)];
  await responder.receive(callOf(session, "1"));
  await site.peers.revoke("meter", "m-1");
  const reply = await responder.receive(callOf(session, "2"), device.id);
  assert.equal(decodeFrame(reply!).type, FrameType.unknown);
  await assert.rejects(device.connect(responder), { name: "RefusedFrame", code: "revoked" });
  assert.equal(textIn(spared, await responder.receive(callOf(spared, "3"))), "3");
});

Deno.test("Responder opens no session for a peer that is revoked while it is looked up", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const gate = Promise.withResolvers<void>();
  const responder = site.responder(echo, { peers: slowly(site.peers, gate.promise) });
  const initiator = device.begin();
  const handshake = responder.receive(initiator.message1, device.id).catch(() => null);
  // the peer has been looked up by the time that a later read is done
  await site.peers.find("meter", device.id);
  await site.peers.revoke("meter", device.id);
  gate.resolve();
  const message2 = await handshake;
  if (message2 === null) return;
  const session = initiator.finish(decodeFrame(message2));
  const reply = await responder.receive(callOf(session, "revoked"), device.id);
  assert.equal(decodeFrame(reply!).type, FrameType.unknown);
});

Deno.test("Responder runs a repeated call once and gives the same bytes, running or done", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  const responder = site.responder(async (call) => {
    runs++;
    await gate.promise;
    return call;
  });
  const session = await device.connect(responder);
  const frame = callOf(session, "once");
  const running = [0, 1, 2].map(() => responder.receive(frame, device.id));
  gate.resolve();
  const replies = await Promise.all(running);
  replies.push(await responder.receive(frame, device.id));
  for (let i = 0; i < 63; i++) await responder.receive(callOf(session, `${i}`));
  replies.push(await responder.receive(frame, device.id));
  for (const reply of replies) assert.deepEqual(reply, replies[0]);
  assert.equal(textIn(session, replies[0]!), "once");
  assert.equal(runs, 64);
  await responder.receive(callOf(session, "one more"));
  await assert.rejects(responder.receive(frame), { code: "replayed" });
  assert.equal(await site.refused("replayed"), 1);
});

Deno.test("Responder lets few repetitions of a call wait for its answer, however many come", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const gate = Promise.withResolvers<void>();
  const responder = site.responder(async (call) => {
    await gate.promise;
    return call;
  });
  const session = await device.connect(responder);
  const frame = callOf(session, "slow");
  const [first, ...others] = Array.from({ length: 1_000 }, () => responder.receive(frame));
  gate.resolve();
  assert.equal(textIn(session, await first!), "slow");
  const answers = await Promise.all(others);
  assert.equal(answers.filter((answer) => answer !== null).length, 8);
  assert.notEqual(await responder.receive(frame), null);
});

Deno.test("Responder tells a refusal's code, and of an unexpected failure nothing", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const responder = site.responder((call) => {
    if (call.length === 1) throw new Refusal("too_short", "Cannot take it");
    throw new TypeError("a secret of the site");
  });
  const session = await device.connect(responder);
  const ask = async (text: string) =>
    textIn(session, await responder.receive(callOf(session, text), device.id));
  assert.equal(await ask("x"), "refused: too_short");
  assert.equal(await ask("xyz"), "refused: unavailable");
  assert.deepEqual([await site.refused("too_short"), await site.refused("internal")], [1, 1]);
});

Deno.test("Responder seals no answer under the erased keys of a session that has ended", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const zeros = () => new Uint8Array(32);
  const eavesdropper = new Session(
    suite,
    { sendKey: zeros(), receiveKey: zeros(), hash: zeros() },
    () => 0,
  );
  const endings: Record<string, (responder: ReturnType<typeof site.responder>) => Promise<void>> = {
    replaced: async (responder) => {
      await responder.receive(callOf(await device.connect(responder), "new"));
    },
    closed: (responder) => Promise.resolve(responder.close()),
    revoked: () => site.peers.revoke("meter", device.id),
  };
  for (const [how, end] of Object.entries(endings)) {
    const gate = Promise.withResolvers<void>();
    const responder = site.responder(async (call) => {
      if (call.length > 3) await gate.promise;
      return call;
    });
    const session = await device.connect(responder);
    const running = responder.receive(callOf(session, "confidential"), device.id);
    await end(responder);
    gate.resolve();
    const reply = await running.catch(() => null);
    if (reply === null) continue;
    assert.throws(() => eavesdropper.open(decodeFrame(reply)), { code: "forged" }, how);
  }
});

Deno.test("Responder binds a peer with its first frame, knows it again, and no other key", async () => {
  await using site = await openTestSite();
  const device = await site.enrol("m-1");
  const responder = site.responder(echo);
  const early = await device.connect(responder);
  assert.equal(textIn(early, await responder.receive(callOf(early, "x"))), "refused: not_enrolled");
  const request = (signKey: Uint8Array) =>
    encodeMessage({ kind: "enrol", body: encodeEnrolRequest(signKey) });
  const ask = async (session: Session, signKey = device.signKey) =>
    textIn(session, await responder.receive(session.seal(request(signKey)), device.id));

  assert.equal(await ask(early), joined);
  assert.equal(await ask(early), joined);
  assert.equal(textIn(early, await responder.receive(callOf(early, "now"))), "now");
  assert.equal((await site.peers.find("meter", device.id))?.state, "approved");
  const again = await device.connect(responder);
  assert.equal(await ask(again), joined);
  const stranger = suite.ed25519.signer().publicKey;
  assert.equal(await ask(again, stranger), "refused: already_enrolled");
  assert.equal(await ask(again, new Uint8Array(32)), "refused: bad_key");
});

Deno.test("Responder binds one of two sessions that enrol with one code", async () => {
  await using site = await openTestSite();
  const device = await site.enrol("m-1");
  const thief = new Device({
    ...{ id: device.id, code: device.code, clock: () => 0 },
    remoteStatic: site.staticKey.publicKey,
  });
  const responder = site.responder(echo);
  const replies: string[] = [];
  const sessions = await Promise.all([device, thief].map((one) => one.connect(responder)));
  for (const [i, session] of sessions.entries()) {
    const body = encodeEnrolRequest([device, thief][i]!.signKey);
    const frame = session.seal(encodeMessage({ kind: "enrol", body }));
    const reply = await responder.receive(frame);
    const isUnknown = decodeFrame(reply!).type === FrameType.unknown;
    replies.push(isUnknown ? "session ended" : textIn(session, reply));
  }
  assert.deepEqual(replies, [joined, "session ended"]);
  const { noiseKey } = (await site.peers.find("meter", device.id))!;
  assert.ok(equalBytes(noiseKey!, device.staticKey.publicKey));
});

Deno.test("Responder lets nobody enrol who came with a code that was replaced", async () => {
  await using site = await openTestSite();
  const thief = await site.enrol("m-1");
  const responder = site.responder(echo);
  const session = await thief.connect(responder);
  const device = await site.enrol("m-1");
  const enrol = (session: Session, { signKey }: Device) =>
    responder.receive(session.seal(encodeMessage({
      kind: "enrol",
      body: encodeEnrolRequest(signKey),
    })));
  await enrol(session, thief).catch(() => null);
  assert.equal((await site.peers.find("meter", device.id))?.state, "enrolled");
  const own = await device.connect(responder);
  assert.equal(textIn(own, await enrol(own, device)), joined);
});

Deno.test("Responder refuses what is no call, and answers to nobody", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const responder = site.responder(echo);
  const session = await device.connect(responder);
  const answer = session.seal(encodeMessage({ kind: "answer", to: 0, body: nothing }));
  const reply = messageIn(session, await responder.receive(answer));
  assert.deepEqual(reply, { kind: "refusal", to: 0, code: "unexpected_message" });
  const rubbish = session.seal(Uint8Array.of(99));
  await assert.rejects(responder.receive(rubbish), { name: "CallError", code: "malformed" });
  assert.equal(await responder.receive(rubbish), null);
});

Deno.test("Responder counts each refused frame by its reason, and changes nothing", async () => {
  let now = 0;
  await using site = await openTestSite(() => now);
  const device = await site.approve("m-1");
  const responder = site.responder(echo);
  const session = await device.connect(responder);
  const hello = (change: Partial<Hello>) => device.begin(change).message1;
  const stranger = new Device({
    ...{ id: "nobody" as Id, code: device.code, clock: () => 0 },
    remoteStatic: site.staticKey.publicKey,
  });
  const late = await site.enrol("m-late");
  const gone = await site.approve("m-gone");
  await site.peers.revoke("meter", "m-gone");
  now += day + 1;
  const header = (type: FrameType) => encodeFrame(type, session.id, 0, new Uint8Array(50));
  const live = await device.connect(responder);
  const refusals: [string, Uint8Array, Id?][] = [
    ["wrong_purpose", hello({ purpose: "uplink" })],
    ["wrong_site", hello({ site: "kiosk-8" as Id })],
    ["wrong_site", hello({ site: "" })],
    ["wrong_device", device.begin().message1, "m-2" as Id],
    ["wrong_device", callOf(live, "x"), "m-2" as Id],
    ["wrong_version", hello({ versions: [1, 3] })],
    ["wrong_key", device.begin({}, suite.x25519.keyPair()).message1],
    ["pending", stranger.begin().message1],
    ["revoked", gone.begin().message1],
    ["code_expired", late.begin().message1],
    ["unexpected_frame", header(FrameType.message2)],
    ["unexpected_frame", header(FrameType.message3)],
    ["unexpected_frame", encodeFrame(FrameType.unknown, session.id, 0, nothing)],
  ];
  const { size } = responder;
  for (const [code, frame, topic] of refusals) {
    const before = await site.refused(code);
    const what = { name: "RefusedFrame", code };
    await assert.rejects(responder.receive(frame, topic), what, code);
    assert.equal(await site.refused(code), before + 1);
  }
  assert.equal(responder.size, size);
  assert.equal(textIn(live, await responder.receive(callOf(live, "well"), device.id)), "well");
});

Deno.test("Responder refuses a handshake under another code", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const guess = new Device({
    ...{ id: device.id, code: suite.randomBytes(16), clock: () => 0 },
    remoteStatic: site.staticKey.publicKey,
  });
  const responder = site.responder(echo);
  await assert.rejects(responder.receive(guess.begin().message1), { code: "payload_forged" });
  assert.equal(responder.size, 0);
});
