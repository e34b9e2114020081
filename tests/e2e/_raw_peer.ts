/**
 * A peer that speaks the protocol frame by frame, so that a test can break its rules: it shakes hands
 * under any name and key, seals whatever it is given, and keeps a twin of its session that uses a
 * sequence number twice. What the protocol fixes is written out here a second time (protocols.md §1).
 */
import type { Id } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import type { KeyPair, Signer } from "../../core/trust/crypto.ts";
import {
  decodeEnrolAnswer,
  decodeMessage,
  encodeEnrolRequest,
  encodeMessage,
  type Message,
} from "../../core/trust/session/call.ts";
import { decodeFrame, encodeFrame, FrameType } from "../../core/trust/session/frame.ts";
import { pskFromCode } from "../../core/trust/session/handshake.ts";
import {
  encodeOpening,
  encodePrologue,
  type Hello,
  type Purpose,
} from "../../core/trust/session/hello.ts";
import { Handshake } from "../../core/trust/session/noise.ts";
import { Session } from "../../core/trust/session/session.ts";
import type { Enrolment } from "../../core/wire/enrolment.ts";

export const suite = nativeSuite();

const nothing = new Uint8Array();

/** What of a handshake a test may get wrong. */
export interface Deviation {
  readonly hello?: Partial<Hello>;
  readonly code?: Uint8Array;
  readonly remoteStatic?: Uint8Array;
  /** Instead of the one that follows from the code. */
  readonly psk?: Uint8Array;
}

export class RawPeer {
  readonly noise: KeyPair;
  readonly signer: Signer;
  readonly #enrolment: Enrolment;
  readonly #hello: Hello;
  readonly #psk: Uint8Array;
  readonly #remoteStatic: Uint8Array;

  constructor(id: Id, enrolment: Enrolment, options: {
    purpose: Purpose;
    noise?: KeyPair;
    signer?: Signer;
    deviation?: Deviation;
  }) {
    const { purpose, noise, signer, deviation = {} } = options;
    const { code = enrolment.code, remoteStatic = enrolment.noiseKey } = deviation;
    this.noise = noise ?? suite.x25519.keyPair();
    this.signer = signer ?? suite.ed25519.signer();
    this.#enrolment = enrolment;
    this.#hello = { purpose, site: enrolment.site, device: id, versions: [2], ...deviation.hello };
    this.#psk = deviation.psk ?? pskFromCode(suite, code, { site: enrolment.site, device: id });
    this.#remoteStatic = remoteStatic;
  }

  get enrolment(): Enrolment {
    return this.#enrolment;
  }

  /** A new attempt: message 1, and what makes a session of the answer. */
  begin(): { message1: Uint8Array; finish(message2: Uint8Array): RawSession } {
    const prologue = encodePrologue(this.#hello);
    const handshake = new Handshake(suite, "Noise_IKpsk1_25519_ChaChaPoly_SHA256", {
      initiator: true,
      prologue,
      staticKey: this.noise,
      remoteStatic: this.#remoteStatic,
      psk: this.#psk,
    });
    const body = encodeOpening(prologue, handshake.writeMessage(nothing));
    return {
      message1: encodeFrame(FrameType.message1, suite.randomBytes(8), 0, body),
      finish: (message2) => {
        handshake.readMessage(decodeFrame(message2).body);
        const result = handshake.split();
        const copy = {
          sendKey: result.sendKey.slice(),
          receiveKey: result.receiveKey.slice(),
          hash: result.hash,
        };
        const twin = new Session(suite, copy, Date.now);
        return new RawSession(new Session(suite, result, Date.now), this.signer, twin);
      },
    };
  }
}

export class RawSession {
  readonly #session: Session;
  readonly #twin: Session | undefined;
  readonly #signer: Signer;

  constructor(session: Session, signer: Signer, twin?: Session) {
    this.#session = session;
    this.#twin = twin;
    this.#signer = signer;
  }

  /** The next frame, with a call in it. */
  call(body: Uint8Array): Uint8Array {
    return this.#session.seal(encodeMessage({ kind: "call", body }));
  }

  /** The frame that binds the peer's keys. */
  enrol(signKey: Uint8Array = this.#signer.publicKey): Uint8Array {
    return this.#session.seal(encodeMessage({ kind: "enrol", body: encodeEnrolRequest(signKey) }));
  }

  /** The site that the peer has joined, from the answer to `enrol()`; or the code of a refusal. */
  joined(frame: Uint8Array): string {
    const answer = this.answer(frame);
    return typeof answer === "string" ? answer : decodeEnrolAnswer(answer).site;
  }

  /** A frame of the same keys under a sequence number of its own count, which is behind. */
  twinCall(body: Uint8Array): Uint8Array {
    return this.#twin!.seal(encodeMessage({ kind: "call", body }));
  }

  /** What the other side's frame holds. */
  read(frame: Uint8Array): Message {
    return decodeMessage(this.#session.open(decodeFrame(frame)).plaintext);
  }

  /** The body of an answer, or the code of a refusal. */
  answer(frame: Uint8Array): Uint8Array | string {
    const message = this.read(frame);
    if (message.kind === "answer") return message.body;
    if (message.kind === "refusal") return message.code;
    throw new Error(`Expected an answer, got: ${message.kind}`);
  }
}
