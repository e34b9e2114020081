/**
 * First contact: what both sides hold at its end, and what somebody on the way, or a device that cheats,
 * gets from altering it.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, utf8 } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import type { KeyPair, Suite } from "../crypto.ts";
import {
  ContactError,
  ContactInitiator,
  contactMessageLength,
  ContactResponder,
} from "./contact.ts";
import { decodeFrame, encodeFrame, type Frame, FrameType } from "./frame.ts";
import { UnprovenError, zeroPsk } from "./handshake.ts";
import { decodeOpening, encodeOpening, encodePrologue, type Hello } from "./hello.ts";
import { Handshake, NoiseError } from "./noise.ts";

const suite = nativeSuite();
const protocol = "Noise_XXpsk3_25519_ChaChaPoly_SHA256";
const [deviceKey, siteKey, hisKey] = [0, 1, 2].map(() => suite.x25519.keyPair()) as [
  KeyPair,
  KeyPair,
  KeyPair,
];
const hello: Hello = { purpose: "rpc", site: "", device: parseId("m-1"), versions: [3, 2] };
const clock = () => 0;
const session = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

interface Side {
  readonly suite?: Suite;
  readonly staticKey?: KeyPair;
  readonly psk?: Uint8Array;
}

function initiate(side: Side & { hello?: Hello } = {}): ContactInitiator {
  const options = { hello, staticKey: deviceKey, psk: zeroPsk, clock, ...side };
  return new ContactInitiator(side.suite ?? suite, options);
}

function answer(message1: Uint8Array, side: Side = {}): ContactResponder {
  const frame = decodeFrame(message1);
  const opening = { ...decodeOpening(frame.body), session: frame.session };
  return new ContactResponder(side.suite ?? suite, opening, {
    ...{ staticKey: siteKey, psk: zeroPsk, clock },
    ...side,
  });
}

/** Both sides, when nobody is in between. */
function meet(device: Side = {}, site: Side = {}) {
  const initiator = initiate(device);
  const responder = answer(initiator.message1, site);
  const mine = initiator.finish(decodeFrame(responder.message2));
  return { mine, theirs: responder.finish(decodeFrame(mine.message3)) };
}

/** A side that says what it likes. */
function handmade(initiator: boolean, staticKey = initiator ? deviceKey : siteKey): Handshake {
  const prologue = encodePrologue(hello);
  return new Handshake(suite, protocol, { initiator, prologue, staticKey, psk: zeroPsk });
}

function message1Of(handshake: Handshake, payload: Uint8Array): Uint8Array {
  const written = handshake.writeMessage(payload);
  const body = encodeOpening(encodePrologue(hello), written);
  return encodeFrame(FrameType.message1, session, 0, body);
}

function frameOf(type: FrameType, body: Uint8Array): Frame {
  return decodeFrame(encodeFrame(type, session, 0, body));
}

const promise = (key: Uint8Array, random: Uint8Array) =>
  suite.sha256(concat(utf8("edgeward/sas"), key, random));

/** Draws these 16 bytes as its share of the words, and everything else at random. */
function drawing(random: Uint8Array): Suite {
  const randomBytes = (length: number) => length === 16 ? random : suite.randomBytes(length);
  return { ...suite, randomBytes };
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof NoiseError || error instanceof ContactError, `${error}`);
    return error.code;
  }
  throw new Error("Nothing was thrown");
}

function flipped(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  return bytes.with(at, bytes[at]! ^ 1 << bit);
}

Deno.test("ContactInitiator and ContactResponder end with the same words and the other's key", () => {
  for (const psk of [zeroPsk, suite.randomBytes(32)]) {
    const { mine, theirs } = meet({ psk }, { psk });
    assert.equal(mine.words, theirs.words);
    assert.match(mine.words, /^[a-z]+( [a-z]+){5}$/);
    assert.deepEqual(mine.remoteStatic, siteKey.publicKey);
    assert.deepEqual(theirs.remoteStatic, deviceKey.publicKey);
    assert.notEqual(meet({ psk }, { psk }).mine.words, mine.words);
  }
});

Deno.test("ContactInitiator and ContactResponder end in one session that works both ways", () => {
  const { mine, theirs } = meet();
  assert.deepEqual(mine.session.id, theirs.session.id);
  for (const [from, to] of [[mine, theirs], [theirs, mine]] as const) {
    for (const text of ["one", "two"]) {
      const frame = decodeFrame(from.session.seal(utf8(text)));
      assert.deepEqual(to.session.open(frame).plaintext, utf8(text));
    }
  }
  const other = meet();
  const stray = decodeFrame(other.mine.session.seal(utf8("stray")));
  assert.throws(() => theirs.session.open(stray), { code: "forged" });
});

Deno.test("message 1 of a first contact has the length by which it is told from IK's", () => {
  const { noiseMessage } = decodeOpening(decodeFrame(initiate().message1).body);
  assert.equal(noiseMessage.length, contactMessageLength);
});

Deno.test("whoever sits in between with a key of his own shows other words to each side", () => {
  const share = fc.uint8Array({ minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(fc.boolean(), fc.boolean(), share, share, (waits, copies, a, b) => {
      const [device, site] = [initiate({ suite: drawing(a) }), { suite: drawing(b) }];
      // what he may know when he must choose: the share of the side that has shown its own already
      const his = (known: Uint8Array) => ({
        ...{ staticKey: hisKey, suite: drawing(copies ? known : suite.randomBytes(16)) },
      });
      const asSite = answer(device.message1, his(b));
      const withDevice = () => {
        const mine = device.finish(decodeFrame(asSite.message2));
        asSite.finish(decodeFrame(mine.message3));
        return mine.words;
      };
      const withSite = () => {
        const asDevice = initiate(his(a));
        const real = answer(asDevice.message1, site);
        const { message3 } = asDevice.finish(decodeFrame(real.message2));
        return real.finish(decodeFrame(message3)).words;
      };
      const words = waits ? [withDevice(), withSite()] : [withSite(), withDevice()];
      assert.notEqual(words[0], words[1]);
    }),
    { numRuns: 100 },
  );
});

Deno.test("ContactInitiator refuses message 2 with any byte altered, and says where it broke", () => {
  const frame = answer(initiate().message1).message2;
  assert.equal(frame.length, 18 + 32 + 48 + 32);
  for (let at = 18; at < frame.length; at++) {
    const initiator = initiate();
    const altered = decodeFrame(flipped(answer(initiator.message1).message2, at, at % 8));
    assert.ok(initiator.expects(altered));
    // e, es and s come before the payload
    const code = at < 18 + 80 ? "static_forged" : "payload_forged";
    assert.equal(codeOf(() => initiator.finish(altered)), code, `byte ${at}`);
  }
});

Deno.test("ContactInitiator expects message 2 of its own session and nothing else", () => {
  const [mine, other] = [initiate(), initiate()];
  const frame = answer(mine.message1).message2;
  assert.equal(mine.expects(decodeFrame(frame)), true);
  for (let at = 1; at < 10; at++) {
    assert.equal(mine.expects(decodeFrame(flipped(frame, at))), false, `byte ${at}`);
  }
  assert.equal(mine.expects(decodeFrame(answer(other.message1).message2)), false);
});

Deno.test("ContactInitiator refuses message 2 of another handshake, and then takes its own", () => {
  const [mine, other] = [initiate(), initiate()];
  const genuine = decodeFrame(answer(mine.message1).message2);
  const { body } = decodeFrame(answer(other.message1).message2);
  const substituted = decodeFrame(encodeFrame(FrameType.message2, genuine.session, 0, body));
  assert.ok(mine.expects(substituted));
  assert.equal(codeOf(() => mine.finish(substituted)), "static_forged");
  mine.finish(genuine);
});

Deno.test("ContactResponder refuses message 3 with any byte altered, and says where it broke", () => {
  for (let at = 0; at < 48 + 32; at++) {
    const initiator = initiate();
    const responder = answer(initiator.message1);
    const { body } = decodeFrame(initiator.finish(decodeFrame(responder.message2)).message3);
    assert.equal(body.length, 48 + 32);
    const altered = frameOf(FrameType.message3, flipped(body, at, at % 8));
    const code = at < 48 ? "static_forged" : "payload_forged";
    assert.equal(codeOf(() => responder.finish(altered)), code, `byte ${at}`);
  }
});

Deno.test("ContactResponder refuses message 3 of another handshake, and then takes its own", () => {
  const [one, two] = [0, 1].map(() => {
    const initiator = initiate();
    const responder = answer(initiator.message1);
    const { message3 } = initiator.finish(decodeFrame(responder.message2));
    return { responder, message3: decodeFrame(message3) };
  });
  assert.equal(codeOf(() => one!.responder.finish(two!.message3)), "static_forged");
  assert.deepEqual(one!.responder.finish(one!.message3).remoteStatic, deviceKey.publicKey);
});

Deno.test("ContactInitiator and ContactResponder refuse messages that end early or late", () => {
  for (const length of [0, 31, 32, 79, 80, 95, 96, 111, 113, 200]) {
    const initiator = initiate();
    const { body } = decodeFrame(answer(initiator.message1).message2);
    const cut = concat(body, new Uint8Array(100)).subarray(0, length);
    const code = length < 80 ? "malformed" : "payload_forged";
    assert.equal(codeOf(() => initiator.finish(frameOf(FrameType.message2, cut))), code);
  }
  for (const length of [0, 47, 48, 63, 64, 79, 81, 200]) {
    const initiator = initiate();
    const responder = answer(initiator.message1);
    const { body } = decodeFrame(initiator.finish(decodeFrame(responder.message2)).message3);
    const cut = concat(body, new Uint8Array(150)).subarray(0, length);
    const code = length < 48 ? "malformed" : "payload_forged";
    assert.equal(codeOf(() => responder.finish(frameOf(FrameType.message3, cut))), code);
  }
  const { noiseMessage, prologue } = decodeOpening(decodeFrame(initiate().message1).body);
  for (const length of [0, 31, 32, 47, 79, 81, 200]) {
    const cut = concat(noiseMessage, new Uint8Array(150)).subarray(0, length);
    const body = encodeOpening(prologue, cut);
    const code = length < 32 ? "malformed" : "payload_forged";
    const message1 = encodeFrame(FrameType.message1, session, 0, body);
    assert.equal(codeOf(() => answer(message1)), code, `${length}`);
  }
});

Deno.test("ContactResponder refuses a device that reveals what it had not promised", () => {
  const [random, another] = [suite.randomBytes(16), suite.randomBytes(16)];
  const { publicKey } = deviceKey;
  const promises: Record<string, Uint8Array> = {
    "another random": promise(publicKey, another),
    "another key": promise(hisKey.publicKey, random),
    "the key alone": suite.sha256(concat(utf8("edgeward/sas"), publicKey)),
    "no label": suite.sha256(concat(publicKey, random)),
    "nothing": new Uint8Array(32),
  };
  for (const [what, promised] of Object.entries({ "": promise(publicKey, random), ...promises })) {
    const device = handmade(true);
    const responder = answer(message1Of(device, promised));
    device.readMessage(decodeFrame(responder.message2).body);
    const message3 = frameOf(FrameType.message3, device.writeMessage(random));
    if (what === "") assert.deepEqual(responder.finish(message3).remoteStatic, publicKey);
    else assert.equal(codeOf(() => responder.finish(message3)), "commitment_broken", what);
  }
});

Deno.test("ContactResponder tells of a device with another psk whose key it claims to have", () => {
  for (
    const [mine, theirs] of [[suite.randomBytes(32), zeroPsk], [zeroPsk, suite.randomBytes(32)]]
  ) {
    const initiator = initiate({ psk: mine! });
    const responder = answer(initiator.message1, { psk: theirs! });
    const { message3 } = initiator.finish(decodeFrame(responder.message2));
    const thrown = errorOf(() => responder.finish(decodeFrame(message3)));
    assert.ok(thrown instanceof UnprovenError, `${thrown}`);
    assert.equal(thrown.code, "payload_forged");
    assert.deepEqual(thrown.claimedKey, deviceKey.publicKey);
  }
});

Deno.test("ContactInitiator and ContactResponder refuse payloads of other lengths", () => {
  const malformed = { name: "ContactError", code: "malformed" };
  for (const length of [0, 15, 16, 31, 33, 64]) {
    const message1 = message1Of(handmade(true), new Uint8Array(length));
    assert.throws(() => answer(message1), malformed, `message 1: ${length}`);
  }
  for (const length of [0, 15, 17, 32]) {
    const initiator = initiate();
    const { body, session } = decodeFrame(initiator.message1);
    const site = handmade(false);
    site.readMessage(decodeOpening(body).noiseMessage);
    const written = site.writeMessage(new Uint8Array(length));
    const message2 = decodeFrame(encodeFrame(FrameType.message2, session, 0, written));
    assert.throws(() => initiator.finish(message2), malformed, `message 2: ${length}`);

    const device = handmade(true);
    const random = new Uint8Array(length);
    const responder = answer(message1Of(device, promise(deviceKey.publicKey, random)));
    device.readMessage(decodeFrame(responder.message2).body);
    const message3 = frameOf(FrameType.message3, device.writeMessage(random));
    assert.throws(() => responder.finish(message3), malformed, `message 3: ${length}`);
  }
});

Deno.test("ContactResponder opens nothing when the prologue was altered on the way", () => {
  const { prologue, noiseMessage } = decodeOpening(decodeFrame(initiate().message1).body);
  const others = [{ versions: [2] }, { versions: [2, 3] }, { site: parseId("kiosk-7") }]
    .map((change) => encodePrologue({ ...hello, ...change }));
  for (let at = 0; at < prologue.length; at++) others.push(flipped(prologue, at, at % 8));
  for (const altered of others) {
    const opening = { hello, prologue: altered, noiseMessage, session };
    const options = { staticKey: siteKey, psk: zeroPsk, clock };
    const code = codeOf(() => new ContactResponder(suite, opening, options));
    assert.equal(code, "payload_forged");
  }
  const opening = { hello, prologue, noiseMessage, session };
  new ContactResponder(suite, opening, { staticKey: siteKey, psk: zeroPsk, clock });
});

function errorOf(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}
