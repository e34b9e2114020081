/**
 * The answering side of one purpose, as a state machine without I/O: frames and what the site knows of
 * a device go in, frames and messages come out. It holds handshakes, sessions and the answers that
 * repetitions get; who a device is, what a call does and where frames travel is its user's business.
 *
 * It promises that nothing is acted on before it is authenticated, that a message comes out once per
 * session, and that what strangers can make it remember is bounded. Every refusal has a reason and
 * changes nothing (protocols.md §1).
 */
import { equalBytes, toHex } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import type { Id } from "../../base/id.ts";
import {
  type AnswererOptions,
  type Applicant,
  type Credential,
  type Knock,
  RefusedFrame,
  type Step,
} from "./answering.ts";
import { contactMessageLength, ContactResponder } from "./contact.ts";
import { decodeFrame, encodeFrame, type Frame, FrameType, frameVersion } from "./frame.ts";
import { respond, UnprovenError, zeroPsk } from "./handshake.ts";
import { decodeOpening, type Hello, type Opening } from "./hello.ts";
import { type Live, LiveSessions, unconfirmedAge, unconfirmedLimit } from "./live_sessions.ts";
import { NoiseError } from "./noise.ts";

export { RefusedFrame } from "./answering.ts";
export type {
  AnswererOptions,
  Applicant,
  Credential,
  Knock,
  RefusedCode,
  Step,
} from "./answering.ts";

/** Strangers' first contacts that wait for message 3, and messages 1 that wait for approval. */
const contactLimit = 64;
const knockLimit = 256;
const knockAge = 120_000;
/** Messages 1 of an admitted device that are remembered. */
const usedLimit = 32;
/** At most one "unknown session" per device in this time. */
const unknownInterval = 10_000;
const unknownLimit = 10_000;

interface Waiting {
  readonly knock: Knock;
  /** The static key that it shows. */
  readonly key: Uint8Array;
  readonly at: number;
}

interface Contact<P> {
  readonly knock: Knock;
  readonly responder: ContactResponder;
  readonly peer: P | null;
  readonly began: number;
  /** Message 3 has come: its repetitions are nothing new. */
  isOver: boolean;
}

export class Answerer<P extends Credential, A> {
  readonly #options: AnswererOptions<P, A>;
  readonly #live: LiveSessions<P, A>;
  /** Half a first contact, by the session of its frames, oldest first. */
  readonly #contacts = new Map<string, Contact<P>>();
  /** The newest message 1 of each name and key that waits for approval, oldest first. */
  readonly #knocks = new Map<string, Waiting>();
  /** Messages 1 that have opened a session: old ones, recorded, are to push no handshake out. */
  readonly #used = new Map<Id, Set<string>>();
  readonly #unknownSaid = new Map<Id, number>();

  constructor(options: AnswererOptions<P, A>) {
    this.#options = options;
    this.#live = new LiveSessions(options.clock, options.onEnd);
  }

  /** How many sessions are open. */
  get size(): number {
    return this.#live.size;
  }

  /** Whether a frame is for this one, where several purposes share a door. @throws CodedError */
  concerns(bytes: Uint8Array): boolean {
    const { type, session, body } = decodeFrame(bytes);
    if (type === FrameType.data) return this.#live.find(session) !== undefined;
    if (type === FrameType.message3) return this.#contacts.has(toHex(session));
    return decodeOpening(body).hello.purpose === this.#options.purpose;
  }

  /**
   * Takes a frame. @param device the identifier that the topic or route names, when it does
   * @throws CodedError with the reason why the frame was refused
   */
  take(bytes: Uint8Array, device?: Id): Step<P, A> {
    const frame = decodeFrame(bytes);
    if (frame.type === FrameType.data) return this.#data(frame, device);
    if (frame.type === FrameType.message1) return this.#message1(bytes, frame, device);
    if (frame.type === FrameType.message3) return this.#message3(frame, device);
    throw new RefusedFrame("unexpected_frame", "Cannot take the frame: not its direction");
  }

  /**
   * Goes on with a message 1, now that its device has been looked up. @param peer null when unknown
   * @throws CodedError with the reason why it was refused
   */
  admit(knock: Knock, peer: P | null): Step<P, A> {
    const repeated = this.#answered(knock);
    if (repeated !== undefined) return { step: "reply", frame: repeated };
    if (peer?.state === "revoked") throw new RefusedFrame("revoked", "The peer is revoked");
    if (peer?.state === "enrolled" && this.#options.wallClock() > peer.codeExpires) {
      throw new RefusedFrame("code_expired", "The peer's enrolment code has expired");
    }
    return isContact(knock.opening) ? this.#meet(knock, peer) : this.#shake(knock, peer);
  }

  /** The session of an approved device that has been used; a device can be asked in no other. */
  confirmed(device: Id): Live<P, A> | undefined {
    return this.#live.confirmed(device);
  }

  /** Forgets somebody who has just been told of, and is not to wait. */
  dismiss({ device, key }: Applicant): void {
    this.#knocks.delete(nameOf(device, key));
    for (const live of this.#live.of(device)) {
      if (live.peer === null && equalBytes(live.key, key)) this.#live.end(live);
    }
  }

  /** Whose session a frame bears, null when nobody's; nothing is proven by that. */
  ownerOf(bytes: Uint8Array): Id | null {
    return this.#live.find(decodeFrame(bytes).session)?.device ?? null;
  }

  /** Keeps the answer to a message for its repetitions. */
  remember(live: Live<P, A>, seq: number, answer: A): void {
    this.#live.remember(live, seq, answer);
  }

  /**
   * Hears that a device is no longer what it was: sessions of the key that it now has go on, all others
   * end at once. Returns what to send to a device whose message 1 has been waiting for this.
   */
  update(device: Id, peer: P | null): Uint8Array | null {
    for (const live of this.#live.of(device)) {
      const same = peer?.state === "approved" && equalBytes(peer.noiseKey!, live.key);
      if (same) this.#live.admit(live, peer);
      else this.#live.end(live);
    }
    for (const [session, contact] of this.#contacts) {
      if (contact.knock.device === device) this.#contacts.delete(session);
    }
    if (peer?.state !== "approved") this.#used.delete(device);
    for (const { knock, key, at } of [...this.#knocks.values()].reverse()) {
      const isMeant = knock.device === device && peer !== null && isKeyOf(peer, key);
      if (!isMeant || this.#isOld(at, knockAge)) continue;
      const frame = this.#letIn(knock, peer);
      if (frame !== null) return frame;
    }
    return null;
  }

  /** Ends every session. */
  close(): void {
    this.#live.close();
    for (const kept of [this.#contacts, this.#knocks, this.#used]) kept.clear();
  }

  #letIn(knock: Knock, peer: P): Uint8Array | null {
    try {
      const admitted = this.admit(knock, peer);
      return admitted.step === "reply" ? admitted.frame : null;
    } catch (error) {
      if (error instanceof CodedError) return null;
      throw error;
    }
  }

  #message1(bytes: Uint8Array, frame: Frame, device?: Id): Step<P, A> {
    const opening = decodeOpening(frame.body);
    this.#checkHello(opening, device);
    const knock = {
      device: opening.hello.device,
      opening: { ...opening, session: frame.session },
      digest: toHex(this.#options.suite.sha256(bytes)),
    };
    const repeated = this.#answered(knock);
    return repeated === undefined ? { step: "knock", knock } : { step: "reply", frame: repeated };
  }

  #checkHello(opening: Opening, device?: Id): void {
    const { purpose, site, device: named, versions }: Hello = opening.hello;
    if (purpose !== this.#options.purpose) {
      throw new RefusedFrame("wrong_purpose", "The handshake is for another purpose");
    }
    // in a first contact the device may not know where it is
    if (site !== this.#options.site && !(site === "" && isContact(opening))) {
      throw new RefusedFrame("wrong_site", "The handshake is for another site");
    }
    if (device !== undefined && named !== device) {
      throw new RefusedFrame("wrong_device", "The handshake names another device than its topic");
    }
    if (!versions.includes(frameVersion)) {
      throw new RefusedFrame("wrong_version", "The handshake offers no version that we speak");
    }
  }

  /** The message 2 that a message 1 got before. */
  #answered({ device, digest, opening }: Knock): Uint8Array | undefined {
    const contact = this.#contacts.get(toHex(opening.session));
    if (contact?.knock.digest === digest && !this.#isOld(contact.began, unconfirmedAge)) {
      return contact.responder.message2;
    }
    const same = this.#live.unconfirmed(device).find((live) => live.digest === digest);
    return same?.message2 ?? undefined;
  }

  /** IK: message 1 shows the key, and that its owner holds the psk. */
  #shake(knock: Knock, peer: P | null): Step<P, A> {
    const { device, opening, digest } = knock;
    if (this.#used.get(device)?.has(digest) === true) {
      throw new RefusedFrame("used_up", "The message 1 has had its session");
    }
    try {
      const { message2, session, remoteStatic: key } = this.#respond(opening, peer?.psk ?? zeroPsk);
      if (peer !== null && isKeyOf(peer, key)) {
        this.#knocks.delete(nameOf(device, key));
        this.#open({ device, session, key, peer, digest, message2 });
        this.#useUp(knock);
        return { step: "reply", frame: message2 };
      }
      session.wipe();
      const proof = peer === null || equalBytes(peer.psk, zeroPsk) ? "key" : "code";
      return this.#letWait(knock, { device, key, proof, words: null });
    } catch (error) {
      if (!(error instanceof UnprovenError) || peer?.state === "enrolled") throw error;
      if (peer === null) {
        return this.#letWait(knock, { device, key: error.claimedKey, proof: "none", words: null });
      }
      // new hardware under a known name, and without its code
      const { session, remoteStatic: key } = this.#respond(opening, zeroPsk);
      session.wipe();
      if (equalBytes(key, peer.noiseKey!)) throw error;
      return this.#letWait(knock, { device, key, proof: "key", words: null });
    }
  }

  #useUp({ device, digest }: Knock): void {
    const used = this.#used.get(device) ?? new Set();
    this.#used.set(device, used.add(digest));
    const [oldest] = used;
    if (used.size > usedLimit) used.delete(oldest!);
  }

  #respond(opening: Knock["opening"], psk: Uint8Array) {
    const { suite, staticKey, clock } = this.#options;
    return respond(suite, opening, { staticKey, psk, clock });
  }

  #letWait(knock: Knock, applicant: Applicant): Step<P, A> {
    this.#requireInvited(applicant);
    const { key } = applicant;
    const name = nameOf(knock.device, key);
    const before = this.#knocks.get(name);
    const at = before?.knock.digest === knock.digest ? before.at : this.#options.clock();
    this.#knocks.delete(name);
    this.#knocks.set(name, { knock, key, at });
    const [oldest] = this.#knocks.keys();
    if (this.#knocks.size > knockLimit) this.#knocks.delete(oldest!);
    return { step: "applicant", applicant, inSession: false };
  }

  /** XX: whoever it is gets message 2, and shows its key in message 3. */
  #meet(knock: Knock, peer: P | null): Step<P, A> {
    const { suite, staticKey, clock } = this.#options;
    const { opening, device } = knock;
    const name = toHex(opening.session);
    const before = this.#contacts.get(name);
    if (before !== undefined && !this.#isOld(before.began, unconfirmedAge)) {
      throw new RefusedFrame("session_live", "Another handshake has this identifier");
    }
    // a psk is bound to the name of the site: who does not know the name cannot have one
    const psk = opening.hello.site === "" ? zeroPsk : peer?.psk ?? zeroPsk;
    const responder = new ContactResponder(suite, opening, { staticKey, psk, clock });
    const mine = [...this.#contacts].filter(([, { knock }]) => knock.device === device);
    if (mine.length >= unconfirmedLimit) this.#contacts.delete(mine[0]![0]);
    this.#contacts.delete(name);
    this.#contacts.set(name, { knock, responder, peer, began: clock(), isOver: false });
    const strangers = [...this.#contacts].filter(([, { peer }]) => peer === null);
    if (strangers.length > contactLimit) this.#contacts.delete(strangers[0]![0]);
    return { step: "reply", frame: responder.message2 };
  }

  #message3(frame: Frame, device?: Id): Step<P, A> {
    const contact = this.#contacts.get(toHex(frame.session));
    if (contact === undefined || this.#isOld(contact.began, unconfirmedAge)) {
      throw new RefusedFrame("unexpected_frame", "Nobody here has begun that handshake");
    }
    const { knock, peer } = contact;
    if (device !== undefined && device !== knock.device) {
      throw new RefusedFrame("wrong_device", "The handshake belongs to another device");
    }
    if (contact.isOver) return { step: "silence" };
    const hadPsk = knock.opening.hello.site !== "" && peer !== null &&
      !equalBytes(peer.psk, zeroPsk);
    try {
      const { session, remoteStatic: key, words } = contact.responder.finish(frame);
      contact.isOver = true;
      const known = peer !== null && isKeyOf(peer, key) && (peer.state === "approved" || hadPsk);
      const { digest, device } = knock;
      const fresh = { device, session, key, digest, message2: null };
      if (known) {
        this.#open({ ...fresh, peer });
        return { step: "silence" };
      }
      const proof = hadPsk ? "code" : "key";
      const applicant = { device, key, proof, words: hadPsk ? null : words } as const;
      this.#requireInvited(applicant, () => session.wipe());
      this.#open({ ...fresh, peer: null });
      return { step: "applicant", applicant, inSession: true };
    } catch (error) {
      const forget = () => void this.#contacts.delete(toHex(frame.session));
      // after a forged one the genuine one may still come; otherwise it was the device's own
      if (!(error instanceof NoiseError)) forget();
      if (!(error instanceof UnprovenError) || peer !== null) throw error;
      const unproven = { device: knock.device, key: error.claimedKey, words: null } as const;
      const applicant = { ...unproven, proof: "none" } as const;
      this.#requireInvited(applicant, forget);
      return { step: "applicant", applicant, inSession: false };
    }
  }

  /** Nothing is kept of who is refused here. */
  #requireInvited(applicant: Applicant, forget: () => void = () => {}): void {
    if (this.#options.mayApply?.(applicant) !== false) return;
    forget();
    throw new RefusedFrame("not_invited", "The peer may not apply now");
  }

  #data(frame: Frame, device?: Id): Step<P, A> {
    const live = this.#live.find(frame.session);
    if (live === undefined) return this.#sayUnknown(frame, device);
    if (device !== undefined && live.device !== device) {
      throw new RefusedFrame("wrong_device", "The session belongs to another device");
    }
    const { seq, duplicate, plaintext } = live.session.open(frame);
    if (duplicate) return { step: "again", answer: live.answers.get(seq) };
    this.#live.confirm(live);
    return { step: "message", live, seq, plaintext };
  }

  #open(fresh: Parameters<LiveSessions<P, A>["add"]>[0]): void {
    if (this.#live.find(fresh.session.id) !== undefined) {
      throw new RefusedFrame("session_live", "Another live session has this identifier");
    }
    this.#live.add(fresh);
  }

  #isOld(began: number, age: number): boolean {
    return this.#options.clock() - began > age;
  }

  /** Unauthenticated, so rare: it can only make the device shake hands again. */
  #sayUnknown(frame: Frame, device?: Id): Step<P, A> {
    if (device !== undefined) {
      const now = this.#options.clock();
      if (now - (this.#unknownSaid.get(device) ?? -Infinity) < unknownInterval) {
        return { step: "silence" };
      }
      if (this.#unknownSaid.size >= unknownLimit) this.#unknownSaid.clear();
      this.#unknownSaid.set(device, now);
    }
    const unknown = encodeFrame(FrameType.unknown, frame.session, 0, new Uint8Array(0));
    return { step: "reply", frame: unknown };
  }
}

/** XX and IK are told apart by the length of message 1, which is fixed for each. */
function isContact({ noiseMessage }: Opening): boolean {
  return noiseMessage.length === contactMessageLength;
}

/** Whoever waits is told from others under the same name by the key. */
function nameOf(device: Id, key: Uint8Array): string {
  return `${device} ${toHex(key)}`;
}

/** Before its keys are bound, whoever holds the code is the peer. */
function isKeyOf(peer: Credential, key: Uint8Array): boolean {
  return peer.noiseKey === null || equalBytes(peer.noiseKey, key);
}
