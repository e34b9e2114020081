/**
 * The calling side of a session, as a state machine without I/O and timers: calls and frames go in,
 * frames, answers and the time to ask again come out. It shakes hands when it must, joins the site
 * with its first frame, repeats frames byte for byte until they are answered, and starts over when the
 * other side has forgotten the session, keeping the old one until the new one is confirmed.
 *
 * It promises that a frame of the other side is heard once, and that a call is answered by its own
 * answer or fails at its deadline. A call may be executed and its answer lost, and then it is made
 * again in another session: what must not happen twice bears an id of its own (`run_once.ts`).
 *
 * A site may be unable to say that it has forgotten a session: when it is silent, it is asked whether
 * it is there, and then greeted anew. In an `rpc` session it calls too: its requests come out, and go
 * back answered.
 */
import { equalBytes } from "../../base/bytes.ts";
import { isId } from "../../base/id.ts";
import {
  decodeEnrolAnswer,
  decodeMessage,
  encodeEnrolRequest,
  type Message,
  sealMessage,
} from "./call.ts";
import { Asked, type Request } from "./asked.ts";
import { Attempt, retryAfter } from "./attempt.ts";
import type { Advance, CallerOptions, Failure } from "./calling.ts";
import { Calls } from "./calls.ts";
import { ContactInitiator } from "./contact.ts";
import { Doubt } from "./doubt.ts";
import { decodeFrame, type Frame, FrameType } from "./frame.ts";
import { Initiator, zeroPsk } from "./handshake.ts";
import type { Hello } from "./hello.ts";
import type { Session } from "./session.ts";

export type { Advance, CallerOptions, Failure, Outcome } from "./calling.ts";

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
  /** What the site has asked before its answer to the enrolment has come. */
  readonly asked: Asked;
}

interface Open {
  readonly session: Session;
  readonly asked: Asked;
  readonly doubt: Doubt;
}

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
  readonly #calls: Calls<Failure>;
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
  #isAdmitted: boolean;
  #trouble: Failure = "no_answer";

  constructor(options: CallerOptions) {
    this.#options = options;
    this.#calls = new Calls(options.readRpc, () => ++this.#lastCall);
    this.#site = options.hello.site;
    this.#remoteStatic = options.remoteStatic;
    this.#isAdmitted = options.isAdmitted ?? false;
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

  /**
   * Makes a call; its outcome bears the number returned. @param deadline on the caller's clock
   * @throws CallError "id_in_use"; CodedError of `readRpc`
   */
  call(body: Uint8Array, deadline: number): number {
    return this.#calls.call(body, deadline);
  }

  /** Answers a request of the site; when its session has ended, nobody waits for that any more. */
  answer(request: Request, body: Uint8Array): void {
    this.#open?.asked.answer(this.#open.session, request, body);
  }

  /** Does what is due. Call it after everything else, and when the time has come. */
  advance(): Advance {
    const now = this.#options.clock();
    this.#calls.expire(now, this.#trouble);
    this.#endWhatIsOver(now);
    if (this.#calls.size > 0) {
      if (this.#mayShake && this.#notBefore <= now) this.#shake(now);
      this.#enrol(now);
      if (this.#open !== undefined) this.#calls.seal(this.#open.session, now);
      this.#doubt(now);
    }
    const send: (readonly Uint8Array[])[] = [];
    for (const attempt of this.#attempts()) {
      if (attempt.due > now) continue;
      send.push(attempt.frames);
      attempt.sent(now);
    }
    const asked = this.#open?.asked;
    for (const answer of asked?.takeFrames() ?? []) send.push([answer]);
    const [outcomes, requests] = [this.#calls.takeOutcomes(), asked?.takeRequests() ?? []];
    return { send, outcomes, requests, due: this.#due() };
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
      if (duplicate) return;
      const message = decodeMessage(plaintext);
      if (message.kind !== "rpc") return this.#enrolled(fresh, message);
      // the answer to the enrolment, without which nothing is acted on, is still on its way
      if (this.#options.readRpc?.(message.body).kind === "request") {
        fresh.asked.take(seq, message.body);
      }
    } else if (open !== undefined && equalBytes(frame.session, open.session.id)) {
      if (frame.type === FrameType.unknown) return this.#unknownOpen();
      if (frame.type !== FrameType.data) return;
      const { plaintext, duplicate, seq } = open.session.open(frame);
      if (duplicate) return open.asked.repeated(seq);
      open.doubt.settle();
      this.#trouble = "no_answer";
      this.#hear(open, seq, decodeMessage(plaintext));
    }
  }

  /** Hears that a frame could not be carried, though it may have arrived all the same. */
  failed(frame: Uint8Array, failure: Failure): void {
    const now = this.#options.clock();
    this.#trouble = failure;
    this.#open?.doubt.settle();
    const attempt = [...this.#attempts()].find(({ frames }) => frames.includes(frame));
    if (attempt === undefined) return;
    if (failure === "unreachable" || failure === "no_answer") {
      attempt.failed(now, this.#options.random());
    } else if (attempt === this.#shaking?.attempt || attempt === this.#fresh?.enrolment?.attempt) {
      this.#giveUp(now, failure === "pending");
      if (failure === "refused") this.#calls.end({ failure });
    } else {
      this.#calls.end({ failure }, attempt);
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
      if (shaking.isResting) this.#shaking = undefined;
      else if (!this.#isIgnored) this.#giveUp(now, false);
      else {
        shaking.isResting = true;
        shaking.attempt.due = Infinity;
        shaking.until = now + this.#wait();
      }
    }
    const fresh = this.#fresh;
    if (fresh === undefined || fresh.until > now) return;
    const isIgnored = this.#isIgnored && fresh.message3 !== null;
    this.#giveUp(now, false);
    // strangers may be let in for minutes only: whoever has shown its words knocks all the time
    if (isIgnored) this.#notBefore = now + patience.first * (0.5 + this.#options.random());
  }

  /** Silence is what a stranger without a code gets, until somebody lets it in. */
  get #isIgnored(): boolean {
    return !this.#isAdmitted && equalBytes(this.#options.psk, zeroPsk) &&
      this.#trouble === "no_answer";
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

  /** @throws CodedError when it is forged, or damaged on the way: the genuine one may still come */
  #finish({ initiator }: Shaking, message2: Frame): void {
    const made = initiator instanceof ContactInitiator ? initiator.finish(message2) : {
      ...{ session: initiator.finish(message2), remoteStatic: this.#remoteStatic! },
      ...{ message3: null, words: null },
    };
    const now = this.#options.clock();
    this.#shaking = undefined;
    this.#fresh = {
      ...{ ...made, until: now + handshakeTime, enrolment: null, askAgain: now },
      asked: new Asked(),
    };
  }

  /** The first frame of every session asks to be joined to the site, again while that takes time. */
  #enrol(now: number): void {
    const fresh = this.#fresh;
    if (fresh === undefined || fresh.enrolment !== null || fresh.askAgain > now) return;
    const { seq, frame } = this.#sealEnrolment(fresh.session);
    const frames = fresh.message3 === null ? [frame] : [fresh.message3, frame];
    fresh.enrolment = { seq, attempt: new Attempt(now, ...frames) };
    fresh.until = now + handshakeTime;
  }

  #enrolled(fresh: Fresh, message: Message): void {
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
      return this.#calls.end({ refusal: message.code });
    }
    const { site } = decodeEnrolAnswer(message.body);
    if (this.#site === "" && isId(site)) this.#site = site;
    this.#remoteStatic = fresh.remoteStatic;
    this.#lose();
    const { session, asked } = fresh;
    this.#open = { session, asked, doubt: new Doubt() };
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
    this.#open?.doubt.settle();
    this.#notBefore = this.#options.clock() + this.#options.random() * 1_000;
  }

  /** Asks a silent site whether it still knows the session: the enrolment is answered at once. */
  #doubt(now: number): void {
    const open = this.#open;
    if (open === undefined || this.#forgotten) return;
    if (this.#calls.areSent) open.doubt.waits(now);
    // a frame that renews the keys would leave behind what is under way
    const ask = () => open.session.renewsNext ? null : this.#sealEnrolment(open.session).frame;
    if (open.doubt.advance(now, ask)) this.#unknownOpen();
  }

  #sealEnrolment(session: Session) {
    const body = encodeEnrolRequest(this.#options.signKey);
    return sealMessage(session, { kind: "enrol", body });
  }

  #hear(open: Open, seq: number, message: Message): void {
    if (message.kind !== "rpc") {
      if ("to" in message) this.#calls.answered(message);
      return;
    }
    const head = this.#options.readRpc?.(message.body);
    if (head?.kind === "request") {
      open.asked.take(seq, message.body);
    } else if (head?.kind === "response") {
      const { id, refusal } = head;
      this.#calls.responded(id, refusal === null ? { answer: message.body } : { refusal });
    }
  }

  /** What was under way in the session that ends is made again in the next. */
  #lose(): void {
    this.#open?.session.wipe();
    this.#open = undefined;
    this.#forgotten = false;
    this.#calls.unseal();
  }

  *#attempts(): Iterable<Attempt> {
    if (this.#shaking !== undefined) yield this.#shaking.attempt;
    if (this.#fresh?.enrolment) yield this.#fresh.enrolment.attempt;
    const question = this.#open?.doubt.attempt;
    if (question !== undefined) yield question;
    yield* this.#calls.attempts();
  }

  #due(): number {
    if (this.#calls.size === 0) return Infinity;
    const times = [...this.#attempts()].map(({ due }) => due);
    times.push(this.#calls.deadline);
    if (this.#shaking !== undefined) times.push(this.#shaking.until);
    if (this.#fresh !== undefined) times.push(this.#fresh.until);
    if (this.#fresh?.enrolment === null) times.push(this.#fresh.askAgain);
    if (this.#mayShake) times.push(this.#notBefore);
    if (this.#open !== undefined && !this.#forgotten) times.push(this.#open.doubt.due);
    return Math.min(...times);
  }
}
