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
import { decodeFrame, type Frame, FrameType, frameVersion } from "../../trust/frame.ts";
import { Initiator, pskFromCode, zeroPsk } from "../../trust/handshake.ts";
import type { Purpose } from "../../trust/hello.ts";
import type { Session } from "../../trust/session.ts";
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
}

interface Open {
  readonly session: Session;
  readonly waiting: Map<number, Waiting>;
}

/** Frames in flight stay well inside the receiver's window of 64. */
const inFlight = 48;
const firstRepeat = 2_000;
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
    for (let wait = 250;; wait = Math.min(wait * 2, 5_000)) {
      try {
        const open = await this.#connected();
        const reply = await this.#exchange(open, { kind: "call", body }, deadline);
        if (reply !== "lost") return answerOf(reply);
      } catch (error) {
        const again = error instanceof ChannelError && error.code === "unreachable";
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
    if (this.#open?.session.expired) this.#open = undefined;
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
        reject(error);
      }
    };
    this.#transport.send(initiator.message1, this.#receive).catch(reject);
    const session = await promise.finally(() => {
      clearTimeout(timer);
      this.#closing.signal.removeEventListener("abort", giveUp);
      this.#message2 = undefined;
    });

    const open: Open = { session, waiting: new Map() };
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

  /** Sends a message and waits for what answers it; "lost" when its session is no more. */
  async #exchange(open: Open, message: Message, deadline: number): Promise<Message | "lost"> {
    while (this.#isFull(open)) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
      if (this.#open !== open) return "lost";
    }
    const seq = open.session.nextSeq;
    const frame = open.session.seal(encodeMessage(message));
    const { promise, resolve, reject } = Promise.withResolvers<Message | "lost">();
    open.waiting.set(seq, { resolve });
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      for (let repeat = firstRepeat;; repeat *= 2) {
        const timeout = Math.min(repeat, deadline - performance.now());
        if (timeout <= 0) throw noAnswer(this.#remote);
        this.#transport.send(frame, this.#receive).catch(reject);
        const again = new Promise<undefined>((resolve) =>
          timer = setTimeout(() => resolve(undefined), timeout)
        );
        const reply = await Promise.race([promise, again]);
        if (reply !== undefined) return reply;
      }
    } finally {
      clearTimeout(timer);
      open.waiting.delete(seq);
      for (const resume of this.#room.splice(0)) resume();
    }
  }

  #isFull(open: Open): boolean {
    const oldest = open.waiting.keys().next().value;
    return oldest !== undefined && open.session.nextSeq - oldest >= inFlight;
  }

  readonly #receive = (bytes: Uint8Array): void => {
    try {
      const frame = decodeFrame(bytes);
      if (frame.type === FrameType.message2) return this.#message2?.(frame);
      const open = this.#open;
      if (open === undefined || toHex(frame.session) !== toHex(open.session.id)) return;
      if (frame.type === FrameType.unknown) return this.#startOver(open);
      if (frame.type !== FrameType.data) return;
      const { plaintext, duplicate } = open.session.open(frame);
      if (duplicate) return;
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
      .then(() => this.#handshake())
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

  async #sleep(milliseconds: number): Promise<undefined> {
    await pause(milliseconds, this.#closing.signal);
  }
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
