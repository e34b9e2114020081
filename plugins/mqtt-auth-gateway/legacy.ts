/**
 * Profile v1 at the gateway (protocols.md §4): the prototype's protocol, for devices that cannot be
 * changed. Each has a generated psk that an admin has entered, and is approved by a person as any other;
 * without a psk nothing of it is looked at. Whoever has ever spoken v2 is refused here for ever.
 *
 * Whatever is refused is answered with silence and counted: anyone may publish.
 */
import { concat, equalBytes, toHex, utf8 } from "../../core/base/bytes.ts";
import type { Clock } from "../../core/base/clock.ts";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import type { Id } from "../../core/base/id.ts";
import type { Log } from "../../core/services/logging.ts";
import { type Peer, PeerError, type RolePeers } from "../../core/services/peers/mod.ts";
import { CryptoError, type Suite } from "../../core/trust/crypto.ts";
import type { Fresh } from "../../core/trust/legacy/arrival.ts";
import {
  type Connect,
  decodeConnect,
  isProven,
  type LegacyPsk,
} from "../../core/trust/legacy/connect.ts";
import { LegacyError } from "../../core/trust/legacy/error.ts";
import { decodeEnvelope, type Envelope } from "../../core/trust/legacy/message.ts";
import type { RpcRequest, RpcResponse } from "../../core/trust/legacy/rpc.ts";
import { decodeRpc, encodeRefusal } from "../../core/wire/json_rpc.ts";
import { sessionTopics } from "../../core/wire/peer.ts";
import { rateLimit } from "../../core/services/token_bucket.ts";
import type { Dispatch } from "./dispatch.ts";
import { Line, runningLimit } from "./legacy_line.ts";
import type { LegacyStore } from "./legacy_store.ts";
import { RpcRefusal } from "./refusal.ts";
import type { Ending, Registry } from "./registry.ts";

/** Why something of a device led to nothing, beside the codes of `LegacyError`. */
export type Dropped =
  | "stranger" // it has no psk here
  | "rate_limited"
  | "busy"
  | "banned"
  | "closed" // strangers may not apply now
  | "not_approved"
  | "downgrade"
  | "retained";

export interface LegacyOptions {
  readonly suite: Suite;
  readonly store: LegacyStore;
  readonly peers: Pick<RolePeers, "find" | "apply">;
  readonly registry: Pick<Registry, "heard" | "isPinned">;
  readonly dispatch: Dispatch;
  readonly publish: (topic: string, payload: Uint8Array) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  /** Counts what is dropped. */
  readonly drop: (reason: Dropped | LegacyError["code"]) => void;
  /** Hears that a device which has spoken v2 seems to speak v1. */
  readonly alarm: (id: Id) => void;
  /** Methods with an effect outside that v1 may call: each message is one call, and happens once. */
  readonly once: readonly string[];
  /** Seconds by which a device's clock may differ; any unless given. */
  readonly maxSkew?: number;
  /** Milliseconds that never go backwards; the runtime's unless given. */
  readonly monotonic?: Clock;
}

/** How often proven connects of one device are looked at: recorded ones can be repeated by anybody. */
const connectRate = { perSecond: 0.5, burst: 5 };
/** For so long the same connect gets the same approve: each new one would push keys out. */
const approveAge = 60_000;
/** Milliseconds between repetitions of a call to a device. */
const repeatAfter = 2_000;

export class LegacyGateway {
  readonly #options: LegacyOptions;
  readonly #lines = new Map<Id, Line>();
  readonly #monotonic: Clock;
  readonly #mayConnect = rateLimit(connectRate, { most: 10_000 });
  readonly #stop = new AbortController();

  constructor(options: LegacyOptions) {
    this.#options = options;
    this.#monotonic = options.monotonic ?? (() => performance.now());
  }

  /** Takes what came on `jrpc/connect/request`. */
  connect(payload: Uint8Array): Promise<void> {
    return this.#dropping(async () => {
      const connect = decodeConnect(payload);
      const { device } = connect;
      const { store, registry, alarm } = this.#options;
      if (registry.isPinned(device, null)) {
        alarm(device);
        return "downgrade";
      }
      if (!store.has(device)) return "stranger";
      if (connect.proof === null) return "unproven";
      const line = this.#lineOf(device);
      return await line.take(() => this.#meet(line, connect)) ?? "busy";
    });
  }

  /** Takes what is no session frame on the topics of `rpc`. */
  message(payload: Uint8Array): Promise<void> {
    return this.#dropping(async () => {
      const envelope = decodeEnvelope(payload);
      if (!this.#options.store.has(envelope.device)) return "stranger";
      const line = this.#lineOf(envelope.device);
      return await line.take(() => this.#take(line, envelope)) ?? "busy";
    });
  }

  /** A person has approved a key: the device that waits with it hears so. */
  approved(id: Id, peer: Peer): Promise<void> {
    return this.#dropping(async () => {
      const line = this.#lines.get(id);
      const connect = line?.connect;
      if (line === undefined || connect == null) return "done";
      if (!equalBytes(connect.publicKey, peer.noiseKey!)) return "done";
      return await line.take(async () => {
        const psk = await line.psk();
        return psk === null ? "stranger" : await this.#approve(line, connect, psk);
      }) ?? "busy";
    });
  }

  /** The device's key is worth nothing any more, here at least; its psk goes with the device. */
  async ended(id: Id, why: Ending | "upgraded" | "expired" | "psk"): Promise<void> {
    const line = this.#lines.get(id);
    const connect = why === "replaced" ? line?.connect ?? null : null;
    line?.end();
    this.#lines.delete(id);
    // the name may have gone to whoever waits with this
    if (connect !== null) this.#lineOf(id).connect = connect;
    if (why === "psk") return;
    if (!this.#options.store.has(id)) return;
    await this.#options.store.forget(id, { psk: why !== "replaced" && why !== "expired" });
  }

  /**
   * Calls a device, and repeats the call until its answer comes or its time is over.
   * @throws RpcRefusal "not_connected", "no_answer", "outcome_unknown"
   */
  async call(
    id: Id,
    request: Omit<RpcRequest, "kind">,
    { within }: { within: number },
  ): Promise<RpcResponse> {
    const line = this.#options.store.has(id) ? this.#lineOf(id) : undefined;
    if (line !== undefined && line.calls.size >= runningLimit) throw tooMany();
    const bytes = await line?.take(async () => {
      const side = await line.side();
      if (side === null || !side.isConfirmed) return null;
      if (side.mustReserve) await line.save(side, side.reserve());
      return side.request({ kind: "request", ...request });
    });
    if (line === undefined || bytes === null) {
      throw new RpcRefusal("not_connected", "Cannot call the device: it has no keys of v1 in use");
    }
    if (bytes === undefined) throw tooMany();
    const answered = Promise.withResolvers<RpcResponse | null>();
    const timers: ReturnType<typeof setTimeout>[] = [];
    const send = () => void this.#send(id, bytes);
    send();
    timers.push(setInterval(send, repeatAfter));
    let isLate = false;
    timers.push(setTimeout(() => {
      isLate = true;
      answered.resolve(null);
    }, within));
    line.calls.set(request.id, answered.resolve);
    try {
      const response = await answered.promise;
      if (response !== null) return response;
    } finally {
      for (const timer of timers) clearTimeout(timer);
      line.calls.delete(request.id);
    }
    if (isLate) throw new RpcRefusal("no_answer", "No answer from the device");
    throw new RpcRefusal("outcome_unknown", "The device lost its keys before it answered");
  }

  /** Ends everything that goes on; nothing on disk is touched. */
  close(): void {
    this.#stop.abort();
    for (const line of this.#lines.values()) line.end();
    this.#lines.clear();
  }

  async #meet(line: Line, connect: Connect): Promise<Dropped | "done"> {
    const { suite, peers, registry, alarm } = this.#options;
    const { device, publicKey } = connect;
    const psk = await line.psk();
    if (psk === null) return "stranger";
    if (!isProven(suite, psk, connect)) {
      throw new LegacyError("unproven", "Cannot take the connect: it lacks the proof");
    }
    if (!this.#mayConnect(device, this.#monotonic())) return "rate_limited";
    const peer = await peers.find("device", device);
    if (registry.isPinned(device, peer)) {
      alarm(device);
      return "downgrade";
    }
    if (peer?.state === "revoked") return "not_approved";
    if (peer?.state === "approved" && equalBytes(peer.noiseKey!, publicKey)) {
      return await this.#approve(line, connect, psk);
    }
    requireUsable(suite, publicKey);
    const applicant = { device, key: publicKey, proof: "code", words: null } as const;
    if (await peers.apply("device", applicant) === "closed") return "closed";
    line.connect = connect;
    return "done";
  }

  async #approve(line: Line, connect: Connect, psk: LegacyPsk): Promise<"done"> {
    const { clock } = this.#options;
    const last = line.approve;
    const isRepeated = last !== null && equalBytes(last.key, connect.publicKey) &&
      Math.abs(clock() - last.at) < approveAge;
    if (isRepeated) {
      await this.#send(line.id, last.bytes);
      return "done";
    }
    const side = await line.sideOrNew();
    const { approve, save } = side.approve(connect, psk);
    await line.save(side, save);
    line.approve = { key: connect.publicKey, bytes: approve, at: clock() };
    line.connect = null;
    await this.#send(line.id, approve);
    return "done";
  }

  async #take(line: Line, envelope: Envelope): Promise<Dropped | "done"> {
    const { peers, registry, alarm } = this.#options;
    const side = await line.side();
    if (side === null) throw new LegacyError("no_keys", "Cannot open the message: no keys");
    const arrival = side.open(envelope);
    const peer = await peers.find("device", line.id);
    if (peer?.state !== "approved") return "not_approved";
    if (registry.isPinned(line.id, peer)) {
      alarm(line.id);
      return "downgrade";
    }
    if (arrival.kind === "duplicate") {
      if (arrival.answer !== null) await this.#send(line.id, arrival.answer);
      return "done";
    }
    await line.save(side, arrival.save);
    if (arrival.first) line.approve = null;
    registry.heard(line.id, "v1");
    const { rpc } = arrival;
    if (rpc.kind === "response") line.calls.get(rpc.id)?.(rpc);
    else void this.#dropping(() => this.#answer(line, { peer, rpc, arrival, envelope }));
    return "done";
  }

  async #answer(
    line: Line,
    { peer, rpc: { id, method, params }, arrival, envelope }: {
      readonly peer: Peer;
      readonly rpc: RpcRequest;
      readonly arrival: Fresh;
      readonly envelope: Envelope;
    },
  ): Promise<"done"> {
    let response: RpcResponse;
    const isFull = line.running >= runningLimit;
    line.running++;
    try {
      if (isFull) throw tooMany();
      const once = this.#options.once.includes(method) ? this.#onceOf(envelope) : null;
      const result = await this.#options.dispatch({ peer, profile: "v1", method, params, once });
      response = { kind: "response", id, result };
    } catch (error) {
      if (!(error instanceof CodedError)) {
        this.#options.log.error("a call failed", { device: line.id, error });
      }
      response = failureOf(id, error);
    } finally {
      line.running--;
    }
    await this.#send(line.id, answerOf(arrival, response));
    return "done";
  }

  /** A message is opened once, so what it stands for is one call: nonce and tag name it. */
  #onceOf({ device, nonce, ciphertext }: Envelope): string {
    const text = concat(utf8(`edgeward/v1/once\n${device}\n`), nonce, ciphertext.subarray(-16));
    return toHex(this.#options.suite.sha256(text).subarray(0, 16));
  }

  #lineOf(id: Id): Line {
    let line = this.#lines.get(id);
    if (line === undefined) this.#lines.set(id, line = new Line(id, this.#options));
    return line;
  }

  /** Sends to a device; what does not get through is asked for again. */
  async #send(id: Id, bytes: Uint8Array): Promise<void> {
    if (this.#stop.signal.aborted) return;
    try {
      await this.#options.publish(sessionTopics("rpc", id).down, bytes);
    } catch (error) {
      this.#options.log.debug("a message of v1 was not sent", { device: id, error });
    }
  }

  async #dropping(take: () => Promise<Dropped | LegacyError["code"] | "done">): Promise<void> {
    const { drop, log } = this.#options;
    try {
      const outcome = await take();
      if (outcome !== "done") drop(outcome);
    } catch (error) {
      if (error instanceof LegacyError) return drop(error.code);
      if (error instanceof PeerError && error.code === "peer_banned") return drop("banned");
      if (this.#stop.signal.aborted) return;
      log.error("a message of v1 failed", { why: messageOf(error), error });
    }
  }
}

function tooMany(): RpcRefusal {
  return new RpcRefusal("rate_limited", "Cannot take the call: too many are under way");
}

/** @throws LegacyError "low_order" when no keys could ever be agreed on with it */
function requireUsable(suite: Suite, publicKey: Uint8Array): void {
  try {
    suite.x25519.keyPair().sharedSecret(publicKey).fill(0);
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new LegacyError("low_order", "Cannot take the connect: its key is of no use", { cause });
  }
}

/** An error as v2 has it, with a code of ours in its data. */
function failureOf(id: string | number, error: unknown): RpcResponse {
  const isCoded = error instanceof CodedError;
  const code = isCoded ? error.code : "unavailable";
  const refused = decodeRpc(encodeRefusal(id, code, isCoded ? error.message : "It has failed"));
  if (refused.kind !== "error") throw new Error("Cannot make an error of a refusal");
  return { kind: "response", id, error: refused.error };
}

/** The message with the response; one that is too long for v1 says so instead. */
function answerOf(arrival: Fresh, response: RpcResponse): Uint8Array {
  try {
    return arrival.answer(response);
  } catch (error) {
    if (!(error instanceof LegacyError) || error.code !== "too_large") throw error;
    return arrival.answer(failureOf(response.id, error));
  }
}
