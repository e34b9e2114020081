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
import type { Arrival, Fresh } from "../../core/trust/legacy/arrival.ts";
import {
  type Connect,
  decodeConnect,
  isProven,
  type LegacyPsk,
} from "../../core/trust/legacy/connect.ts";
import { LegacyError } from "../../core/trust/legacy/error.ts";
import type { GatewaySide } from "../../core/trust/legacy/gateway_side.ts";
import { decodeEnvelope, type Envelope } from "../../core/trust/legacy/message.ts";
import type { RpcRequest, RpcResponse } from "../../core/trust/legacy/rpc.ts";
import { sessionTopics } from "../../core/wire/peer.ts";
import { rateLimit } from "../../core/services/token_bucket.ts";
import type { Dispatch } from "./dispatch.ts";
import { answerOf, failureOf } from "./legacy_answer.ts";
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
  readonly store: Pick<LegacyStore, "has" | "psk" | "keys" | "putKeys" | "forget">;
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

/** How often proven connects of one key are looked at: recorded ones can be repeated by anybody. */
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
      const { device, publicKey } = connect;
      const { suite, store, registry, alarm } = this.#options;
      if (registry.isPinned(device, null)) {
        alarm(device);
        return "downgrade";
      }
      if (!store.has(device)) return "stranger";
      if (connect.proof === null) return "unproven";
      const line = this.#lineOf(device);
      const psk = await line.psk();
      if (psk === null || line.isOver) return "stranger";
      if (!isProven(suite, psk, connect)) return "unproven";
      const name = `${device} ${toHex(publicKey)}`;
      if (!this.#mayConnect(name, this.#monotonic())) return "rate_limited";
      return await line.take(() => this.#meet(line, connect, psk)) ?? "busy";
    });
  }

  /** Takes what is no session frame on the topics of `rpc`. */
  message(payload: Uint8Array): Promise<void> {
    return this.#dropping(async () => {
      const envelope = decodeEnvelope(payload);
      if (!this.#options.store.has(envelope.device)) return "stranger";
      const line = this.#lineOf(envelope.device);
      const side = line.loaded === undefined ? await line.take(() => line.side()) : line.loaded;
      if (side === undefined || line.isFull) return "busy";
      if (side === null) return "no_keys";
      // before it waits for its turn: whoever cannot seal it would take the place of who can
      const arrival = side.open(envelope);
      if (arrival.kind === "duplicate") return await this.#repeat(line, envelope, arrival);
      if (arrival.first) line.approve = null;
      const taken = await line.take(() => this.#take(line, side, { arrival, envelope }));
      if (taken === undefined) line.undo(side, arrival.save);
      return taken ?? "busy";
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
  async ended(id: Id, why: Ending | "upgraded" | "expired"): Promise<void> {
    const { store } = this.#options;
    if (!store.has(id)) return;
    // the name may have gone to whoever waits with this
    const connect = why === "replaced" ? this.#lines.get(id)?.connect ?? null : null;
    const psk = why !== "replaced" && why !== "expired";
    await this.renew(id, () => store.forget(id, { psk }), connect);
  }

  /**
   * Ends everything that goes on with a device, and changes what is stored of it: what was under way
   * does not come behind that, and what comes now does not see how it was before.
   */
  async renew(
    id: Id,
    change: () => Promise<void>,
    connect: Connect | null = null,
  ): Promise<void> {
    this.#lines.get(id)?.end();
    const changed = change();
    const line = new Line(id, this.#options, changed);
    line.connect = connect;
    this.#lines.set(id, line);
    try {
      await changed;
    } finally {
      const isKnown = this.#options.store.has(id);
      if (!isKnown && this.#lines.get(id) === line) this.#lines.delete(id);
    }
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
      const key = side?.key ?? null;
      if (side === null || key === null) return null;
      if (typeof await this.#admitted(id, key) === "string") return null;
      if (side.mustReserve) await line.save(side, side.reserve());
      return side.request({ kind: "request", ...request });
    });
    if (line === undefined || line.isOver || bytes === null) {
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

  async #meet(line: Line, connect: Connect, psk: LegacyPsk): Promise<Dropped | "done"> {
    const { suite, peers, registry, alarm } = this.#options;
    const { device, publicKey } = connect;
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

  /** Who may be heard now, and with this key; or why not. */
  async #admitted(id: Id, key: Uint8Array): Promise<Peer | Dropped> {
    const { peers, registry, alarm } = this.#options;
    const peer = await peers.find("device", id);
    if (peer?.state !== "approved") return "not_approved";
    if (registry.isPinned(id, peer)) {
      alarm(id);
      return "downgrade";
    }
    // the name may have gone to other hardware, and the keys not yet
    return equalBytes(peer.noiseKey!, key) ? peer : "not_approved";
  }

  async #take(
    line: Line,
    side: GatewaySide,
    { arrival, envelope }: { readonly arrival: Fresh; readonly envelope: Envelope },
  ): Promise<Dropped | "done"> {
    const peer = await this.#admitted(line.id, arrival.key).catch((error) => {
      line.undo(side, arrival.save);
      throw error;
    });
    if (typeof peer === "string") {
      line.undo(side, arrival.save);
      return peer;
    }
    await line.save(side, arrival.save);
    this.#options.registry.heard(line.id, "v1");
    const { rpc } = arrival;
    if (rpc.kind === "response") line.calls.get(rpc.id)?.(rpc);
    else void this.#dropping(() => this.#answer(line, { peer, rpc, arrival, envelope }));
    return "done";
  }

  /** Answers a message that has come before as it was answered then: one at a time, whoever asks. */
  async #repeat(
    line: Line,
    { counter }: Envelope,
    { key, answer }: Extract<Arrival, { kind: "duplicate" }>,
  ): Promise<Dropped | "done"> {
    if (answer === null || line.repeating.has(counter)) return "done";
    line.repeating.add(counter);
    try {
      const peer = await this.#admitted(line.id, key);
      if (typeof peer === "string") return peer;
      await this.#send(line.id, answer);
      return "done";
    } finally {
      line.repeating.delete(counter);
    }
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
