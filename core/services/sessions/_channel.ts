/**
 * The calling side: a channel to one site for one purpose. When to shake hands, what to repeat and
 * when to start over is the `Caller`'s; here its frames are carried and its clock is turned. A call
 * may be executed and its answer lost: what a call does must bear repetition, by a key of its own.
 *
 * For the purpose `rpc` calls and answers are JSON-RPC, and the site calls too, once the first call of
 * this side has opened the session.
 */
import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import type { Id } from "../../base/id.ts";
import type { KeyPair, Suite } from "../../trust/crypto.ts";
import type { Request } from "../../trust/session/asked.ts";
import { CallError } from "../../trust/session/call.ts";
import { Caller as CallerMachine, type Failure, type Outcome } from "../../trust/session/caller.ts";
import { frameVersion } from "../../trust/session/frame.ts";
import { pskFromCode, zeroPsk } from "../../trust/session/handshake.ts";
import type { Purpose } from "../../trust/session/hello.ts";
import { readRpc } from "../../wire/json_rpc.ts";
import type { Log } from "../logging.ts";
import { answerRpc } from "./_rpc.ts";

/** Whom to call. */
export interface Remote {
  /** "" when nothing but the address is known: a first contact tells. */
  readonly site: Id | "";
  /** http(s):// or mqtt(s)://; the scheme chooses the binding. */
  readonly url: string;
  /** Without it the first contact is made, and words are compared unless there is a code. */
  readonly noiseKey?: Uint8Array;
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
  /** Milliseconds that never go backwards; the runtime's unless given. */
  readonly monotonic?: Clock;
  readonly log: Log;
  /** Whether the site has let this peer in before, in an earlier life: it knocks again soon then. */
  readonly isAdmitted?: boolean;
  /** Hears the words to compare in a first contact, and null when the site has admitted this peer. */
  readonly onWords?: (words: string | null) => void;
  /**
   * Answers a call of the site, for the purpose `rpc`: gets the bytes of a JSON-RPC request, gives those
   * of the response. Each request comes once in a session, however often it is repeated. A `CodedError`
   * is told to the site; without this every method is unknown.
   */
  readonly onCall?: (body: Uint8Array) => Promise<Uint8Array>;
}

/** Closing it fails the calls under way; twice does no harm. */
export interface Channel extends AsyncDisposable {
  /**
   * Calls, and resolves with the answer: for `rpc` a JSON-RPC request and its response, whose id must not
   * be that of another call without an answer.
   * @param options.within milliseconds, 30,000 unless said
   * @throws Refusal with the code that the other side gave; ChannelError when no answer came; RpcError
   * when the body is no JSON-RPC request
   */
  call(body: Uint8Array, options?: { within?: number }): Promise<Uint8Array>;
  /** The site that has admitted this peer, to be remembered; null as long as none has. */
  readonly pinned: { readonly site: string; readonly remoteStatic: Uint8Array } | null;
}

/** An authenticated "no" with a code of the role's own. */
export class Refusal extends CodedError {
  override readonly name = "Refusal";
}

export type ChannelErrorCode =
  | Failure
  | "channel_closed"
  | "not_connected" // the device has no session
  | "outcome_unknown" // its session has ended: it may have acted or not
  | "too_many_calls"
  | "id_in_use"; // of a call that may still be answered

export class ChannelError extends CodedError<ChannelErrorCode> {
  override readonly name = "ChannelError";
}

/** Carries frames; what comes back, in any order, goes to `receive`. */
export interface Transport extends AsyncDisposable {
  /** @throws ChannelError "unreachable", "refused" or "pending" */
  send(frame: Uint8Array, receive: (bytes: Uint8Array) => void): Promise<void>;
}

const failures: readonly Failure[] = ["no_answer", "unreachable", "refused", "pending"];

/** What a timer of the runtime can wait, in milliseconds. */
export const longestTimer = 2 ** 31 - 1;

export class SessionChannel implements Channel {
  readonly #remote: Remote;
  readonly #caller: Caller;
  readonly #transport: Transport;
  readonly #machine: CallerMachine;
  readonly #monotonic: Clock;
  readonly #waiting = new Map<number, PromiseWithResolvers<Uint8Array>>();
  /** What the transport last said; it knows more than the word "unreachable". */
  #trouble: ChannelError | undefined;
  #words: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed: Promise<void> | undefined;

  constructor(remote: Remote, caller: Caller, transport: Transport) {
    const { suite, device, purpose, monotonic = () => performance.now() } = caller;
    const { site, noiseKey, code } = remote;
    this.#remote = remote;
    this.#caller = caller;
    this.#transport = transport;
    this.#monotonic = monotonic;
    this.#machine = new CallerMachine({
      ...caller,
      hello: { purpose, site, device, versions: [frameVersion] },
      psk: code === undefined ? zeroPsk : pskFromCode(suite, code, { site, device }),
      clock: monotonic,
      random: () => Math.random(),
      ...(purpose === "rpc" && { readRpc }),
      ...(noiseKey !== undefined && { remoteStatic: noiseKey }),
    });
  }

  get pinned(): Channel["pinned"] {
    return this.#machine.pinned;
  }

  async call(body: Uint8Array, { within = 30_000 } = {}): Promise<Uint8Array> {
    if (this.#closed !== undefined) throw closedError();
    const waiting = Promise.withResolvers<Uint8Array>();
    try {
      this.#waiting.set(this.#machine.call(body, this.#monotonic() + within), waiting);
    } catch (error) {
      throw asChannelError(error);
    }
    this.#advance();
    return await waiting.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#machine.close();
    for (const { reject } of this.#waiting.values()) reject(closedError());
    this.#waiting.clear();
    await this.#transport[Symbol.asyncDispose]();
  }

  #advance(): void {
    if (this.#closed !== undefined) return;
    const { send, outcomes, requests, due } = this.#machine.advance();
    for (const outcome of outcomes) this.#settle(outcome);
    for (const request of requests) void this.#answer(request);
    for (const frames of send) void this.#send(frames);
    clearTimeout(this.#timer);
    if (due === Infinity) return;
    const wait = Math.min(Math.max(0, due - this.#monotonic()), longestTimer);
    this.#timer = setTimeout(() => this.#advance(), wait);
  }

  async #answer(request: Request): Promise<void> {
    const { log, onCall = unknownMethod } = this.#caller;
    try {
      const { id } = readRpc(request.body);
      const response = await answerRpc(id, () => onCall(request.body), (_code, error) => {
        if (error !== undefined) log.error("a call of the site failed", { error });
      });
      if (this.#closed !== undefined) return;
      this.#machine.answer(request, response);
      this.#advance();
    } catch (error) {
      log.error("an answer to the site is lost", { error });
    }
  }

  async #send([frame, ...rest]: readonly Uint8Array[]): Promise<void> {
    if (frame === undefined || this.#closed !== undefined) return;
    try {
      await this.#transport.send(frame, this.#receive);
      await this.#send(rest);
    } catch (error) {
      if (this.#closed !== undefined) return;
      this.#trouble = error instanceof ChannelError
        ? error
        : new ChannelError("unreachable", "The transport failed", { cause: error });
      const failure = failures.find((failure) => failure === this.#trouble!.code);
      this.#machine.failed(frame, failure ?? "unreachable");
      this.#advance();
    }
  }

  readonly #receive = (bytes: Uint8Array): void => {
    if (this.#closed !== undefined) return;
    try {
      this.#machine.receive(bytes);
    } catch (error) {
      this.#caller.log.debug("frame ignored", { error });
    }
    this.#advance();
    const { words } = this.#machine;
    if (words !== this.#words) this.#caller.onWords?.(this.#words = words);
  };

  #settle(outcome: Outcome): void {
    const waiting = this.#waiting.get(outcome.call);
    this.#waiting.delete(outcome.call);
    if ("answer" in outcome) waiting?.resolve(outcome.answer);
    else if ("refusal" in outcome) waiting?.reject(refusal(outcome.refusal));
    else waiting?.reject(this.#failure(outcome.failure));
  }

  #failure(failure: Failure): ChannelError {
    if (this.#trouble?.code === failure) return this.#trouble;
    const { site } = this.#remote;
    const name = site === "" ? "the site" : `the site "${site}"`;
    if (failure === "pending") {
      return new ChannelError("pending", `Not approved yet by ${name}`, {
        hint: "at the site: `edgeward peers list`, then `edgeward peers approve`",
      });
    }
    return new ChannelError(failure, `No answer from ${name}`, {
      hint:
        "its log and the counter edgeward_session_refused_total say whether it refused, and why",
    });
  }
}

export function refusal(code: string): Refusal {
  return new Refusal(code, `The other side refuses: ${code}`);
}

export function closedError(): ChannelError {
  return new ChannelError("channel_closed", "Cannot call: the channel is closed");
}

/** What keeps a call from being made, in the words of a channel; everything else as it is. */
export function asChannelError(error: unknown): unknown {
  if (!(error instanceof CallError) || error.code === "malformed") return error;
  return new ChannelError(error.code, error.message, { cause: error });
}

function unknownMethod(): Promise<never> {
  return Promise.reject(new Refusal("method_not_found", "Cannot answer: no method has this name"));
}
