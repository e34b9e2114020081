/**
 * The answering side of one purpose: it looks up who knocks, binds keys, runs each call once and gives
 * the frame to send back; what carries frames is a binding's business. Which frames mean what is the
 * `Answerer`'s. Every refusal has a reason, is counted, and changes nothing. For the purpose `rpc` it
 * calls devices too.
 */
import { equalBytes } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { CodedError, messageOf } from "../../base/errors.ts";
import type { Id } from "../../base/id.ts";
import type { MaybePromise } from "../../trust/crypto.ts";
import {
  Answerer,
  type AnswererOptions,
  type Knock,
  RefusedFrame,
  type Step,
} from "../../trust/session/answerer.ts";
import {
  decodeEnrolRequest,
  decodeMessage,
  encodeEnrolAnswer,
  encodeMessage,
  type Message,
  type RpcId,
} from "../../trust/session/call.ts";
import type { Purpose } from "../../trust/session/hello.ts";
import { Reply } from "../../trust/session/asked.ts";
import type { Live } from "../../trust/session/live_sessions.ts";
import { readRpc } from "../../wire/json_rpc.ts";
import { initiators, type PeerKind } from "../../wire/peer.ts";
import type { Log } from "../logging.ts";
import type { Metrics } from "../metrics.ts";
import type { Admission, Peer } from "../peers/mod.ts";
import { Asking, notConnected } from "./_asking.ts";
import { Refusal } from "./_channel.ts";
import { answerRpc } from "./_rpc.ts";

/**
 * Answers one call of an authenticated peer, both of whose keys are bound. Throw `Refusal` to refuse.
 * For `rpc` the call is a JSON-RPC request, and the answer the response to it.
 */
export type Handler = (call: Uint8Array, peer: Peer) => Promise<Uint8Array>;

type Waits = Extract<Step<Peer, unknown>, { readonly step: "applicant" }>;
type Answer = Promise<Uint8Array | Reply>;
type Session = Live<Peer, Answer>;

/** Repetitions that may wait for one answer: anybody can make them, as many as he likes. */
const repeatLimit = 8;

export class Responder {
  readonly purpose: Purpose;
  readonly #kind: PeerKind;
  readonly #options: ResponderOptions;
  readonly #answerer: Answerer<Peer, Answer>;
  readonly #refused;
  readonly #unwatch: () => void;
  /** How often a peer has ceased to be what it was: what was looked up before is looked up again. */
  #changes = 0;
  /** How many repetitions wait for an answer. */
  readonly #repeats = new WeakMap<Answer, number>();
  #push: ((device: Id, frame: Uint8Array) => void) | undefined;
  /** There for `rpc`. */
  readonly #asking: Asking | undefined;

  constructor(options: ResponderOptions) {
    const { purpose, clock, monotonic = () => performance.now() } = options;
    this.purpose = purpose;
    this.#kind = initiators[purpose];
    this.#options = options;
    this.#answerer = new Answerer({
      ...options,
      ...{ clock: monotonic, wallClock: clock },
      onEnd: (live: Session) => this.#ended(live),
    });
    if (purpose === "rpc") {
      const send = (device: Id, frame: Uint8Array) => this.#push?.(device, frame);
      this.#asking = new Asking({ clock: monotonic, send });
    }
    this.#refused = options.metrics.counter(
      "edgeward_session_refused_total",
      "Session frames that were refused, by reason",
    );
    this.#unwatch = options.peers.watch((kind, id, peer) => {
      this.#changes++;
      if (kind !== this.#kind) return;
      const frame = this.#answerer.update(id, peer);
      if (frame !== null) this.#push?.(id, frame);
    });
  }

  /** How many sessions are open. */
  get size(): number {
    return this.#answerer.size;
  }

  /** Whether a frame is for this one, where responders of several purposes share a door. */
  concerns(bytes: Uint8Array): boolean {
    try {
      return this.#answerer.concerns(bytes);
    } catch (error) {
      if (error instanceof CodedError) return false;
      throw error;
    }
  }

  /** Whether a device has a session in which it can be called. */
  isOpen(device: Id): boolean {
    return this.#sessionOf(device) !== undefined;
  }

  /**
   * Calls a device in its open session, where a binding can reach it of its own accord.
   * @throws Refusal with the code that the device gave; ChannelError "not_connected", "no_answer",
   * "outcome_unknown", "too_many_calls", "id_in_use"; RpcError when the body is no request
   */
  async call(device: Id, body: Uint8Array, { within = 30_000 } = {}): Promise<Uint8Array> {
    const live = this.#sessionOf(device);
    if (live === undefined || this.#asking === undefined || this.#push === undefined) {
      throw notConnected(device);
    }
    return await this.#asking.call(live, body, within);
  }

  /** The device whose session a frame bears, for who cannot tell it from the route; null: nobody's. */
  ownerOf(bytes: Uint8Array): Id | null {
    try {
      const owner = this.#answerer.ownerOf(bytes);
      if (owner === null) this.refuse("unknown_session");
      return owner;
    } catch (error) {
      this.refuse(error instanceof CodedError ? error.code : "internal");
      return null;
    }
  }

  /** Counts what a binding does not even hand in. */
  refuse(reason: string): void {
    this.#refused.add(1, { purpose: this.purpose, reason });
  }

  /** Sends what nobody waits for: calls, and message 2 when a device is approved that has knocked. */
  onPush(push: (device: Id, frame: Uint8Array) => void): void {
    this.#push = push;
  }

  /**
   * Takes a frame, gives the frame to answer with, or null for silence.
   * @param device the identifier that the topic or route names, when it does
   * @throws CodedError with the reason why the frame was refused; it is counted and logged already
   */
  async receive(bytes: Uint8Array, device?: Id): Promise<Uint8Array | null> {
    try {
      return await this.#follow(this.#answerer.take(bytes, device));
    } catch (error) {
      const reason = error instanceof CodedError ? error.code : "internal";
      this.refuse(reason);
      const properties = { purpose: this.purpose, reason, device, why: messageOf(error) };
      this.#options.log[reason === "internal" ? "error" : "debug"]("frame refused", properties);
      throw error;
    }
  }

  close(): void {
    this.#unwatch();
    this.#answerer.close();
    this.#asking?.close();
  }

  /** Not async, as much as possible here: what every call passes through is kept for each that waits. */
  #follow(step: Step<Peer, Answer>): MaybePromise<Uint8Array | null> {
    switch (step.step) {
      case "reply":
        return step.frame;
      case "silence":
        return null;
      case "again":
        return this.#repeat(step.answer);
      case "knock":
        return this.#admit(step.knock).then((next) => this.#follow(next));
      case "applicant":
        return this.#letWait(step);
      case "message": {
        const { live, seq } = step;
        const message = decodeMessage(step.plaintext);
        if (message.kind !== "enrol") this.#heard(live);
        if (message.kind === "rpc" && this.#asking !== undefined) {
          return this.#takeRpc(this.#asking, { live, seq, body: message.body });
        }
        const answer = this.#answer(live, seq, message);
        this.#answerer.remember(live, seq, answer);
        return answer;
      }
    }
  }

  /** The answer once more, when it is there; silence for whom others wait in the same place. */
  async #repeat(answer: Answer | undefined): Promise<Uint8Array | null> {
    if (answer === undefined) return null;
    const waiting = this.#repeats.get(answer) ?? 0;
    if (waiting >= repeatLimit) return null;
    this.#repeats.set(answer, waiting + 1);
    try {
      return frameOf(await answer);
    } finally {
      this.#repeats.set(answer, this.#repeats.get(answer)! - 1);
    }
  }

  async #admit(knock: Knock): Promise<Step<Peer, Answer>> {
    while (true) {
      const changes = this.#changes;
      const peer = await this.#options.peers.find(this.#kind, knock.device);
      if (changes === this.#changes) return this.#answerer.admit(knock, peer);
    }
  }

  async #letWait({ applicant, inSession }: Waits): Promise<null> {
    let outcome;
    try {
      outcome = await this.#options.peers.apply(this.#kind, applicant);
    } catch (error) {
      this.#answerer.dismiss(applicant);
      throw error;
    }
    if (outcome === "closed") {
      this.#answerer.dismiss(applicant);
      throw new RefusedFrame("not_invited", "The peer may not apply now");
    }
    if (inSession) return null;
    if (outcome === "conflict") {
      throw new RefusedFrame("wrong_key", "The peer's static key is not the enrolled one");
    }
    throw new RefusedFrame("pending", "The peer waits for approval");
  }

  /** A JSON-RPC message: a call of the device, or its answer to a call of the site. */
  async #takeRpc(
    asking: Asking,
    { live, seq, body }: { live: Session; seq: number; body: Uint8Array },
  ): Promise<Uint8Array | null> {
    const head = readRpc(body);
    if (head.kind === "response") {
      asking.responded(live, head, body);
      return null;
    }
    const answer = this.#answerRpc(live, head.id, body);
    this.#answerer.remember(live, seq, answer);
    return frameOf(await answer);
  }

  async #answerRpc(live: Session, id: RpcId, call: Uint8Array): Promise<Reply> {
    const body = await answerRpc(id, () => this.#call(live, call), (code, error) => {
      this.refuse(error === undefined ? code : "internal");
      if (error === undefined) return;
      this.#options.log.error("a call failed", { device: live.device, error });
    });
    return new Reply(live.session, body);
  }

  async #answer(live: Session, seq: number, message: Message): Promise<Uint8Array> {
    let reply: Message;
    try {
      if (message.kind === "enrol") {
        if (live.peer === null) throw pending();
        live.peer = await this.#enrol(live.peer, live.key, decodeEnrolRequest(message.body));
        this.#heard(live);
        reply = { kind: "answer", to: seq, body: encodeEnrolAnswer(this.#options.site) };
      } else if (message.kind !== "call" || this.#asking !== undefined) {
        if (live.peer === null) throw pending();
        throw new Refusal("unexpected_message", "Cannot take the message: it is not a call");
      } else {
        reply = { kind: "answer", to: seq, body: await this.#call(live, message.body) };
      }
    } catch (error) {
      const expected = error instanceof CodedError;
      const code = expected ? error.code : "unavailable";
      this.refuse(expected ? code : "internal");
      if (!expected) this.#options.log.error("a call failed", { device: live.device, error });
      reply = { kind: "refusal", to: seq, code };
    }
    return live.session.seal(encodeMessage(reply));
  }

  #call({ peer }: Session, body: Uint8Array): Promise<Uint8Array> {
    if (peer === null) throw pending();
    if (!isEnrolled(peer)) {
      throw new Refusal("not_enrolled", "Cannot take the call: the peer has not enrolled");
    }
    return this.#options.handler(body, peer);
  }

  #sessionOf(device: Id): Session | undefined {
    const live = this.#answerer.confirmed(device);
    return live !== undefined && isEnrolled(live.peer!) ? live : undefined;
  }

  /** A repetition is no sign of life: anybody can make one. */
  #heard({ device, peer }: Session): void {
    if (this.#options.onActivity === undefined || peer === null || !isEnrolled(peer)) return;
    this.#tell(device, "frame");
  }

  #ended(live: Session): void {
    this.#asking?.end(live);
    if (!live.confirmed || live.peer === null || this.isOpen(live.device)) return;
    this.#tell(live.device, "ended");
  }

  #tell(device: Id, what: "frame" | "ended"): void {
    try {
      this.#options.onActivity?.(device, what);
    } catch (error) {
      this.#options.log.error("a role did not hear of a session", { device, error });
    }
  }

  /** Binds what is not bound yet. A repetition of the same is answered alike. */
  async #enrol(peer: Peer, noiseKey: Uint8Array, signKey: Uint8Array): Promise<Peer> {
    const { suite, peers } = this.#options;
    suite.ed25519.verifier(signKey); // refuses points of small order
    // another session of the same peer may have bound it meanwhile
    const current = peer.signKey === null ? await peers.find(peer.kind, peer.id) ?? peer : peer;
    if (current.signKey === null) return await peers.bind(current, { noiseKey, signKey });
    const same = equalBytes(current.signKey, signKey) && equalBytes(current.noiseKey!, noiseKey);
    if (!same) throw new Refusal("already_enrolled", "Cannot enrol: bound to other keys");
    return current;
  }
}

function frameOf(answer: Uint8Array | Reply): Uint8Array {
  return answer instanceof Reply ? answer.frame() : answer;
}

function isEnrolled({ state, signKey }: Peer): boolean {
  return state === "approved" && signKey !== null;
}

function pending(): Refusal {
  return new Refusal("pending", "Cannot take the message: the peer waits for approval");
}

export interface ResponderOptions
  extends Pick<AnswererOptions, "suite" | "site" | "staticKey" | "purpose" | "mayApply"> {
  readonly handler: Handler;
  readonly peers: Admission;
  /** The time of day. */
  readonly clock: Clock;
  /** Milliseconds that never go backwards; the runtime's unless given. */
  readonly monotonic?: Clock;
  /** Hears of every new authenticated frame of an approved device, and that it has no session any more. */
  readonly onActivity?: (device: Id, what: "frame" | "ended") => void;
  readonly log: Log;
  readonly metrics: Metrics;
}
