/**
 * What the other side of an `rpc` session asks of this one: each request comes out once, its answer is
 * kept, and whoever repeats the request gets the answer again. Everything here lives and dies with its
 * session.
 */
import { CallError, sealMessage } from "./call.ts";
import { type Session, windowSize } from "./session.ts";

/**
 * An answer in its session. It is sealed once, and its repetitions are the same bytes; but when those
 * have fallen behind the window of the other side, where nobody can hear them, it is sealed anew.
 */
export class Reply {
  readonly #session: Session;
  readonly #body: Uint8Array;
  #sealed: { readonly seq: number; readonly frame: Uint8Array };

  /** @throws SessionError "ended"; CallError "malformed" when the body is no JSON-RPC */
  constructor(session: Session, body: Uint8Array) {
    this.#session = session;
    this.#body = body;
    this.#sealed = this.#seal();
  }

  /** The frame to send now. @throws SessionError "ended" */
  frame(): Uint8Array {
    if (this.#sealed.seq < this.#session.nextSeq - windowSize) this.#sealed = this.#seal();
    return this.#sealed.frame;
  }

  #seal() {
    return sealMessage(this.#session, { kind: "rpc", body: this.#body });
  }
}

/** A JSON-RPC request to be answered. The object itself says which one an answer is for. */
export interface Request {
  readonly body: Uint8Array;
}

/** Requests that may wait for their answers at once. */
const waitingLimit = 64;

export class Asked {
  /** By the sequence number of their frames. */
  readonly #waiting = new Map<Request, number>();
  /** By the number of the request that they answer, the last 64. */
  readonly #replies = new Map<number, Reply>();
  readonly #requests: Request[] = [];
  readonly #frames: Uint8Array[] = [];

  /** @throws CallError "too_many_calls" */
  take(seq: number, body: Uint8Array): void {
    if (this.#waiting.size >= waitingLimit) {
      throw new CallError("too_many_calls", "Cannot take the request: too many wait already");
    }
    const request = { body };
    this.#waiting.set(request, seq);
    this.#requests.push(request);
  }

  /** A frame has come again: if it has been answered, so is its repetition. */
  repeated(seq: number): void {
    const reply = this.#replies.get(seq);
    if (reply !== undefined) this.#frames.push(reply.frame());
  }

  /** Seals the answer to a request of this session; of another one it is of no use any more. */
  answer(session: Session, request: Request, body: Uint8Array): void {
    const seq = this.#waiting.get(request);
    if (seq === undefined) return;
    const reply = new Reply(session, body);
    this.#waiting.delete(request);
    this.#replies.set(seq, reply);
    for (const old of this.#replies.keys()) {
      if (old <= session.topSeq - windowSize) this.#replies.delete(old);
    }
    this.#frames.push(reply.frame());
  }

  /** The requests since the last time. */
  takeRequests(): Request[] {
    return this.#requests.splice(0);
  }

  /** The frames to send since the last time. */
  takeFrames(): Uint8Array[] {
    return this.#frames.splice(0);
  }
}
