/**
 * First contact with a site whose key the device does not know: Noise_XXpsk3_25519_ChaChaPoly_SHA256
 * in three frames. Each side learns the other's static key and nothing about whom it belongs to; that
 * takes either a psk, which both had before, or six words that people compare (`words.ts`).
 *
 * The initiator commits to its share of the words in message 1, before it has seen the responder's:
 * payloads are SHA-256("edgeward/sas" | s_i | r_i), r_r and r_i (protocols.md §1).
 */
import { concat, equalBytes, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import type { KeyPair, Suite } from "../crypto.ts";
import { encodeFrame, type Frame, FrameType } from "./frame.ts";
import { readProof } from "./handshake.ts";
import { encodeOpening, encodePrologue, type Hello, type Opening } from "./hello.ts";
import { Handshake } from "./noise.ts";
import { Session } from "./session.ts";
import { wordsOf } from "./words.ts";

const protocol = "Noise_XXpsk3_25519_ChaChaPoly_SHA256";
const randomLength = 16;

/** Message 1 without its prologue: a public key, and a sealed commitment. By it XX is told from IK. */
export const contactMessageLength = 32 + 32 + 16;

export class ContactError extends CodedError<"commitment_broken" | "malformed"> {
  override readonly name = "ContactError";
}

/** What both sides hold when the three messages have passed. */
export interface Acquaintance {
  readonly session: Session;
  readonly remoteStatic: Uint8Array;
  readonly words: string;
}

/** The device's side. One initiator makes one attempt. */
export class ContactInitiator {
  readonly #suite: Suite;
  readonly #handshake: Handshake;
  readonly #key: Uint8Array;
  readonly #random: Uint8Array;
  readonly #session: Uint8Array;
  readonly #clock: Clock;
  /** The frame to send, the same each time. */
  readonly message1: Uint8Array;

  constructor(suite: Suite, options: {
    hello: Hello;
    staticKey: KeyPair;
    psk: Uint8Array;
    clock: Clock;
    /** For vectors only: everyone else draws fresh ones. */
    ephemeralKey?: KeyPair;
  }) {
    const prologue = encodePrologue(options.hello);
    this.#suite = suite;
    this.#clock = options.clock;
    this.#key = options.staticKey.publicKey;
    this.#random = suite.randomBytes(randomLength);
    this.#session = suite.randomBytes(8);
    this.#handshake = new Handshake(suite, protocol, { initiator: true, prologue, ...options });
    const written = this.#handshake.writeMessage(commitment(suite, this.#key, this.#random));
    this.message1 = encodeFrame(
      FrameType.message1,
      this.#session,
      0,
      encodeOpening(prologue, written),
    );
  }

  /** Whether a frame is message 2 of this handshake by its session; only `finish` proves it. */
  expects(frame: Frame): boolean {
    return frame.type === FrameType.message2 && equalBytes(frame.session, this.#session);
  }

  /** Takes message 2, gives message 3. @throws NoiseError when it is forged; ContactError */
  finish(message2: Frame): Acquaintance & { readonly message3: Uint8Array } {
    const theirs = takeRandom(this.#handshake.readMessage(message2.body));
    const written = this.#handshake.writeMessage(this.#random);
    const remoteStatic = this.#handshake.remoteStatic!;
    return {
      message3: encodeFrame(FrameType.message3, this.#session, 0, written),
      session: new Session(this.#suite, this.#handshake.split(), this.#clock),
      remoteStatic,
      words: wordsOf(this.#suite, {
        initiatorKey: this.#key,
        responderKey: remoteStatic,
        initiatorRandom: this.#random,
        responderRandom: theirs,
      }),
    };
  }
}

/** The site's side: it has nothing but a stranger's promise until message 3. */
export class ContactResponder {
  readonly #suite: Suite;
  readonly #handshake: Handshake;
  readonly #key: Uint8Array;
  readonly #commitment: Uint8Array;
  readonly #random: Uint8Array;
  readonly #clock: Clock;
  /** The answer to message 1, the same each time. */
  readonly message2: Uint8Array;

  /** Takes message 1. @throws NoiseError, ContactError */
  constructor(
    suite: Suite,
    opening: Opening & { readonly session: Uint8Array },
    options: { staticKey: KeyPair; psk: Uint8Array; clock: Clock },
  ) {
    this.#suite = suite;
    this.#clock = options.clock;
    this.#key = options.staticKey.publicKey;
    this.#handshake = new Handshake(suite, protocol, {
      initiator: false,
      prologue: opening.prologue,
      ...options,
    });
    this.#commitment = this.#handshake.readMessage(opening.noiseMessage);
    if (this.#commitment.length !== 32) throw malformed();
    this.#random = suite.randomBytes(randomLength);
    const written = this.#handshake.writeMessage(this.#random);
    this.message2 = encodeFrame(FrameType.message2, opening.session, 0, written);
  }

  /**
   * Takes message 3. One that is forged changes nothing.
   * @throws UnprovenError when the psk is another one; NoiseError; ContactError
   * "commitment_broken" when the device's share of the words is not the one it had promised
   */
  finish(message3: Frame): Acquaintance {
    const theirs = takeRandom(readProof(this.#handshake, message3.body));
    const remoteStatic = this.#handshake.remoteStatic!;
    if (!equalBytes(commitment(this.#suite, remoteStatic, theirs), this.#commitment)) {
      throw new ContactError(
        "commitment_broken",
        "Cannot accept the device: it did not keep to what it had committed to",
      );
    }
    return {
      session: new Session(this.#suite, this.#handshake.split(), this.#clock),
      remoteStatic,
      words: wordsOf(this.#suite, {
        initiatorKey: remoteStatic,
        responderKey: this.#key,
        initiatorRandom: theirs,
        responderRandom: this.#random,
      }),
    };
  }
}

function commitment(suite: Suite, key: Uint8Array, random: Uint8Array): Uint8Array {
  return suite.sha256(concat(utf8("edgeward/sas"), key, random));
}

function takeRandom(payload: Uint8Array): Uint8Array {
  if (payload.length !== randomLength) throw malformed();
  return payload;
}

function malformed(): ContactError {
  return new ContactError("malformed", "Cannot go on with the handshake: unexpected payload");
}
