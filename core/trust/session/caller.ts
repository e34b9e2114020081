/**
 * The calling side of a session, as a state machine without I/O and timers: calls and frames go in,
 * frames, answers and the time to ask again come out. It shakes hands when it must, joins the site
 * with its first frame, repeats frames byte for byte until they are answered, and starts over when the
 * other side has forgotten the session, keeping the old one until the new one is confirmed.
 *
 * It promises that a frame of the other side is heard once, and that a call is answered by its own
 * answer or fails at its deadline. A call may be executed and its answer lost, and then it is made
 * again in another session: what must not happen twice bears an id of its own (`run_once.ts`).
 */
import { equalBytes } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { isId } from "../../base/id.ts";
import type { KeyPair, Suite } from "../crypto.ts";
import {
  decodeEnrolAnswer,
  decodeMessage,
  encodeEnrolRequest,
  type Message,
  sealMessage,
} from "./call.ts";
import { Attempt, retryAfter } from "./attempt.ts";
import { ContactInitiator } from "./contact.ts";
import { decodeFrame, type Frame, FrameType } from "./frame.ts";
import { Initiator, zeroPsk } from "./handshake.ts";
import type { Hello } from "./hello.ts";
import type { Session } from "./session.ts";

/** Why a call has no answer. Of a frame that could not be carried, the transport says which it is. */
export type Failure = "no_answer" | "unreachable" | "refused" | "pending";

export type Outcome =
  & { readonly call: number }
  & (
    | { readonly answer: Uint8Array }
    | { readonly refusal: string }
    | { readonly failure: Failure }
  );

/** What there is to do. */
export interface Advance {
  /** Frames to send: those of one list one after another, since they build on each other. */
  readonly send: readonly (readonly Uint8Array[])[];
  readonly outcomes: readonly Outcome[];
  /** When to ask again at the latest, on the caller's clock; Infinity when nothing is under way. */
  readonly due: number;
}

interface Call {
  readonly id: number;
  readonly body: Uint8Array;
  readonly deadline: number;
  sent: { readonly seq: number; readonly attempt: Attempt; readonly heard: number } | null;
}

interface Shaking {
  readonly initiator: Initiator | ContactInitiator;
  readonly attempt: Attempt;
  until: number;
  /** Nothing is sent any more: message 2 may come when somebody has approved this device. */
  isResting: boolean;
}

/** A session whose first frame, the enrolment, has not been answered yet. */
interface Fresh {
  readonly session: Session;
  readonly remoteStatic: Uint8Array;
  /** Of a first contact: its last message, without which the site knows no session. */
  message3: Uint8Array | null;
  readonly words: string | null;
  until: number;
  enrolment: { readonly seq: number; readonly attempt: Attempt } | null;
  /** When to ask again whether it is approved. */
  askAgain: number;
}

interface Open {
  readonly session: Session;
  /** The highest sequence number of the other side that has opened here. */
  heard: number;
}

/** Frames in flight stay well inside the windows of 64 on both sides. */
const inFlight = 48;
const answersAhead = 60;
/** Milliseconds for message 2, and again for the answer to the enrolment. */
const handshakeTime = 5_000;
/** Whoever waits for approval asks so often in its session. */
const askInterval = 10_000;
/** Who has no session yet shakes hands again after this time, doubling. */
const patience = { first: 30_000, longest: 600_000 };

export class Caller {
  readonly #options: CallerOptions;
  #site: Hello["site"];
  #remoteStatic: Uint8Array | undefined;
  /** Not answered yet, in the order in which they came. */
  readonly #calls = new Map<number, Call>();
  #lastCall = 0;
  #shaking: Shaking | undefined;
  #fresh: Fresh | undefined;
  #open: Open | undefined;
  /** The other side has forgotten `#open`. */
  #forgotten = false;
  /** No handshake begins earlier. */
  #notBefore = -Infinity;
  #failures = 0;
  #waits = 0;
  #isAdmitted = false;
  #trouble: Failure = "no_answer";
  readonly #outcomes: Outcome[] = [];

  constructor(options: CallerOptions) {
    this.#options = options;
    this.#site = options.hello.site;
    this.#remoteStatic = options.remoteStatic;
  }

  /** Six words for people to compare, while a first contact waits for approval. */
  get words(): string | null {
    return this.#fresh?.words ?? null;
  }

  /** The site that has admitted this device, to be remembered; null as long as none has. */
  get pinned(): { readonly site: string; readonly remoteStatic: Uint8Array } | null {
    if (this.#remoteStatic === undefined || this.#site === "") return null;
    return { site: this.#site, remoteStatic: this.#remoteStatic };
  }

  /** Makes a call; its outcome bears the number returned. @param deadline on the caller's clock */
  call(body: Uint8Array, deadline: number): number {
    const id = ++this.#lastCall;
    this.#calls.set(id, { id, body, deadline, sent: null });
    return id;
  }

  /** Does what is due. Call it after everything else, and when the time has come. */
  advance(): Advance {
    const now = this.#options.clock();
    for (const call of this.#calls.values()) {
      if (call.deadline <= now) this.#settle(call, { failure: this.#trouble });
    }
    this.#endWhatIsOver(now);
    if (this.#calls.size > 0) {
      if (this.#mayShake && this.#notBefore <= now) this.#shake(now);
      this.#enrol(now);
      this.#seal(now);
    }
    const send: (readonly Uint8Array[])[] = [];
    for (const attempt of this.#attempts()) {
      if (attempt.due > now) continue;
      send.push(attempt.frames);
      attempt.sent(now);
    }
    return { send, outcomes: this.#outcomes.splice(0), due: this.#due() };
  }

  /** Takes a frame. @throws CodedError when it is not one that was waited for: nothing has changed */
  receive(bytes: Uint8Array): void {
    const frame = decodeFrame(bytes);
    if (this.#shaking?.initiator.expects(frame)) return this.#finish(this.#shaking, frame);
    const [fresh, open] = [this.#fresh, this.#open];
    if (fresh !== undefined && equalBytes(frame.session, fresh.session.id)) {
      // that the session is unknown may be a lie, or true until message 3 arrives: `until` decides
      if (frame.type !== FrameType.data) return;
      const { plaintext, duplicate, seq } = fresh.session.open(frame);
      if (!duplicate) this.#enrolled(fresh, decodeMessage(plaintext), seq);
    } else if (open !== undefined && equalBytes(frame.session, open.session.id)) {
      if (frame.type === FrameType.unknown) return this.#unknownOpen();
      if (frame.type !== FrameType.data) return;
      const { plaintext, duplicate, seq } = open.session.open(frame);
      if (duplicate) return;
      open.heard = Math.max(open.heard, seq);
      this.#trouble = "no_answer";
      this.#answered(decodeMessage(plaintext));
    }
  }

  /** Hears that a frame could not be carried, though it may have arrived all the same. */
  failed(frame: Uint8Array, failure: Failure): void {
    const now = this.#options.clock();
    this.#trouble = failure;
    const attempt = [...this.#attempts()].find(({ frames }) => frames.includes(frame));
    if (attempt === undefined) return;
    if (failure === "unreachable" || failure === "no_answer") {
      attempt.failed(now, this.#options.random());
    } else if (attempt === this.#shaking?.attempt || attempt === this.#fresh?.enrolment?.attempt) {
      this.#giveUp(now, failure === "pending");
      if (failure === "refused") this.#settleAll({ failure });
    } else {
      for (const call of this.#calls.values()) {
        if (call.sent?.attempt === attempt) this.#settle(call, { failure });
      }
    }
  }

  /** Erases all keys. The caller is of no use afterwards. */
  close(): void {
    this.#fresh?.session.wipe();
    this.#open?.session.wipe();
    this.#calls.clear();
    this.#shaking = this.#fresh = this.#open = undefined;
  }

  #endWhatIsOver(now: number): void {
    if (this.#open?.session.expired) this.#lose();
    const shaking = this.#shaking;
    if (shaking !== undefined && shaking.until <= now) {
      // silence is what a stranger without a code gets until somebody approves it
      const isStranger = !this.#isAdmitted && equalBytes(this.#options.psk, zeroPsk);
      if (shaking.isResting) this.#shaking = undefined;
      else if (!isStranger || this.#trouble !== "no_answer") this.#giveUp(now, false);
      else {
        shaking.isResting = true;
        shaking.attempt.due = Infinity;
        shaking.until = now + this.#wait();
      }
    }
    if (this.#fresh !== undefined && this.#fresh.until <= now) this.#giveUp(now, false);
  }

  get #isShaking(): boolean {
    return this.#shaking !== undefined || this.#fresh !== undefined;
  }

  get #mayShake(): boolean {
    return !this.#isShaking && (this.#open === undefined || this.#forgotten);
  }

  #shake(now: number): void {
    const { suite, clock, staticKey, psk } = this.#options;
    const hello = { ...this.#options.hello, site: this.#site };
    const remoteStatic = this.#remoteStatic;
    const initiator = remoteStatic === undefined
      ? new ContactInitiator(suite, { hello, staticKey, psk, clock })
      : new Initiator(suite, { hello, staticKey, psk, clock, remoteStatic });
    this.#shaking = {
      initiator,
      attempt: new Attempt(now, initiator.message1),
      until: now + handshakeTime,
      isResting: false,
    };
  }

  #finish({ initiator }: Shaking, message2: Frame): void {
    const now = this.#options.clock();
    const common = { until: now + handshakeTime, enrolment: null, askAgain: now };
    this.#shaking = undefined;
    try {
      this.#fresh = initiator instanceof ContactInitiator
        ? { ...initiator.finish(message2), ...common }
        : {
          ...{ session: initiator.finish(message2), remoteStatic: this.#remoteStatic! },
          ...{ message3: null, words: null, ...common },
        };
    } catch (error) {
      // forged, or damaged on the way: the initiator is used up, and the next attempt makes another
      this.#giveUp(now, false);
      throw error;
    }
  }

  /** The first frame of every session asks to be joined to the site, again while that takes time. */
  #enrol(now: number): void {
    const fresh = this.#fresh;
    if (fresh === undefined || fresh.enrolment !== null || fresh.askAgain > now) return;
    const body = encodeEnrolRequest(this.#options.signKey);
    const { seq, frame } = sealMessage(fresh.session, { kind: "enrol", body });
    const frames = fresh.message3 === null ? [frame] : [fresh.message3, frame];
    fresh.enrolment = { seq, attempt: new Attempt(now, ...frames) };
    fresh.until = now + handshakeTime;
  }

  #enrolled(fresh: Fresh, message: Message, heard: number): void {
    if (!("to" in message) || message.to !== fresh.enrolment?.seq) return;
    const now = this.#options.clock();
    if (message.kind === "refusal" && message.code === "pending") {
      fresh.enrolment = fresh.message3 = null;
      fresh.until = Infinity;
      fresh.askAgain = now + askInterval;
      this.#trouble = "pending";
      return;
    }
    if (message.kind === "refusal") {
      this.#giveUp(now, false);
      return this.#settleAll({ refusal: message.code });
    }
    const { site } = decodeEnrolAnswer(message.body);
    if (this.#site === "" && isId(site)) this.#site = site;
    this.#remoteStatic = fresh.remoteStatic;
    this.#lose();
    this.#open = { session: fresh.session, heard };
    this.#fresh = undefined;
    this.#failures = this.#waits = 0;
    this.#isAdmitted = true;
    this.#trouble = "no_answer";
  }

  /** The handshake under way comes to nothing: another one follows, later the oftener it failed. */
  #giveUp(now: number, isWaiting: boolean): void {
    this.#shaking = undefined;
    this.#fresh?.session.wipe();
    this.#fresh = undefined;
    const wait = isWaiting ? this.#wait() : retryAfter(this.#failures++, this.#options.random());
    this.#notBefore = now + wait;
  }

  #wait(): number {
    return Math.min(patience.first * 2 ** this.#waits++, patience.longest);
  }

  /** Shake hands anew, not all devices at once, and keep the old session until then. */
  #unknownOpen(): void {
    if (this.#forgotten || this.#isShaking) return;
    this.#forgotten = true;
    this.#notBefore = this.#options.clock() + this.#options.random() * 1_000;
  }

  /** Seals what waits, while the windows have room for it and for what answers it. */
  #seal(now: number): void {
    const open = this.#open;
    if (open === undefined) return;
    const waiting = [...this.#calls.values()];
    for (const call of waiting) {
      if (call.sent !== null) continue;
      if (this.#isFull(open)) break;
      const { seq, frame } = sealMessage(open.session, { kind: "call", body: call.body });
      call.sent = { seq, attempt: new Attempt(now, frame), heard: open.heard };
    }
  }

  #isFull({ session, heard }: Open): boolean {
    const sent = [...this.#calls.values()].flatMap(({ sent }) => sent ?? []);
    const [oldest] = sent; // calls are sealed in the order in which they came
    return oldest !== undefined &&
      (session.renewsNext || session.nextSeq - oldest.seq >= inFlight ||
        heard - oldest.heard + sent.length >= answersAhead);
  }

  #answered(message: Message): void {
    if (!("to" in message)) return;
    for (const call of this.#calls.values()) {
      if (call.sent?.seq !== message.to) continue;
      if (message.kind === "answer") this.#settle(call, { answer: message.body });
      else this.#settle(call, { refusal: message.code });
      return;
    }
  }

  #settle({ id }: Call, how: { answer: Uint8Array } | { refusal: string } | { failure: Failure }) {
    this.#calls.delete(id);
    this.#outcomes.push({ call: id, ...how });
  }

  #settleAll(how: { refusal: string } | { failure: Failure }): void {
    for (const call of this.#calls.values()) this.#settle(call, how);
  }

  /** What was under way in the session that ends is made again in the next. */
  #lose(): void {
    this.#open?.session.wipe();
    this.#open = undefined;
    this.#forgotten = false;
    for (const call of this.#calls.values()) call.sent = null;
  }

  *#attempts(): Iterable<Attempt> {
    if (this.#shaking !== undefined) yield this.#shaking.attempt;
    if (this.#fresh?.enrolment) yield this.#fresh.enrolment.attempt;
    for (const { sent } of this.#calls.values()) if (sent !== null) yield sent.attempt;
  }

  #due(): number {
    if (this.#calls.size === 0) return Infinity;
    const times = [...this.#attempts()].map(({ due }) => due);
    for (const { deadline } of this.#calls.values()) times.push(deadline);
    if (this.#shaking !== undefined) times.push(this.#shaking.until);
    if (this.#fresh !== undefined) times.push(this.#fresh.until);
    if (this.#fresh?.enrolment === null) times.push(this.#fresh.askAgain);
    if (this.#mayShake) times.push(this.#notBefore);
    return Math.min(...times);
  }
}

export interface CallerOptions {
  readonly suite: Suite;
  /** Whom it wants to talk to about what; the site is "" when only its address is known. */
  readonly hello: Hello;
  readonly staticKey: KeyPair;
  /** The statement key that the site binds. */
  readonly signKey: Uint8Array;
  /** The site's static key; without it the first contact is made. */
  readonly remoteStatic?: Uint8Array;
  /** Zeros without a code. */
  readonly psk: Uint8Array;
  /** Milliseconds since whenever, never backwards. */
  readonly clock: Clock;
  /** In [0, 1): spreads what many devices do after an outage. */
  readonly random: () => number;
}
