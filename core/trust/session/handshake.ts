/**
 * The two-message handshake of the product, Noise_IKpsk1_25519_ChaChaPoly_SHA256, as frames: message
 * 1 out, message 2 back, a `Session` on both sides. Neither message carries a request: message 1 of
 * IK can be replayed, and forged once the responder's key has leaked (protocols.md §1).
 */
import { concat, equalBytes, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import type { KeyPair, Suite } from "../crypto.ts";
import { encodeFrame, type Frame, FrameType } from "./frame.ts";
import { encodeOpening, encodePrologue, type Hello, type Opening } from "./hello.ts";
import { hkdf } from "../hkdf.ts";
import { Handshake, NoiseError } from "./noise.ts";
import { Session } from "./session.ts";

const protocol = "Noise_IKpsk1_25519_ChaChaPoly_SHA256";
const nothing = new Uint8Array(0);

/** The psk of devices that were enrolled without a code. */
export const zeroPsk: Uint8Array = new Uint8Array(32);

/** HKDF(install code, "edgeward/psk/2", site | 00 | device); the code is 16 random bytes. */
export function pskFromCode(
  suite: Suite,
  code: Uint8Array,
  names: { site: string; device: string },
): Uint8Array {
  const info = concat(utf8(names.site), Uint8Array.of(0), utf8(names.device));
  return hkdf(suite, { ikm: code, salt: "edgeward/psk/2", info });
}

export class HandshakeError extends CodedError<"refused"> {
  override readonly name = "HandshakeError";
}

/** A handshake payload did not open, so that the static key before it is only somebody's claim. */
export class UnprovenError extends NoiseError {
  override readonly claimedKey: Uint8Array;

  constructor(claimedKey: Uint8Array, cause: unknown) {
    super("payload_forged", "Cannot open the handshake payload: another psk, or altered", {
      cause,
    });
    this.claimedKey = claimedKey;
  }
}

/** Reads a message whose payload proves the static key that it carries. @throws UnprovenError */
export function readProof(handshake: Handshake, message: Uint8Array): Uint8Array {
  try {
    return handshake.readMessage(message);
  } catch (error) {
    if (!(error instanceof NoiseError) || error.claimedKey === undefined) throw error;
    throw new UnprovenError(error.claimedKey, error);
  }
}

/** The device's side. One initiator makes one attempt; repeat message 1, or make a new one. */
export class Initiator {
  readonly #suite: Suite;
  readonly #handshake: Handshake;
  readonly #session: Uint8Array;
  readonly #message1: Uint8Array;
  readonly #clock: Clock;

  constructor(suite: Suite, options: {
    hello: Hello;
    staticKey: KeyPair;
    /** The responder's static key, known from enrolment. */
    remoteStatic: Uint8Array;
    psk: Uint8Array;
    clock: Clock;
  }) {
    const prologue = encodePrologue(options.hello);
    this.#suite = suite;
    this.#clock = options.clock;
    this.#session = suite.randomBytes(8);
    this.#handshake = new Handshake(suite, protocol, { initiator: true, prologue, ...options });
    const opening = encodeOpening(prologue, this.#handshake.writeMessage(nothing));
    this.#message1 = encodeFrame(FrameType.message1, this.#session, 0, opening);
  }

  /** The frame to send, the same each time. */
  get message1(): Uint8Array {
    return this.#message1;
  }

  /** Whether a frame is message 2 of this handshake by its session; only `finish` proves it. */
  expects(frame: Frame): boolean {
    return frame.type === FrameType.message2 && equalBytes(frame.session, this.#session);
  }

  /** Ends the handshake with message 2. @throws NoiseError when it is not the genuine one */
  finish(message2: Frame): Session {
    const payload = this.#handshake.readMessage(message2.body);
    if (payload.length !== 0) {
      throw new HandshakeError("refused", "Cannot finish the handshake: unexpected payload");
    }
    return new Session(this.#suite, this.#handshake.split(), this.#clock);
  }
}

/**
 * The gateway's side: answers message 1. The session is worth nothing until its first frame opens.
 * Only the psk holder who owns `remoteStatic` can have written a message 1 that opens, but it may be
 * an old one, repeated.
 * @throws UnprovenError when the psk is another one; NoiseError "static_forged", "malformed";
 * CryptoError "low_order"
 */
export function respond(
  suite: Suite,
  opening: Opening & { session: Uint8Array },
  options: { staticKey: KeyPair; psk: Uint8Array; clock: Clock },
): { message2: Uint8Array; session: Session; remoteStatic: Uint8Array } {
  const handshake = new Handshake(suite, protocol, {
    initiator: false,
    prologue: opening.prologue,
    ...options,
  });
  const payload = readProof(handshake, opening.noiseMessage);
  if (payload.length !== 0) {
    throw new HandshakeError("refused", "Cannot answer the handshake: unexpected payload");
  }
  const body = handshake.writeMessage(nothing);
  return {
    message2: encodeFrame(FrameType.message2, opening.session, 0, body),
    session: new Session(suite, handshake.split(), options.clock),
    remoteStatic: handshake.remoteStatic!,
  };
}
