/**
 * The answering side of one purpose: handshakes of enrolled peers, their sessions, and each call run
 * once. It takes a frame and gives the frame to send back; what carries frames is a binding's business.
 * Every refusal has a reason, is counted, and changes nothing.
 */
import { equalBytes, toHex } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { CodedError, messageOf } from "../../base/errors.ts";
import type { Id } from "../../base/id.ts";
import type { KeyPair, Suite } from "../../trust/crypto.ts";
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  FrameType,
  frameVersion,
} from "../../trust/session/frame.ts";
import { respond } from "../../trust/session/handshake.ts";
import { decodeOpening, type Hello, type Purpose } from "../../trust/session/hello.ts";
import { type Session, windowSize } from "../../trust/session/session.ts";
import { decodeMessage, encodeMessage, type Message } from "../../wire/call.ts";
import { decodeEnrolRequest } from "../../wire/enrolment.ts";
import { initiators } from "../../wire/peer.ts";
import type { Log } from "../logging.ts";
import type { Metrics } from "../metrics.ts";
import type { Peer, Peers } from "../peers/mod.ts";
import { Refusal } from "./_channel.ts";

/** Answers one call of an authenticated peer. Throw `Refusal` to refuse it with a code. */
export type Handler = (call: Uint8Array, peer: Peer) => Promise<Uint8Array>;

export type RefusedCode =
  | "wrong_purpose"
  | "wrong_site"
  | "wrong_device" // not the one whose topic it came on
  | "wrong_version"
  | "wrong_key" // not the key that was bound at enrolment
  | "unknown_peer"
  | "revoked"
  | "code_expired"
  | "session_live" // another live session bears the identifier that this one would get
  | "unexpected_frame";

/** Why a frame was not taken: for the log and the counters, not for whoever sent it. */
export class RefusedFrame extends CodedError<RefusedCode> {
  override readonly name = "RefusedFrame";
}

interface Live {
  readonly session: Session;
  peer: Peer;
  /** Of message 1: the same message 1 gets the same message 2. */
  readonly message1: string;
  readonly message2: Uint8Array;
  readonly began: number;
  confirmed: boolean;
  /** Answers by the sequence number of their calls, the last 64. */
  readonly answers: Map<number, Promise<Uint8Array>>;
}

/** Unconfirmed handshakes that a device may have open, and for how long. */
const unconfirmedLimit = 4;
const unconfirmedAge = 30_000;
/** At most one "unknown session" per device in this time. */
const unknownInterval = 10_000;
const unknownLimit = 10_000;

export class Responder {
  readonly purpose: Purpose;
  readonly #options: ResponderOptions;
  readonly #sessions = new Map<string, Live>();
  /** Sessions of each device: at most one confirmed, and those still to be confirmed. */
  readonly #devices = new Map<Id, Live[]>();
  readonly #unknownSaid = new Map<string, number>();
  readonly #refused;
  readonly #unwatch: () => void;
  /** How often a peer has ceased to be what it was: what was looked up before is looked up again. */
  #changes = 0;

  constructor(options: ResponderOptions) {
    this.purpose = options.purpose;
    this.#options = options;
    this.#refused = options.metrics.counter(
      "edgeward_session_refused_total",
      "Session frames that were refused, by reason",
    );
    this.#unwatch = options.peers.watch((kind, id) => {
      this.#changes++;
      if (kind === initiators[this.purpose]) this.#forgetDevice(id);
    });
  }

  /** How many sessions are open. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Takes a frame, gives the frame to answer with, or null for silence.
   * @param device the identifier that the topic or route names, when it does
   * @throws CodedError with the reason why the frame was refused; it is counted and logged already
   */
  async receive(bytes: Uint8Array, device?: Id): Promise<Uint8Array | null> {
    try {
      const frame = decodeFrame(bytes);
      if (frame.type === FrameType.data) return await this.#data(frame, device);
      if (frame.type === FrameType.message1) return await this.#handshake(bytes, frame, device);
      throw new RefusedFrame("unexpected_frame", "Cannot take the frame: not its direction");
    } catch (error) {
      const reason = error instanceof CodedError ? error.code : "internal";
      this.#refused.add(1, { purpose: this.purpose, reason });
      const properties = { purpose: this.purpose, reason, device, why: messageOf(error) };
      this.#options.log[reason === "internal" ? "error" : "debug"]("frame refused", properties);
      throw error;
    }
  }

  close(): void {
    this.#unwatch();
    for (const live of this.#sessions.values()) live.session.wipe();
    this.#sessions.clear();
    this.#devices.clear();
  }

  async #handshake(bytes: Uint8Array, frame: Frame, device?: Id): Promise<Uint8Array> {
    const { suite, staticKey, peers, clock } = this.#options;
    const opening = decodeOpening(frame.body);
    this.#checkHello(opening.hello, device);
    const { device: id } = opening.hello;
    const message1 = toHex(suite.sha256(bytes));
    const repeated = this.#unconfirmed(id).find((live) => live.message1 === message1);
    if (repeated !== undefined) return repeated.message2;

    const changes = this.#changes;
    const peer = await peers.find(initiators[this.purpose], id);
    if (changes !== this.#changes) return await this.#handshake(bytes, frame, device);
    const meanwhile = this.#unconfirmed(id).find((live) => live.message1 === message1);
    if (meanwhile !== undefined) return meanwhile.message2;
    if (peer === null) throw new RefusedFrame("unknown_peer", "The peer is not enrolled");
    if (peer.state === "revoked") throw new RefusedFrame("revoked", "The peer is revoked");
    if (peer.state === "enrolled" && clock() > peer.codeExpires) {
      throw new RefusedFrame("code_expired", "The peer's enrolment code has expired");
    }
    const { message2, session, remoteStatic } = respond(
      suite,
      { ...opening, session: frame.session },
      { staticKey, psk: peer.psk, clock },
    );
    if (peer.noiseKey !== null && !equalBytes(peer.noiseKey, remoteStatic)) {
      throw new RefusedFrame("wrong_key", "The peer's static key is not the enrolled one");
    }
    if (this.#sessions.has(toHex(session.id))) {
      throw new RefusedFrame("session_live", "Another live session has this identifier");
    }
    this.#remember({
      session,
      peer: { ...peer, noiseKey: remoteStatic },
      message1,
      message2,
      began: clock(),
      confirmed: false,
      answers: new Map(),
    });
    return message2;
  }

  #checkHello(hello: Hello, device?: Id): void {
    if (hello.purpose !== this.purpose) {
      throw new RefusedFrame("wrong_purpose", "The handshake is for another purpose");
    }
    if (hello.site !== this.#options.site) {
      throw new RefusedFrame("wrong_site", "The handshake is for another site");
    }
    if (device !== undefined && hello.device !== device) {
      throw new RefusedFrame("wrong_device", "The handshake names another device than its topic");
    }
    if (!hello.versions.includes(frameVersion)) {
      throw new RefusedFrame("wrong_version", "The handshake offers no version that we speak");
    }
  }

  async #data(frame: Frame, device?: Id): Promise<Uint8Array | null> {
    const live = this.#sessions.get(toHex(frame.session));
    if (live === undefined || live.session.expired || this.#isStale(live)) {
      if (live !== undefined) this.#forget(live);
      return this.#sayUnknown(frame, device);
    }
    if (device !== undefined && live.peer.id !== device) {
      throw new RefusedFrame("wrong_device", "The session belongs to another device");
    }
    const { seq, duplicate, plaintext } = live.session.open(frame);
    if (duplicate) return await (live.answers.get(seq) ?? null);
    if (!live.confirmed) this.#confirm(live);
    const answer = this.#answer(live, seq, decodeMessage(plaintext));
    live.answers.set(seq, answer);
    for (const old of live.answers.keys()) {
      if (old > seq - windowSize) break;
      live.answers.delete(old);
    }
    return await answer;
  }

  async #answer(live: Live, seq: number, message: Message): Promise<Uint8Array> {
    let reply: Message;
    try {
      if (message.kind === "enrol") {
        await this.#enrol(live, decodeEnrolRequest(message.body));
        reply = { kind: "answer", to: seq, body: new Uint8Array(0) };
      } else if (message.kind !== "call") {
        throw new Refusal("unexpected_message", "Cannot take the message: it is not a call");
      } else if (live.peer.state !== "approved") {
        throw new Refusal("not_enrolled", "Cannot take the call: the peer has not enrolled");
      } else {
        const body = await this.#options.handler(message.body, live.peer);
        reply = { kind: "answer", to: seq, body };
      }
    } catch (error) {
      const expected = error instanceof CodedError;
      const code = expected ? error.code : "unavailable";
      this.#refused.add(1, { purpose: this.purpose, reason: expected ? code : "internal" });
      if (!expected) this.#options.log.error("a call failed", { device: live.peer.id, error });
      reply = { kind: "refusal", to: seq, code };
    }
    return live.session.seal(encodeMessage(reply));
  }

  async #enrol(live: Live, signKey: Uint8Array): Promise<void> {
    const { suite, peers } = this.#options;
    suite.ed25519.verifier(signKey); // refuses points of small order
    // another session of the same peer may have bound it meanwhile, and this is its repetition
    const current = live.peer.state === "enrolled"
      ? await peers.find(live.peer.kind, live.peer.id) ?? live.peer
      : live.peer;
    if (current.state === "approved") {
      const same = equalBytes(current.signKey!, signKey) &&
        equalBytes(current.noiseKey!, live.peer.noiseKey!);
      if (!same) throw new Refusal("already_enrolled", "Cannot enrol: bound to other keys");
      live.peer = current;
    } else {
      live.peer = await peers.bind(live.peer, { noiseKey: live.peer.noiseKey!, signKey });
    }
  }

  /** A new session replaces the old one only now, when its first frame has opened. */
  #confirm(live: Live): void {
    live.confirmed = true;
    const others = this.#devices.get(live.peer.id) ?? [];
    for (const other of [...others]) if (other !== live && other.confirmed) this.#forget(other);
  }

  #remember(live: Live): void {
    const unconfirmed = this.#unconfirmed(live.peer.id);
    // the oldest gives way: otherwise a few recorded messages 1 would keep the real device out
    if (unconfirmed.length >= unconfirmedLimit) this.#forget(unconfirmed[0]!);
    this.#sessions.set(toHex(live.session.id), live);
    this.#devices.set(live.peer.id, [...this.#devices.get(live.peer.id) ?? [], live]);
  }

  #unconfirmed(device: Id): Live[] {
    const mine = this.#devices.get(device) ?? [];
    for (const live of mine) if (this.#isStale(live)) this.#forget(live);
    return (this.#devices.get(device) ?? []).filter((live) => !live.confirmed);
  }

  #isStale(live: Live): boolean {
    return !live.confirmed && this.#options.clock() - live.began > unconfirmedAge;
  }

  #forget(live: Live): void {
    live.session.wipe();
    this.#sessions.delete(toHex(live.session.id));
    const rest = (this.#devices.get(live.peer.id) ?? []).filter((other) => other !== live);
    if (rest.length === 0) this.#devices.delete(live.peer.id);
    else this.#devices.set(live.peer.id, rest);
  }

  #forgetDevice(id: Id): void {
    for (const live of this.#devices.get(id) ?? []) this.#forget(live);
  }

  /** Unauthenticated, so rare: it can only make the device shake hands again. */
  #sayUnknown(frame: Frame, device?: Id): Uint8Array | null {
    if (device !== undefined) {
      const now = this.#options.clock();
      if (now - (this.#unknownSaid.get(device) ?? -Infinity) < unknownInterval) return null;
      if (this.#unknownSaid.size >= unknownLimit) this.#unknownSaid.clear();
      this.#unknownSaid.set(device, now);
    }
    return encodeFrame(FrameType.unknown, frame.session, 0, new Uint8Array(0));
  }
}

export interface ResponderOptions {
  readonly suite: Suite;
  readonly site: Id;
  readonly staticKey: KeyPair;
  readonly purpose: Purpose;
  readonly handler: Handler;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}
