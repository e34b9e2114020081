/**
 * Points of low order: whoever sends one knows the secret that comes of it without owning a key, so each
 * place of each handshake where a public key arrives must refuse them, all encodings.
 */
import assert from "node:assert/strict";
import { fromHex } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import { CryptoError, type KeyPair, type Suite } from "../crypto.ts";
import { nobleSuite } from "../crypto_noble.ts";
import { ContactInitiator, ContactResponder } from "./contact.ts";
import { decodeFrame, encodeFrame, FrameType } from "./frame.ts";
import { Initiator, respond, zeroPsk } from "./handshake.ts";
import { decodeOpening, encodePrologue, type Hello } from "./hello.ts";
import { Handshake } from "./noise.ts";

/** On Curve25519 and its twist: 0, 1, two of order 8, then p − 1, p and p + 1. */
const points = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map(fromHex);
/** X25519 ignores the highest bit. */
const encodings = [...points, ...points.map((point) => point.with(31, point[31]! | 0x80))];

const native = nativeSuite();
const hello: Hello = {
  ...{ purpose: "rpc", site: parseId("kiosk-7"), device: parseId("m-1"), versions: [2] },
};
const prologue = encodePrologue(hello);
const psk = zeroPsk;
const clock = () => 0;
const nothing = new Uint8Array(0);

/** A cheat's key: of whatever anybody agrees on with it, he knows that it is all zeros. */
function crooked(publicKey: Uint8Array): KeyPair {
  return { publicKey, secretKey: nothing, sharedSecret: () => new Uint8Array(32) };
}

/** The state of a cheat, who knows the result wherever one of his keys takes part. */
function cheat(suite: Suite, pattern: "IKpsk1" | "XXpsk3", options: {
  initiator: boolean;
  remoteStatic?: Uint8Array;
  staticKey?: KeyPair;
  ephemeralKey?: KeyPair;
}): Handshake {
  const staticKey = suite.x25519.keyPair();
  const name = `Noise_${pattern}_25519_ChaChaPoly_SHA256`;
  return new Handshake(suite, name, { prologue, psk, staticKey, ...options });
}

/** In each place a point; the function gives it to an honest side. */
const places: Record<string, (suite: Suite, point: KeyPair) => unknown> = {
  "IK message 1, e": (suite, ephemeralKey) => answerIk(suite, { ephemeralKey }),
  "IK message 1, s": (suite, staticKey) => answerIk(suite, { staticKey }),
  "IK message 2, e": (suite, ephemeralKey) => {
    const site = suite.x25519.keyPair();
    const initiator = new Initiator(suite, {
      ...{ hello, psk, clock, staticKey: suite.x25519.keyPair(), remoteStatic: site.publicKey },
    });
    const { body, session } = decodeFrame(initiator.message1);
    const liar = cheat(suite, "IKpsk1", { initiator: false, staticKey: site, ephemeralKey });
    liar.readMessage(decodeOpening(body).noiseMessage);
    const message2 = encodeFrame(FrameType.message2, session, 0, liar.writeMessage(nothing));
    return initiator.finish(decodeFrame(message2));
  },
  "IK, the responder's key": (suite, { publicKey }) =>
    new Initiator(suite, {
      ...{ hello, psk, clock, staticKey: suite.x25519.keyPair(), remoteStatic: publicKey },
    }),
  "XX message 1, e": (suite, ephemeralKey) => {
    const liar = cheat(suite, "XXpsk3", { initiator: true, ephemeralKey });
    return answerXx(suite, liar.writeMessage(new Uint8Array(32)));
  },
  "XX message 2, e": (suite, ephemeralKey) => finishXx(suite, { ephemeralKey }),
  "XX message 2, s": (suite, staticKey) => finishXx(suite, { staticKey }),
  "XX message 3, s": (suite, staticKey) => {
    const liar = cheat(suite, "XXpsk3", { initiator: true, staticKey });
    const responder = answerXx(suite, liar.writeMessage(new Uint8Array(32)));
    liar.readMessage(decodeFrame(responder.message2).body);
    const written = liar.writeMessage(new Uint8Array(16));
    const message3 = encodeFrame(FrameType.message3, new Uint8Array(8), 0, written);
    return responder.finish(decodeFrame(message3));
  },
};

function answerIk(suite: Suite, keys: { staticKey?: KeyPair; ephemeralKey?: KeyPair }) {
  const staticKey = suite.x25519.keyPair();
  const remoteStatic = staticKey.publicKey;
  const liar = cheat(suite, "IKpsk1", { initiator: true, remoteStatic, ...keys });
  const noiseMessage = liar.writeMessage(nothing);
  const opening = { hello, prologue, noiseMessage, session: new Uint8Array(8) };
  return respond(suite, opening, { staticKey, psk, clock });
}

function answerXx(suite: Suite, noiseMessage: Uint8Array): ContactResponder {
  const opening = { hello, prologue, noiseMessage, session: new Uint8Array(8) };
  return new ContactResponder(suite, opening, { staticKey: suite.x25519.keyPair(), psk, clock });
}

function finishXx(suite: Suite, keys: { staticKey?: KeyPair; ephemeralKey?: KeyPair }) {
  const options = { hello, psk, clock, staticKey: suite.x25519.keyPair() };
  const initiator = new ContactInitiator(suite, options);
  const { body, session } = decodeFrame(initiator.message1);
  const liar = cheat(suite, "XXpsk3", { initiator: false, ...keys });
  liar.readMessage(decodeOpening(body).noiseMessage);
  const written = liar.writeMessage(new Uint8Array(16));
  return initiator.finish(decodeFrame(encodeFrame(FrameType.message2, session, 0, written)));
}

for (const suite of [native, nobleSuite(native.randomBytes)]) {
  for (const [place, give] of Object.entries(places)) {
    Deno.test(`a point of low order is refused in ${place} (${suite.name})`, () => {
      for (const point of encodings) {
        const refusal = (error: unknown) =>
          error instanceof CryptoError && error.code === "low_order";
        assert.throws(() => give(suite, crooked(point)), refusal);
      }
    });
  }
}
