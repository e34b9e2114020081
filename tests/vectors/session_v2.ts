/**
 * Sessions byte for byte: session_v2.json is what `playSession` makes of its own inputs, under every
 * Suite and in XS. The product's classes make the messages and frames; the handshake hash, the keys
 * and each frame are computed a second time from Noise's own parts.
 */
import { fromHex, toHex, utf8 } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import type { KeyPair, Suite } from "../../core/trust/crypto.ts";
import { ContactInitiator, ContactResponder } from "../../core/trust/session/contact.ts";
import { decodeFrame, encodeHeader, FrameType } from "../../core/trust/session/frame.ts";
import { Initiator, pskFromCode, respond, zeroPsk } from "../../core/trust/session/handshake.ts";
import { decodeOpening, encodePrologue, type Hello } from "../../core/trust/session/hello.ts";
import { Handshake, noiseCipher } from "../../core/trust/session/noise.ts";
import type { Session } from "../../core/trust/session/session.ts";
import { outcomeOf, refuses, same } from "./same.ts";
import { scripted } from "./scripted.ts";

export type Side = "initiator" | "responder";

/** Secret keys, and what is mixed into the words of a first contact. Bytes are hexadecimal throughout. */
export interface PartyInputs {
  readonly static_secret: string;
  readonly ephemeral_secret: string;
  readonly random: string | null;
}

/** What a vector is made from. */
export interface SessionInputs {
  readonly name: string;
  readonly pattern: "IKpsk1" | "XXpsk3";
  readonly hello: {
    readonly purpose: Hello["purpose"];
    readonly site: string;
    readonly device: string;
    readonly versions: readonly number[];
  };
  readonly code: string | null;
  readonly initiator: PartyInputs;
  readonly responder: PartyInputs;
  readonly drawn_session: string;
  readonly frames: readonly {
    readonly from: Side;
    readonly at: number;
    readonly seq: number;
    readonly plaintext: string;
  }[];
  readonly deliveries: readonly {
    readonly note: string;
    readonly to: Side;
    readonly frame: string;
  }[];
  readonly refused: readonly { readonly note: string; readonly message1: string }[];
}

export type SessionVector = ReturnType<typeof playSession>;

/** Computes every field of a vector from its inputs. @throws Error when two ways to one differ */
export function playSession(
  suite: Suite,
  inputs: SessionInputs,
  /** How many frames may be sealed only to get to the next one that is in the vector. */
  { walk }: { walk: number },
) {
  const time = { now: 0 };
  const shaken = shakeHands(suite, inputs, () => time.now);
  const { hash, keys, payloads } = recompute(suite, inputs, shaken.frames);
  same(shaken.sessions.initiator.id, shaken.sessions.responder.id, "session");
  const vector = {
    name: inputs.name,
    protocol: `Noise_${inputs.pattern}_25519_ChaChaPoly_SHA256`,
    pattern: inputs.pattern,
    hello: inputs.hello,
    code: inputs.code,
    initiator: partyOf(suite, inputs.initiator),
    responder: partyOf(suite, inputs.responder),
    drawn_session: inputs.drawn_session,
    psk: toHex(pskOf(suite, inputs)),
    prologue: toHex(encodePrologue(helloOf(inputs))),
    messages: shaken.frames.map((frame, i) => ({
      from: sideOf(i),
      payload: toHex(payloads[i]!),
      frame: toHex(frame),
    })),
    handshake_hash: toHex(hash),
    words: shaken.words,
    session: toHex(shaken.sessions.initiator.id),
    keys: { initiator: keys.initiator.map(toHex), responder: keys.responder.map(toHex) },
    frames: sealFrames(suite, inputs, { sessions: shaken.sessions, keys, time, walk }),
    deliveries: inputs.deliveries.map(({ note, to, frame }) => ({
      ...{ note, to, frame },
      ...deliver(shaken.sessions[to], fromHex(frame)),
    })),
    refused: inputs.refused.map(({ note, message1 }) => ({
      note,
      message1,
      outcome: outcomeOf(() => answer(suite, inputs, fromHex(message1), () => 0)),
    })),
  };
  const frame = decodeFrame(fromHex(vector.frames[0]!.frame));
  for (const session of Object.values(shaken.sessions)) {
    session.wipe();
    refuses("ended", () => session.seal(utf8("late")), "seal() after wipe()");
    refuses("ended", () => session.open(frame), "open() after wipe()");
  }
  return vector;
}

/** Both ends by the product's own classes. */
function shakeHands(suite: Suite, inputs: SessionInputs, clock: () => number) {
  const staticKey = suite.x25519.keyPair(fromHex(inputs.initiator.static_secret));
  const remoteStatic = suite.x25519.keyPair(fromHex(inputs.responder.static_secret)).publicKey;
  const common = { hello: helloOf(inputs), staticKey, psk: pskOf(suite, inputs), clock };
  const dice = scripted(suite, fromHex(inputs.drawn_session), ...drawsOf(inputs.initiator));
  if (inputs.pattern === "IKpsk1") {
    const initiator = new Initiator(dice, { ...common, remoteStatic });
    const { message2, session } = answer(suite, inputs, initiator.message1, clock).ik!;
    return {
      frames: [initiator.message1, message2],
      sessions: { initiator: initiator.finish(decodeFrame(message2)), responder: session },
      words: null,
    };
  }
  const initiator = new ContactInitiator(dice, common);
  const responder = answer(suite, inputs, initiator.message1, clock).xx!;
  const mine = initiator.finish(decodeFrame(responder.message2));
  const theirs = responder.finish(decodeFrame(mine.message3));
  same(theirs.words, mine.words, "words");
  return {
    frames: [initiator.message1, responder.message2, mine.message3],
    sessions: { initiator: mine.session, responder: theirs.session },
    words: mine.words,
  };
}

/** The responder's answer to a message 1. */
function answer(suite: Suite, inputs: SessionInputs, message1: Uint8Array, clock: () => number) {
  const frame = decodeFrame(message1);
  const opening = { ...decodeOpening(frame.body), session: frame.session };
  const dice = scripted(suite, ...drawsOf(inputs.responder));
  const staticKey = suite.x25519.keyPair(fromHex(inputs.responder.static_secret));
  const options = { staticKey, psk: pskOf(suite, inputs), clock };
  return inputs.pattern === "IKpsk1"
    ? { ik: respond(dice, opening, options) }
    : { xx: new ContactResponder(dice, opening, options) };
}

/** The responder's handshake from Noise's parts: what the frames do not show. */
function recompute(suite: Suite, inputs: SessionInputs, frames: readonly Uint8Array[]) {
  const pair = (secret: string): KeyPair => suite.x25519.keyPair(fromHex(secret));
  const opening = decodeOpening(decodeFrame(frames[0]!).body);
  const handshake = new Handshake(suite, `Noise_${inputs.pattern}_25519_ChaChaPoly_SHA256`, {
    initiator: false,
    prologue: opening.prologue,
    staticKey: pair(inputs.responder.static_secret),
    ephemeralKey: pair(inputs.responder.ephemeral_secret),
    psk: pskOf(suite, inputs),
  });
  const own = fromHex(inputs.responder.random ?? "");
  const payloads = frames.map((frame, i) => {
    const { body } = decodeFrame(frame);
    if (i !== 1) return handshake.readMessage(i === 0 ? opening.noiseMessage : body);
    same(handshake.writeMessage(own), body, "message 2");
    return own;
  });
  const { hash, sendKey, receiveKey } = handshake.split();
  const cipher = noiseCipher(suite, "ChaChaPoly");
  const generations = (key: Uint8Array) => {
    const next = cipher.rekey(key);
    return [key, next, cipher.rekey(next)];
  };
  const keys = { initiator: generations(receiveKey), responder: generations(sendKey) };
  return { hash, keys, payloads };
}

/**
 * Seals the frames in their order: through the session while that is near enough, and always from
 * the keys. Frames of one side at one time are counted up to; when time has passed, age may skip.
 */
function sealFrames(suite: Suite, inputs: SessionInputs, { sessions, keys, time, walk }: {
  sessions: Readonly<Record<Side, Session>>;
  keys: Readonly<Record<Side, readonly Uint8Array[]>>;
  time: { now: number };
  walk: number;
}) {
  const cipher = noiseCipher(suite, "ChaChaPoly");
  const nothing = new Uint8Array(0);
  const before = { initiator: 0, responder: 0 };
  const left = { initiator: false, responder: false };
  return inputs.frames.map(({ from, at, seq, plaintext }) => {
    const session = sessions[from];
    time.now = at;
    if (at === before[from]) {
      left[from] ||= seq - session.nextSeq > walk;
      while (!left[from] && session.nextSeq < seq) session.seal(nothing);
    }
    before[from] = at;
    const header = encodeHeader(FrameType.data, session.id, seq);
    const key = keys[from][Math.floor(seq / 2 ** 16)]!;
    const frame = toHex(header) + toHex(cipher.seal(key, seq, header, fromHex(plaintext)));
    if (!left[from]) same(toHex(session.seal(fromHex(plaintext))), frame, `${from}'s frame ${seq}`);
    return { from, at, seq, plaintext, frame };
  });
}

/** What becomes of a frame that arrives. */
function deliver(session: Session, frame: Uint8Array) {
  let plaintext: string | null = null;
  let duplicate = false;
  const refusal = outcomeOf(() => {
    const opened = session.open(decodeFrame(frame));
    plaintext = toHex(opened.plaintext);
    duplicate = opened.duplicate;
  });
  if (refusal !== "none") return { outcome: refusal, plaintext };
  return { outcome: duplicate ? "duplicate" : "opened", plaintext };
}

function partyOf(suite: Suite, party: PartyInputs) {
  const publicOf = (secret: string) => toHex(suite.x25519.keyPair(fromHex(secret)).publicKey);
  return {
    static_secret: party.static_secret,
    static_public: publicOf(party.static_secret),
    ephemeral_secret: party.ephemeral_secret,
    ephemeral_public: publicOf(party.ephemeral_secret),
    random: party.random,
  };
}

/** What a side draws, besides the session of the initiator. */
function drawsOf({ ephemeral_secret, random }: PartyInputs): Uint8Array[] {
  return [fromHex(ephemeral_secret), ...random === null ? [] : [fromHex(random)]];
}

function helloOf({ hello }: SessionInputs): Hello {
  const site = hello.site === "" ? "" : parseId(hello.site);
  return { ...hello, site, device: parseId(hello.device) };
}

function pskOf(suite: Suite, { code, hello }: SessionInputs): Uint8Array {
  return code === null ? zeroPsk : pskFromCode(suite, fromHex(code), hello);
}

function sideOf(message: number): Side {
  return message % 2 === 0 ? "initiator" : "responder";
}
