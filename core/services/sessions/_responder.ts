/**
 * The answering side of one purpose: it looks up who knocks, binds keys, runs each call once and gives
 * the frame to send back; what carries frames is a binding's business. Which frames mean what is the
 * `Answerer`'s. Every refusal has a reason, is counted, and changes nothing.
 */
import { equalBytes } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { CodedError, messageOf } from "../../base/errors.ts";
import type { Id } from "../../base/id.ts";
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
} from "../../trust/session/call.ts";
import type { Purpose } from "../../trust/session/hello.ts";
import type { Live } from "../../trust/session/live_sessions.ts";
import { initiators, type PeerKind } from "../../wire/peer.ts";
import type { Log } from "../logging.ts";
import type { Metrics } from "../metrics.ts";
import type { Admission, Peer } from "../peers/mod.ts";
import { Refusal } from "./_channel.ts";

/** Answers one call of an authenticated peer, both of whose keys are bound. Throw `Refusal` to refuse. */
export type Handler = (call: Uint8Array, peer: Peer) => Promise<Uint8Array>;

type Waits = Extract<Step<Peer, unknown>, { readonly step: "applicant" }>;

export class Responder {
  readonly purpose: Purpose;
  readonly #kind: PeerKind;
  readonly #options: ResponderOptions;
  readonly #answerer: Answerer<Peer, Promise<Uint8Array>>;
  readonly #refused;
  readonly #unwatch: () => void;
  /** How often a peer has ceased to be what it was: what was looked up before is looked up again. */
  #changes = 0;
  #push: (device: Id, frame: Uint8Array) => void = () => {};

  constructor(options: ResponderOptions) {
    const { purpose, clock, monotonic = () => performance.now() } = options;
    this.purpose = purpose;
    this.#kind = initiators[purpose];
    this.#options = options;
    this.#answerer = new Answerer({ ...options, clock: monotonic, wallClock: clock });
    this.#refused = options.metrics.counter(
      "edgeward_session_refused_total",
      "Session frames that were refused, by reason",
    );
    this.#unwatch = options.peers.watch((kind, id, peer) => {
      this.#changes++;
      if (kind !== this.#kind) return;
      const frame = this.#answerer.update(id, peer);
      if (frame !== null) this.#push(id, frame);
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

  /** Sends what nobody has asked for: message 2, when a device is approved that waits for it. */
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
      this.#refused.add(1, { purpose: this.purpose, reason });
      const properties = { purpose: this.purpose, reason, device, why: messageOf(error) };
      this.#options.log[reason === "internal" ? "error" : "debug"]("frame refused", properties);
      throw error;
    }
  }

  close(): void {
    this.#unwatch();
    this.#answerer.close();
  }

  async #follow(step: Step<Peer, Promise<Uint8Array>>): Promise<Uint8Array | null> {
    switch (step.step) {
      case "reply":
        return step.frame;
      case "silence":
        return null;
      case "again":
        return await (step.answer ?? null);
      case "knock":
        return await this.#follow(await this.#admit(step.knock));
      case "applicant":
        return await this.#letWait(step);
      case "message": {
        const { live, seq } = step;
        const answer = this.#answer(live, seq, decodeMessage(step.plaintext));
        this.#answerer.remember(live, seq, answer);
        return await answer;
      }
    }
  }

  async #admit(knock: Knock): Promise<Step<Peer, Promise<Uint8Array>>> {
    while (true) {
      const changes = this.#changes;
      const peer = await this.#options.peers.find(this.#kind, knock.device);
      if (changes === this.#changes) return this.#answerer.admit(knock, peer);
    }
  }

  async #letWait({ applicant, inSession }: Waits): Promise<null> {
    const outcome = await this.#options.peers.apply(this.#kind, applicant);
    if (inSession) return null;
    if (outcome === "conflict") {
      throw new RefusedFrame("wrong_key", "The peer's static key is not the enrolled one");
    }
    throw new RefusedFrame("pending", "The peer waits for approval");
  }

  async #answer(
    live: Live<Peer, Promise<Uint8Array>>,
    seq: number,
    message: Message,
  ): Promise<Uint8Array> {
    let reply: Message;
    try {
      if (live.peer === null) {
        throw new Refusal("pending", "Cannot take the message: the peer waits for approval");
      } else if (message.kind === "enrol") {
        live.peer = await this.#enrol(live.peer, live.key, decodeEnrolRequest(message.body));
        reply = { kind: "answer", to: seq, body: encodeEnrolAnswer(this.#options.site) };
      } else if (message.kind !== "call") {
        throw new Refusal("unexpected_message", "Cannot take the message: it is not a call");
      } else if (live.peer.state !== "approved" || live.peer.signKey === null) {
        throw new Refusal("not_enrolled", "Cannot take the call: the peer has not enrolled");
      } else {
        const body = await this.#options.handler(message.body, live.peer);
        reply = { kind: "answer", to: seq, body };
      }
    } catch (error) {
      const expected = error instanceof CodedError;
      const code = expected ? error.code : "unavailable";
      this.#refused.add(1, { purpose: this.purpose, reason: expected ? code : "internal" });
      if (!expected) this.#options.log.error("a call failed", { device: live.device, error });
      reply = { kind: "refusal", to: seq, code };
    }
    return live.session.seal(encodeMessage(reply));
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

export interface ResponderOptions
  extends Pick<AnswererOptions, "suite" | "site" | "staticKey" | "purpose"> {
  readonly handler: Handler;
  readonly peers: Admission;
  /** The time of day. */
  readonly clock: Clock;
  /** Milliseconds that never go backwards; the runtime's unless given. */
  readonly monotonic?: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}
