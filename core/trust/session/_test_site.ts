/**
 * A site and its devices for the tests of this folder: what a service does around an `Answerer`, over
 * peers in memory, in a time that the test turns.
 */
import { equalBytes } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import { type Id, parseId } from "../../base/id.ts";
import type { KeyPair, Suite } from "../crypto.ts";
import { Answerer, type Applicant, type Credential, RefusedFrame, type Step } from "./answerer.ts";
import { decodeEnrolRequest, decodeMessage, encodeEnrolAnswer, encodeMessage } from "./call.ts";
import { type Acquaintance, ContactInitiator } from "./contact.ts";
import { decodeFrame } from "./frame.ts";
import { Initiator, zeroPsk } from "./handshake.ts";
import type { Hello } from "./hello.ts";
import type { Live } from "./live_sessions.ts";
import type { Session } from "./session.ts";

export interface Peer extends Credential {
  readonly signKey: Uint8Array | null;
}

export type TestStep = Step<Peer, Uint8Array>;

/** A peer with this key, bound by whatever way. */
export function approved({ publicKey }: KeyPair, psk: Uint8Array = zeroPsk): Peer {
  return { state: "approved", noiseKey: publicKey, signKey: null, psk, codeExpires: 0 };
}

/** A peer that has not used its code. */
export function enrolled(psk: Uint8Array, codeExpires = Infinity): Peer {
  return { state: "enrolled", noiseKey: null, signKey: null, psk, codeExpires };
}

export function revoked({ publicKey }: KeyPair): Peer {
  return { ...approved({ publicKey } as KeyPair), state: "revoked" };
}

export class TestSite {
  readonly id: Id = parseId("site-1");
  readonly suite: Suite;
  readonly key: KeyPair;
  now = 1_000_000;
  readonly peers: Map<Id, Peer> = new Map();
  /** Who has asked to be let in, in the order in which they came. */
  readonly applicants: Applicant[] = [];
  /** Calls that were executed, as text. */
  readonly executed: string[] = [];
  /** Who may ask to be let in. */
  mayApply: (applicant: Applicant) => boolean = () => true;
  answerer: Answerer<Peer, Uint8Array>;

  /** @param suite draws what the site draws */
  constructor(suite: Suite) {
    this.suite = suite;
    this.key = suite.x25519.keyPair();
    this.answerer = this.#start();
  }

  /** Every session and handshake is forgotten. */
  restart(): void {
    this.answerer = this.#start();
  }

  /** Takes a frame; who knocks is looked up at once. */
  take(frame: Uint8Array, topic?: Id): TestStep {
    const step = this.answerer.take(frame, topic);
    if (step.step !== "knock") return step;
    return this.answerer.admit(step.knock, this.peers.get(step.knock.device) ?? null);
  }

  /** What a service sends back, null for silence. @throws CodedError with the reason of a refusal */
  answer(frame: Uint8Array, topic?: Id): Uint8Array | null {
    const step = this.take(frame, topic);
    if (step.step === "reply") return step.frame;
    if (step.step === "again") return step.answer ?? null;
    if (step.step === "applicant") {
      this.applicants.push(step.applicant);
      if (step.applicant.words !== null) return null;
      throw new RefusedFrame("pending", "The peer waits for approval");
    }
    if (step.step !== "message") return null;
    const answer = this.#act(step.live, step.seq, step.plaintext);
    this.answerer.remember(step.live, step.seq, answer);
    return answer;
  }

  /** The same as it looks from afar: whoever is refused hears nothing. */
  serve(frame: Uint8Array, topic?: Id): Uint8Array | null {
    try {
      return this.answer(frame, topic);
    } catch (error) {
      if (error instanceof CodedError) return null;
      throw error;
    }
  }

  /** What becomes of a device; gives what is sent to it unasked. */
  put(device: Id, peer: Peer | null): Uint8Array | null {
    if (peer === null) this.peers.delete(device);
    else this.peers.set(device, peer);
    return this.answerer.update(device, peer);
  }

  device(name: string, options: Partial<DeviceOptions> = {}): TestDevice {
    return new TestDevice(this, parseId(name), options);
  }

  #start(): Answerer<Peer, Uint8Array> {
    const clock = () => this.now;
    return new Answerer({
      ...{ suite: this.suite, site: this.id, staticKey: this.key, purpose: "rpc" },
      ...{ clock, wallClock: clock },
      mayApply: (applicant) => this.mayApply(applicant),
    });
  }

  #act(live: Live<Peer, Uint8Array>, seq: number, plaintext: Uint8Array): Uint8Array {
    const message = decodeMessage(plaintext);
    const seal = (message: Parameters<typeof encodeMessage>[0]) =>
      live.session.seal(encodeMessage(message));
    if (live.peer === null) return seal({ kind: "refusal", to: seq, code: "pending" });
    if (message.kind === "enrol") {
      const signKey = decodeEnrolRequest(message.body);
      live.peer = { ...live.peer, state: "approved", noiseKey: live.key, signKey };
      this.peers.set(live.device, live.peer);
      return seal({ kind: "answer", to: seq, body: encodeEnrolAnswer(this.id) });
    }
    if (message.kind !== "call") throw new Error(`A device sent a ${message.kind}`);
    this.executed.push(String.fromCharCode(...message.body));
    return seal({ kind: "answer", to: seq, body: message.body });
  }
}

interface DeviceOptions {
  readonly key: KeyPair;
  readonly psk: Uint8Array;
  readonly hello: Partial<Hello>;
}

export class TestDevice {
  readonly id: Id;
  readonly key: KeyPair;
  readonly #site: TestSite;
  readonly #psk: Uint8Array;
  readonly #hello: Hello;

  constructor(site: TestSite, id: Id, options: Partial<DeviceOptions>) {
    this.id = id;
    this.key = options.key ?? site.suite.x25519.keyPair();
    this.#site = site;
    this.#psk = options.psk ?? zeroPsk;
    this.#hello = { purpose: "rpc", site: site.id, device: id, versions: [2], ...options.hello };
  }

  /** Begins a handshake with the site's key. */
  ik(hello: Partial<Hello> = {}): Initiator {
    return new Initiator(this.#site.suite, {
      ...this.#begin(hello),
      remoteStatic: this.#site.key.publicKey,
    });
  }

  /** Begins a first contact. */
  xx(hello: Partial<Hello> = {}, ephemeralKey?: KeyPair): ContactInitiator {
    return new ContactInitiator(this.#site.suite, {
      ...this.#begin(hello),
      ...(ephemeralKey !== undefined && { ephemeralKey }),
    });
  }

  /** A session, as far as the device can know. @throws what the site refuses */
  connect(): Session {
    const initiator = this.ik();
    return initiator.finish(decodeFrame(replyIn(this.#site.take(initiator.message1))));
  }

  /** A first contact to its end, and what the site makes of it. */
  meet(hello: Partial<Hello> = {}): Acquaintance & { readonly step: TestStep } {
    const initiator = this.xx(hello);
    const message2 = replyIn(this.#site.take(initiator.message1));
    const { message3, ...met } = initiator.finish(decodeFrame(message2));
    return { ...met, step: this.#site.take(message3) };
  }

  #begin(hello: Partial<Hello>) {
    const clock = () => this.#site.now;
    return { hello: { ...this.#hello, ...hello }, staticKey: this.key, psk: this.#psk, clock };
  }
}

/** The frame that a step sends back. */
export function replyIn(step: TestStep): Uint8Array {
  if (step.step === "reply") return step.frame;
  throw new Error(`No reply: ${step.step}`);
}

/** The applicant whom a step tells of. */
export function applicantIn(step: TestStep): Applicant {
  if (step.step === "applicant") return step.applicant;
  throw new Error(`No applicant: ${step.step}`);
}

/** What the site knows of whoever has sent a message; null of a stranger. */
export function senderIn(step: TestStep): Peer | null {
  if (step.step === "message") return step.live.peer;
  throw new Error(`No message: ${step.step}`);
}

/** Whether the site says that it knows no such session, or nothing at all. */
export function isUnknown(step: TestStep, session: Session): boolean {
  if (step.step === "silence") return true;
  if (step.step !== "reply") return false;
  const frame = decodeFrame(step.frame);
  return frame.type === 5 && equalBytes(frame.session, session.id);
}
