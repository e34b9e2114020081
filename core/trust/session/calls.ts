/**
 * The calls of one side that have no answer yet: what is sealed when, what is repeated, and which
 * answer belongs to which call. So many are under way at once that neither a call nor the answer to it
 * can fall out of the windows of 64 for the sake of another call.
 *
 * In an `rpc` session both sides call, and answers travel between the calls. Answers wait for nobody,
 * and calls not for one that is slow: a call that so many frames have overtaken is repeated no more,
 * and waits for its answer until its deadline. An answer that was overtaken is sealed anew for whoever
 * repeats its call. It names the call by the JSON-RPC id, so a call gets no id that is in use, and none
 * whose answer may still come late in the same session.
 */
import { Attempt } from "./attempt.ts";
import { CallError, type Message, type ReadRpc, type RpcId, sealMessage } from "./call.ts";
import { type Session, windowSize } from "./session.ts";

/** @template F why a call has no answer */
export type CallOutcome<F extends string> =
  & { readonly call: number }
  & (
    | { readonly answer: Uint8Array }
    | { readonly refusal: string }
    | { readonly failure: F }
  );

type Ending<F extends string> = { answer: Uint8Array } | { refusal: string } | { failure: F };

interface Call {
  readonly number: number;
  readonly body: Uint8Array;
  readonly deadline: number;
  /** Null where answers name their call by its sequence number. */
  readonly id: RpcId | null;
  sent: Sent | null;
}

interface Sent {
  readonly session: Session;
  readonly seq: number;
  readonly attempt: Attempt;
  /** The highest number of the other side then. */
  readonly heard: number;
}

/** Calls in flight stay well inside the windows of 64 on both sides. */
const inFlight = 48;
const answersAhead = 60;
/** Sent so often without an answer, a call of an `rpc` session is taken for slow, not for lost. */
const enough = 3;
/** Ids of calls without an answer that are remembered in a session. */
const spentLimit = 256;

export class Calls<F extends string> {
  readonly #readRpc: ReadRpc | undefined;
  /** In the order in which they came. */
  readonly #calls = new Map<number, Call>();
  readonly #byId = new Map<RpcId, Call>();
  /** Of calls that were sent in this session and given up, oldest first. */
  readonly #spent = new Set<RpcId>();
  readonly #outcomes: CallOutcome<F>[] = [];
  readonly #number: () => number;

  /** @param readRpc there when calls are JSON-RPC. @param number gives each call another one */
  constructor(readRpc: ReadRpc | undefined, number: () => number) {
    this.#readRpc = readRpc;
    this.#number = number;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Whether one has been sent in the present session. */
  get areSent(): boolean {
    for (const { sent } of this.#calls.values()) if (sent !== null) return true;
    return false;
  }

  /** Takes a call; its outcome bears the number returned. @throws CallError "malformed", "id_in_use" */
  call(body: Uint8Array, deadline: number): number {
    const head = this.#readRpc?.(body);
    if (head?.kind === "response") {
      throw new CallError("malformed", "Cannot call: the message is a response");
    }
    const id = head?.id ?? null;
    if (id !== null && (this.#byId.has(id) || this.#spent.has(id))) {
      throw new CallError("id_in_use", "Cannot call: the id belongs to a call without an answer");
    }
    const call = { number: this.#number(), body, deadline, id, sent: null };
    this.#calls.set(call.number, call);
    if (id !== null) this.#byId.set(id, call);
    return call.number;
  }

  /** Seals what waits, while the windows have room for it and for what answers it. */
  seal(session: Session, now: number): void {
    for (const call of [...this.#calls.values()]) {
      if (call.sent !== null) continue;
      if (this.#isFull(session)) break;
      const kind = call.id === null ? "call" : "rpc";
      const { seq, frame } = sealMessage(session, { kind, body: call.body });
      call.sent = { session, seq, heard: session.topSeq, attempt: new Attempt(now, frame) };
    }
  }

  /** The calls that were sent are to be made again, in another session. */
  unseal(): void {
    for (const call of this.#calls.values()) call.sent = null;
    this.#spent.clear();
  }

  /** Hears what may be an answer by a sequence number. */
  answered(message: Extract<Message, { readonly to: number }>): void {
    for (const call of this.#calls.values()) {
      if (call.sent?.seq !== message.to) continue;
      if (message.kind === "answer") this.#settle(call, { answer: message.body });
      else this.#settle(call, { refusal: message.code });
      return;
    }
  }

  /** Hears a JSON-RPC response. Returns whether it was waited for. */
  responded(id: RpcId, response: { answer: Uint8Array } | { refusal: string }): boolean {
    this.#spent.delete(id);
    const call = this.#byId.get(id);
    if (call === undefined || call.sent === null) return false;
    this.#settle(call, response);
    return true;
  }

  /** Gives up what has not been answered in time. */
  expire(now: number, failure: F): void {
    for (const call of this.#calls.values()) {
      if (call.deadline <= now) this.#settle(call, { failure });
    }
  }

  /** All calls end so, or those of one attempt. */
  end(how: { refusal: string } | { failure: F }, attempt?: Attempt): void {
    for (const call of this.#calls.values()) {
      if (attempt === undefined || call.sent?.attempt === attempt) this.#settle(call, how);
    }
  }

  /** All calls end because their session has. @param sent of those that may have been executed */
  abandon({ sent, unsent }: { readonly sent: F; readonly unsent: F }): void {
    for (const call of this.#calls.values()) {
      this.#settle(call, { failure: call.sent === null ? unsent : sent });
    }
  }

  /** The outcomes since the last time. */
  takeOutcomes(): CallOutcome<F>[] {
    return this.#outcomes.splice(0);
  }

  /** What may be repeated: what is behind the window of the other side would only be refused. */
  *attempts(): Iterable<Attempt> {
    for (const { sent } of this.#calls.values()) {
      if (sent !== null && isInWindow(sent)) yield sent.attempt;
    }
  }

  /** The earliest deadline. */
  get deadline(): number {
    let earliest = Infinity;
    for (const { deadline } of this.#calls.values()) earliest = Math.min(earliest, deadline);
    return earliest;
  }

  /** Forgets everything, and tells nobody. */
  clear(): void {
    this.#calls.clear();
    this.#byId.clear();
    this.#spent.clear();
  }

  #isFull(session: Session): boolean {
    const isRpc = this.#readRpc !== undefined;
    const sent: Sent[] = [];
    for (const { sent: one } of this.#calls.values()) {
      if (one === null || !isInWindow(one) || isRpc && one.attempt.times >= enough) continue;
      sent.push(one);
    }
    const [oldest] = sent; // calls are sealed in the order in which they came
    if (oldest === undefined) return false;
    if (session.renewsNext || session.nextSeq - oldest.seq >= inFlight) return true;
    return !isRpc && session.topSeq - oldest.heard + sent.length >= answersAhead;
  }

  #settle(call: Call, how: Ending<F>): void {
    this.#calls.delete(call.number);
    if (call.id !== null) {
      this.#byId.delete(call.id);
      if (call.sent !== null && "failure" in how) this.#spend(call.id);
    }
    this.#outcomes.push({ call: call.number, ...how });
  }

  #spend(id: RpcId): void {
    this.#spent.add(id);
    const [oldest] = this.#spent;
    if (this.#spent.size > spentLimit) this.#spent.delete(oldest!);
  }
}

function isInWindow({ session, seq }: Sent): boolean {
  return seq >= session.nextSeq - windowSize;
}
