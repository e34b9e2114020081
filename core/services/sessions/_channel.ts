/**
 * The calling side: a channel to one site for one purpose. It shakes hands when it must, repeats a
 * frame byte for byte until its answer comes, and starts over in a new session when the other side has
 * forgotten the old one. A call may therefore be executed and its answer lost: what a call does must
 * bear repetition, by a key of its own.
 */
import type { Clock } from "../../base/clock.ts";
import { toHex } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import type { Id } from "../../base/id.ts";
import type { KeyPair, Suite } from "../../trust/crypto.ts";
import { decodeFrame, type Frame, FrameType, frameVersion } from "../../trust/session/frame.ts";
import { Initiator, pskFromCode, zeroPsk } from "../../trust/session/handshake.ts";
import type { Purpose } from "../../trust/session/hello.ts";
import type { Session } from "../../trust/session/session.ts";
import { decodeMessage, encodeMessage, type Message } from "../../wire/call.ts";
import { encodeEnrolRequest } from "../../wire/enrolment.ts";
import type { Log } from "../logging.ts";
import { pause } from "../pause.ts";

/** Whom to call. */
export interface Remote {
  readonly site: Id;
  /** http(s):// or mqtt(s)://; the scheme chooses the binding. */
  readonly url: string;
  readonly noiseKey: Uint8Array;
  /** The 16-byte enrolment code; it stays part of the key agreement for the key's life. */
  readonly code?: Uint8Array;
}

/** Who calls. */
export interface Caller {
  readonly suite: Suite;
  readonly device: Id;
  readonly staticKey: KeyPair;
  /** The statement key that enrolment binds. */
  readonly signKey: Uint8Array;
  readonly purpose: Purpose;
  readonly clock: Clock;
  readonly log: Log;
}

/** Closing it fails the calls under way; twice does no harm. */
export interface Channel extends AsyncDisposable {
  /**
   * Calls, and resolves with the answer.
   * @param options.within milliseconds, 30,000 unless said
   * @throws Refusal with the code that the other side gave; ChannelError when no answer came
   */
  call(body: Uint8Array, options?: { within?: number }): Promise<Uint8Array>;
}

/** An authenticated "no" with a code of the role's own. */
export class Refusal extends CodedError {
  override readonly name = "Refusal";
}

export type ChannelErrorCode = "unreachable" | "no_answer" | "refused" | "channel_closed";

export class ChannelError extends CodedError<ChannelErrorCode> {
  override readonly name = "ChannelError";
}

/** Carries frames; what comes back, in any order, goes to `receive`. */
export interface Transport extends AsyncDisposable {
  /** @throws ChannelError "unreachable" or "refused" */
  send(frame: Uint8Array, receive: (bytes: Uint8Array) => void): Promise<void>;
}

interface Waiting {
  readonly resolve: (message: Message | "lost") => void;
  /** The highest number heard when the call was sealed: its answer has a higher one. */
  readonly heard: number;
}

interface Open {
  readonly session: Session;
  /** Calls by their sequence numbers, oldest first. */
  readonly waiting: Map<number, Waiting>;
  /** The highest sequence number of the other side that has opened here. */
  heard: number;
}

/** Frames in flight stay well inside the windows of 64 on both sides. */
const inFlight = 48;
const answersAhead = 60;
/** How long to wait for an answer before repeating, and after a failure to send. */
const firstRepeat = 2_000;
const longestRepeat = 10_000;
const firstRetry = 250;
const longestRetry = 5_000;
const handshakeTime = 5_000;

export class SessionChannel implements Channel {
  readonly #remote: Remote;
  readonly #caller: Caller;
  readonly #transport: Transport;
  readonly #psk: Uint8Array;
  readonly #closing = new AbortController();
  #open: Open | undefined;
  #opening: Promise<Open> | undefined;
  #message2: ((frame: Frame) => void) | undefined;
  #room: (() => void)[] = [];
  #closed: Promise<void> | undefined;

  constructor(remote: Remote, caller: Caller, transport: Transport) {
    this.#remote = remote;
    this.#caller = caller;
    this.#transport = transport;
    this.#psk = remote.code === undefined
      ? zeroPsk
      : pskFromCode(caller.suite, remote.code, { site: remote.site, device: caller.device });
  }

  async call(body: Uint8Array, { within = 30_000 } = {}): Promise<Uint8Array> {
    const deadline = performance.now() + within;
    for (let wait = firstRetry;; wait = Math.min(wait * 2, longestRetry)) {
      try {
        const open = await this.#until(deadline, this.#connected());
        const reply = await this.#exchange(open, { kind: "call", body }, deadline);
        if (reply !== "lost") return answerOf(reply);
      } catch (error) {
        const again = isUnreachable(error) ||
          error instanceof ChannelError && error.code === "no_answer";
        if (!again || performance.now() + wait >= deadline) throw error;
        await this.#sleep(wait * (0.5 + Math.random()));
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    this.#open?.session.wipe();
    this.#lose(this.#open);
    this.#open = undefined;
    await this.#opening?.catch(() => {});
    await this.#transport[Symbol.asyncDispose]();
  }

  /** The open session, or a new one; one handshake at a time. */
  async #connected(): Promise<Open> {
    if (this.#closing.signal.aborted) throw closedError();
    if (this.#open?.session.expired) {
      const old = this.#open;
      this.#open = undefined;
      this.#lose(old);
    }
    if (this.#open !== undefined && this.#opening === undefined) return this.#open;
    this.#opening ??= this.#handshake().finally(() => this.#opening = undefined);
    return await this.#opening;
  }

  async #handshake(): Promise<Open> {
    const { suite, device, purpose, staticKey, clock } = this.#caller;
    const initiator = new Initiator(suite, {
      hello: { purpose, site: this.#remote.site, device, versions: [frameVersion] },
      staticKey,
      remoteStatic: this.#remote.noiseKey,
      psk: this.#psk,
      clock,
    });
    const { promise, resolve, reject } = Promise.withResolvers<Session>();
    const giveUp = () => reject(closedError());
    const timer = setTimeout(() => reject(noAnswer(this.#remote)), handshakeTime);
    this.#closing.signal.addEventListener("abort", giveUp);
    this.#message2 = (frame) => {
      if (!initiator.expects(frame)) return;
      try {
        resolve(initiator.finish(frame));
      } catch (error) {
        // forged or damaged on the way: the initiator is used up, the next attempt makes another
        this.#caller.log.debug("message 2 ignored", { error });
        reject(noAnswer(this.#remote));
      }
    };
    this.#transport.send(initiator.message1, this.#receive).catch(reject);
    const session = await promise.finally(() => {
      clearTimeout(timer);
      this.#closing.signal.removeEventListener("abort", giveUp);
      this.#message2 = undefined;
    });

    const open: Open = { session, waiting: new Map(), heard: -1 };
    const previous = this.#open;
    this.#open = open;
    try {
      if (this.#remote.code !== undefined) await this.#enrol(open);
    } catch (error) {
      // a session that could not enrol is of no use to later calls
      if (this.#open === open) this.#open = undefined;
      session.wipe();
      throw error;
    } finally {
      this.#lose(previous);
    }
    return open;
  }

  async #enrol(open: Open): Promise<void> {
    const body = encodeEnrolRequest(this.#caller.signKey);
    const deadline = performance.now() + handshakeTime;
    const reply = await this.#exchange(open, { kind: "enrol", body }, deadline);
    if (reply === "lost") throw noAnswer(this.#remote);
    answerOf(reply);
  }

  /**
   * Sends a message, again and again in the same bytes, and waits for what answers it; "lost" when
   * its session is no more. A frame whose sending failed may have arrived all the same.
   */
  async #exchange(open: Open, message: Message, deadline: number): Promise<Message | "lost"> {
    while (isFull(open)) {
      await this.#until(deadline, new Promise<void>((resolve) => this.#room.push(resolve)));
    }
    if (this.#open !== open) return "lost";
    const seq = open.session.nextSeq;
    const frame = open.session.seal(encodeMessage(message));
    const { promise: reply, resolve } = Promise.withResolvers<Message | "lost">();
    open.waiting.set(seq, { resolve, heard: open.heard });
    let trouble = noAnswer(this.#remote);
    let [repeat, retry] = [firstRepeat, firstRetry];
    try {
      while (true) {
        const left = deadline - performance.now();
        if (left <= 0) throw trouble;
        const failure = Promise.withResolvers<{ failed: unknown }>();
        this.#transport.send(frame, this.#receive)
          .catch((failed) => failure.resolve({ failed }));
        const outcome = await soon<Message | "lost" | { failed: unknown }>(
          Math.min(repeat, left),
          reply,
          failure.promise,
        );
        if (outcome === undefined) {
          repeat = Math.min(repeat * 2, longestRepeat);
        } else if (outcome === "lost" || !("failed" in outcome)) {
          return outcome;
        } else {
          if (!isUnreachable(outcome.failed)) throw outcome.failed;
          trouble = outcome.failed;
          const late = await soon(Math.min(retry * (0.5 + Math.random()), left), reply);
          if (late !== undefined) return late;
          retry = Math.min(retry * 2, longestRetry);
        }
      }
    } finally {
      open.waiting.delete(seq);
      for (const resume of this.#room.splice(0)) resume();
    }
  }

  readonly #receive = (bytes: Uint8Array): void => {
    try {
      const frame = decodeFrame(bytes);
      if (frame.type === FrameType.message2) return this.#message2?.(frame);
      const open = this.#open;
      if (open === undefined || toHex(frame.session) !== toHex(open.session.id)) return;
      if (frame.type === FrameType.unknown) return this.#startOver(open);
      if (frame.type !== FrameType.data) return;
      const { seq, plaintext, duplicate } = open.session.open(frame);
      if (duplicate) return;
      open.heard = Math.max(open.heard, seq);
      const message = decodeMessage(plaintext);
      if ("to" in message) open.waiting.get(message.to)?.resolve(message);
    } catch (error) {
      this.#caller.log.debug("frame ignored", { error });
    }
  };

  /** The other side knows no such session, it says: shake hands anew, keep the old one until then. */
  #startOver(open: Open): void {
    if (this.#opening !== undefined || this.#open !== open) return;
    this.#opening = this.#sleep(Math.random() * 1_000)
      .then(() => {
        if (this.#closing.signal.aborted) throw closedError();
        return this.#handshake();
      })
      .finally(() => this.#opening = undefined);
    this.#opening.catch(() => {
      // whoever waits starts over by itself and meets the reason
      if (this.#open === open) this.#open = undefined;
      this.#lose(open);
    });
  }

  #lose(open: Open | undefined): void {
    for (const { resolve } of open?.waiting.values() ?? []) resolve("lost");
    for (const resume of this.#room.splice(0)) resume();
  }

  /** @throws ChannelError "no_answer" at the deadline */
  async #until<T>(deadline: number, promise: Promise<T>): Promise<T> {
    const kept = promise.then((value) => ({ value }));
    const outcome = await soon(deadline - performance.now(), kept);
    if (outcome === undefined) throw noAnswer(this.#remote);
    return outcome.value;
  }

  async #sleep(milliseconds: number): Promise<undefined> {
    await pause(milliseconds, this.#closing.signal);
  }
}

/** Whether one more call could push an answer that is still to come out of a window. */
function isFull({ waiting, session, heard }: Open): boolean {
  const [oldest] = waiting;
  if (oldest === undefined) return false;
  const [seq, call] = oldest;
  return session.nextSeq - seq >= inFlight || heard - call.heard + waiting.size >= answersAhead;
}

/** What comes first, or undefined when the time is over before. */
async function soon<T>(milliseconds: number, ...promises: Promise<T>[]): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([...promises, late]);
  } finally {
    clearTimeout(timer);
  }
}

function isUnreachable(error: unknown): error is ChannelError {
  return error instanceof ChannelError && error.code === "unreachable";
}

function answerOf(message: Message): Uint8Array {
  if (message.kind === "answer") return message.body;
  const code = message.kind === "refusal" ? message.code : "unexpected_message";
  throw new Refusal(code, `The other side refuses: ${code}`);
}

function noAnswer(remote: Remote): ChannelError {
  return new ChannelError("no_answer", `No answer from the site "${remote.site}"`, {
    hint: "its log and the counter edgeward_session_refused_total say whether it refused, and why",
  });
}

function closedError(): ChannelError {
  return new ChannelError("channel_closed", "Cannot call: the channel is closed");
}
