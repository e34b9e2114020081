/**
 * What session_v2.json is made from: three sessions, with the moments at which implementations go
 * different ways. Everything secret is SHA-256 of its own description.
 */
import { concat, fromHex, toHex, utf8 } from "../../core/base/bytes.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { decodeFrame, encodeFrame, FrameType } from "../../core/trust/session/frame.ts";
import { decodeOpening, encodeOpening } from "../../core/trust/session/hello.ts";
import { noiseCipher } from "../../core/trust/session/noise.ts";
import { playSession, type SessionInputs, type SessionVector, type Side } from "./session_v2.ts";

type Frames = SessionInputs["frames"];
type Deliveries = SessionInputs["deliveries"];

const day = 24 * 60 * 60 * 1000;
const generation = 2 ** 16;

/** The three vectors; sealing 2 · 2^16 frames on the way takes a moment. */
export function makeSessionVectors(suite: Suite): SessionVector[] {
  const sessions = [
    finish(suite, counted(suite), { deliveries: countedDeliveries, refused: alteredOpenings }),
    finish(suite, aged(suite), { deliveries: agedDeliveries, refused: () => [] }),
    finish(suite, contact(suite), { deliveries: contactDeliveries, refused: alteredContacts }),
  ];
  return sessions.map((inputs) => playSession(suite, inputs, { walk: Infinity }));
}

/** Key generations by count: an enrolled meter, with a psk. */
function counted(suite: Suite): SessionInputs {
  const up = [0, 1, 2, 64, ...[-2, -1, 0, 1].map((n) => generation + n), 2 * generation];
  return {
    ...base(suite, "counted", "IKpsk1"),
    hello: { purpose: "meter", site: "kiosk-7", device: "m-01", versions: [2] },
    code: toHex(secret(suite, "counted, code").subarray(0, 16)),
    frames: [
      ...up.map((seq) => frameOf("initiator", { seq })),
      ...[0, 1].map((seq) => frameOf("responder", { seq })),
    ],
  };
}

function countedDeliveries(suite: Suite, vector: SessionVector): Deliveries {
  const frame = (seq: number) => sealed(vector, "initiator", seq);
  const [up, down] = [to("responder"), to("initiator")];
  return [
    up("number 1 overtakes number 0", frame(1)),
    up("number 0 is late", frame(0)),
    up("number 0 once more", frame(0)),
    up("number 2 with another tag", flipped(frame(2), -1)),
    up("number 2 renamed to number 3", flipped(frame(2), 17)),
    up("number 2 with a body shorter than a tag", frame(2).subarray(0, 33)),
    up("number 2", frame(2)),
    up("number 2 with another plaintext, under its key", forgery(suite, vector, 2)),
    up("number 64 moves the window", frame(64)),
    up("number 0 is 64 behind", frame(0)),
    up("number 1 is 63 behind, and known", frame(1)),
    up("two key generations ahead", frame(2 * generation)),
    up("the next key generation, with another tag", flipped(frame(generation), -1)),
    up("the last number of the first key generation", frame(generation - 1)),
    up("the second number of the next key generation", frame(generation + 1)),
    up("late, under the previous key", frame(generation - 2)),
    up("late, under the current key", frame(generation)),
    up("the key generation after it", frame(2 * generation)),
    up("far behind", frame(generation + 1)),
    up("a header cut short", frame(2).subarray(0, 17)),
    up("another version", flipped(frame(2), 0)),
    up("a number above 2^53 - 1", frame(2).with(10, 255)),
    up("a type that does not exist", frame(2).with(1, 6)),
    down("the other direction", sealed(vector, "responder", 0)),
    down("its own frame comes back", frame(1)),
    down("number 1", sealed(vector, "responder", 1)),
  ];
}

/** Key generations by age, without a psk; each direction has an age of its own. */
function aged(suite: Suite): SessionInputs {
  return {
    ...base(suite, "aged", "IKpsk1"),
    hello: { purpose: "rpc", site: "kiosk-7", device: "esp32_a", versions: [3, 2] },
    frames: [
      frameOf("initiator", { seq: 0 }),
      frameOf("initiator", { seq: 1, at: day }),
      frameOf("initiator", { seq: generation, at: day + 1 }),
      frameOf("responder", { seq: generation, at: day + 1 }),
      frameOf("initiator", { seq: generation + 1, at: day + 1 }),
      frameOf("initiator", { seq: generation + 2, at: 2 * day + 1 }),
      frameOf("initiator", { seq: 2 * generation, at: 2 * day + 2 }),
    ],
  };
}

function agedDeliveries(_suite: Suite, vector: SessionVector): Deliveries {
  const frame = (seq: number) => sealed(vector, "initiator", seq);
  const [up, down] = [to("responder"), to("initiator")];
  return [
    up("before the skip", frame(0)),
    up("the first number after the skip", frame(generation)),
    up("the last one before it, too late", frame(1)),
    up("the next day", frame(2 * generation)),
    up("yesterday's, too late", frame(generation + 2)),
    down("a first frame", sealed(vector, "responder", generation)),
  ];
}

/** First contact: nobody's key is known, words are compared. */
function contact(suite: Suite): SessionInputs {
  const inputs = base(suite, "contact", "XXpsk3");
  const random = (side: Side) => toHex(secret(suite, `contact, ${side}, random`).subarray(0, 16));
  return {
    ...inputs,
    initiator: { ...inputs.initiator, random: random("initiator") },
    responder: { ...inputs.responder, random: random("responder") },
    hello: { purpose: "rpc", site: "", device: "esp32_b", versions: [2] },
    frames: [frameOf("initiator", { seq: 0 }), frameOf("responder", { seq: 0 })],
  };
}

function contactDeliveries(_suite: Suite, vector: SessionVector): Deliveries {
  return [
    to("responder")("number 0", sealed(vector, "initiator", 0)),
    to("initiator")("number 0", sealed(vector, "responder", 0)),
  ];
}

/** Message 1 as others on the wire can change it. */
function alteredOpenings(vector: SessionVector): SessionInputs["refused"] {
  const { session, prologue, noiseMessage } = openingOf(vector);
  const changed = (prologue: Uint8Array, noise: Uint8Array) =>
    toHex(encodeFrame(FrameType.message1, session, 0, encodeOpening(prologue, noise)));
  const noise = (at: number) => changed(prologue, flipped(noiseMessage, at));
  return [
    {
      note: "another version offered",
      message1: changed(flipped(prologue, -1), noiseMessage),
    },
    {
      note: "a prologue that is not in its shortest form",
      message1: changed(longFormOf(prologue), noiseMessage),
    },
    {
      note: "an ephemeral key of zeros",
      message1: changed(prologue, noiseMessage.with(31, 0).fill(0, 0, 32)),
    },
    { note: "another ephemeral key", message1: noise(0) },
    { note: "another static key", message1: noise(32) },
    { note: "another tag", message1: noise(-1) },
    {
      note: "a message without its last byte",
      message1: changed(prologue, noiseMessage.slice(0, -1)),
    },
    { note: "a message without a payload", message1: changed(prologue, noiseMessage.slice(0, 80)) },
  ];
}

function alteredContacts(vector: SessionVector): SessionInputs["refused"] {
  return alteredOpenings(vector).filter(({ note }) => /version|tag|ephemeral/.test(note));
}

/** Adds what only can be told once messages and frames are there. */
function finish(suite: Suite, inputs: SessionInputs, more: {
  deliveries(suite: Suite, vector: SessionVector): Deliveries;
  refused(vector: SessionVector): SessionInputs["refused"];
}): SessionInputs {
  const vector = playSession(suite, inputs, { walk: 0 });
  return {
    ...inputs,
    deliveries: more.deliveries(suite, vector),
    refused: more.refused(vector),
  };
}

function base(suite: Suite, name: string, pattern: SessionInputs["pattern"]) {
  const party = (side: Side) => ({
    static_secret: toHex(secret(suite, `${name}, ${side}, static`)),
    ephemeral_secret: toHex(secret(suite, `${name}, ${side}, ephemeral`)),
    random: null,
  });
  return {
    name,
    pattern,
    code: null,
    initiator: party("initiator"),
    responder: party("responder"),
    drawn_session: toHex(secret(suite, `${name}, session`).subarray(0, 8)),
    deliveries: [],
    refused: [],
  };
}

function secret(suite: Suite, what: string): Uint8Array {
  return suite.sha256(utf8(`edgeward session_v2.json: ${what}`));
}

function frameOf(from: Side, { seq, at = 0 }: { seq: number; at?: number }): Frames[number] {
  return { from, at, seq, plaintext: toHex(utf8(seq === 1 ? "" : `${from} ${seq}`)) };
}

function sealed(vector: SessionVector, from: Side, seq: number): Uint8Array {
  return fromHex(vector.frames.find((frame) => frame.from === from && frame.seq === seq)!.frame);
}

/** A frame that only a holder of the keys can make: a used number with other contents. */
function forgery(suite: Suite, vector: SessionVector, seq: number): Uint8Array {
  const { header } = decodeFrame(sealed(vector, "initiator", seq));
  const key = fromHex(vector.keys.initiator[0]!);
  const plaintext = utf8("another plaintext");
  return concat(header, noiseCipher(suite, "ChaChaPoly").seal(key, seq, header, plaintext));
}

function openingOf(vector: SessionVector) {
  const frame = decodeFrame(fromHex(vector.messages[0]!.frame));
  return { ...decodeOpening(frame.body), session: frame.session };
}

/** The lowest bit of one byte, counted from the end when negative. */
function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const index = at < 0 ? bytes.length + at : at;
  return bytes.with(index, bytes[index]! ^ 1);
}

/** The number 2 behind the protocol's name, in two bytes instead of one. */
function longFormOf(prologue: Uint8Array): Uint8Array {
  const at = 1 + 1 + "edgeward".length;
  return concat(prologue.subarray(0, at), Uint8Array.of(0x18), prologue.subarray(at));
}

function to(side: Side): (note: string, frame: Uint8Array) => Deliveries[number] {
  return (note, frame) => ({ note, to: side, frame: toHex(frame) });
}
