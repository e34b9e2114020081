/**
 * The answering side of a session for the tests of this folder: a responder over peers that live in
 * memory, which can forget everything but its keys, as a restart does; and a line to it that loses,
 * repeats, delays and alters what it carries.
 */
import { toHex } from "../../base/bytes.ts";
import { type Id, parseId } from "../../base/id.ts";
import { FrameType } from "../../trust/session/frame.ts";
import { pskFromCode } from "../../trust/session/handshake.ts";
import type { Purpose } from "../../trust/session/hello.ts";
import { initiators } from "../../wire/peer.ts";
import { nativeSuite } from "../crypto_native.ts";
import type { Log } from "../logging.ts";
import { MetricsRegistry } from "../metrics.ts";
import { type Admission, type Peer, PeerError } from "../peers/mod.ts";
import { type Caller, type Channel, type Remote } from "./_channel.ts";
import { SessionChannel, type Transport } from "./_channel.ts";
import { type Handler, Responder, type ResponderOptions } from "./_responder.ts";

export const suite = nativeSuite();
export const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
export const device = parseId("m-1");

/** A site that answers calls of meters, or of others; what it gets wrong shows in `refused`. */
export class FakeSite {
  readonly id = parseId("site-1");
  readonly peers: MemoryPeers = new MemoryPeers();
  readonly staticKey = suite.x25519.keyPair();
  readonly #handler: Handler;
  readonly #clock: () => number;
  readonly #metrics = new MetricsRegistry();
  readonly #options: Partial<ResponderOptions>;
  readonly purpose: Purpose;
  /** Carries what the site sends of its own accord. */
  push: (frame: Uint8Array) => void = () => {};
  responder: Responder;

  constructor(
    handler: Handler,
    clock: () => number = Date.now,
    options: Partial<ResponderOptions> = {},
  ) {
    this.#handler = handler;
    this.#clock = clock;
    this.#options = options;
    this.purpose = options.purpose ?? "meter";
    this.responder = this.#start();
  }

  /** Takes a frame; in an `rpc` session only the frame itself says whose it is. */
  async receive(frame: Uint8Array): Promise<Uint8Array | null> {
    const isShared = this.purpose === "rpc" && frame[1] === FrameType.data;
    const from = isShared ? this.responder.ownerOf(frame) : device;
    return from === null ? null : await this.responder.receive(frame, from).catch(() => null);
  }

  /** What every session of the process before is worth now: nothing. */
  restart(): void {
    this.responder.close();
    this.responder = this.#start();
  }

  /** How often frames were refused, by reason. */
  async refused(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    const text = await this.#metrics.text();
    for (const [, reason, n] of text.matchAll(/_refused_total{.*reason="(\w+)".*} (\d+)/g)) {
      counts[reason!] = Number(n);
    }
    return counts;
  }

  /** Enrols a peer, and gives the code. */
  enrol(id: Id = device): Uint8Array {
    const code = suite.randomBytes(16);
    this.peers.put({
      kind: initiators[this.purpose],
      id,
      state: "enrolled",
      noiseKey: null,
      signKey: null,
      psk: pskFromCode(suite, code, { site: this.id, device: id }),
      codeExpires: Number.MAX_SAFE_INTEGER,
    });
    return code;
  }

  /** A channel of an enrolled peer that goes over the line. */
  channel(transport: Transport, code: Uint8Array, caller: Partial<Caller> = {}): Channel {
    const { id: site, staticKey: { publicKey: noiseKey } } = this;
    return this.#open({ site, url: "memory:", noiseKey, code }, transport, caller);
  }

  /** A channel of somebody who knows neither the site nor a code. */
  stranger(transport: Transport): Channel {
    return this.#open({ site: "", url: "memory:" }, transport, {});
  }

  #open(remote: Remote, transport: Transport, caller: Partial<Caller>): Channel {
    return new SessionChannel(remote, {
      suite,
      device,
      staticKey: suite.x25519.keyPair(),
      signKey: suite.ed25519.signer().publicKey,
      purpose: this.purpose,
      monotonic: this.#clock,
      log,
      ...caller,
    }, transport);
  }

  #start(): Responder {
    const responder = new Responder({
      suite,
      site: this.id,
      staticKey: this.staticKey,
      purpose: this.purpose,
      handler: this.#handler,
      peers: this.peers,
      clock: this.#clock,
      monotonic: this.#clock,
      log,
      metrics: this.#metrics.scoped("fog-aggregator"),
      ...this.#options,
    });
    responder.onPush((_device, frame) => this.push(frame));
    return responder;
  }
}

type Watcher = (kind: Peer["kind"], id: Id, peer: Peer | null) => void;

/** Rows of peers in memory; `beforeFind` is awaited by everyone who looks one up. */
export class MemoryPeers implements Admission {
  readonly #rows = new Map<Id, Peer>();
  readonly #watchers = new Set<Watcher>();
  beforeFind: Promise<void> = Promise.resolve();

  put(peer: Peer): void {
    this.#rows.set(peer.id, peer);
  }

  async find(_kind: Peer["kind"], id: Id): Promise<Peer | null> {
    const row = this.#rows.get(id);
    await this.beforeFind;
    return row === undefined ? null : { ...row };
  }

  bind(peer: Peer, keys: { noiseKey: Uint8Array; signKey: Uint8Array }): Promise<Peer> {
    if (this.#rows.get(peer.id)?.state !== "enrolled") {
      return Promise.reject(new PeerError("peer_bound", "Its code was used"));
    }
    const bound: Peer = { ...peer, ...keys, state: "approved" };
    this.#rows.set(peer.id, bound);
    return Promise.resolve(bound);
  }

  apply(): Promise<"pending"> {
    return Promise.resolve("pending");
  }

  revoke(kind: Peer["kind"], text: string): Promise<void> {
    const id = parseId(text);
    const revoked: Peer = { ...this.#rows.get(id)!, state: "revoked" };
    this.#rows.set(id, revoked);
    for (const watcher of this.#watchers) watcher(kind, id, revoked);
    return Promise.resolve();
  }

  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

/** How likely each thing happens to a frame on its way, in [0, 1). */
export interface Faults {
  readonly loss: number;
  readonly repeat: number;
  readonly corrupt: number;
  /** Milliseconds that a frame may take: with it frames overtake each other. */
  readonly delay: number;
  /** In [0, 1), seeded. */
  readonly random: () => number;
}

/** A line to a site that does to frames what networks do. */
export class LossyLine implements Transport {
  readonly #site: FakeSite;
  readonly #faults: Faults;
  /** Data frames as they were sent, each time. */
  readonly sent: { readonly session: string; readonly seq: number }[] = [];
  /** What came back for good, unaltered or not. */
  received = 0;

  #hear: (bytes: Uint8Array) => void = () => {};

  constructor(site: FakeSite, faults: Faults) {
    this.#site = site;
    this.#faults = faults;
    site.push = (frame) => this.#carry(frame, (arrived) => this.#hear(arrived));
  }

  send(frame: Uint8Array, receive: (bytes: Uint8Array) => void): Promise<void> {
    if (frame[1] === FrameType.data) {
      const seq = Number(new DataView(frame.slice(10, 18).buffer).getBigUint64(0));
      this.sent.push({ session: toHex(frame.subarray(2, 10)), seq });
    }
    this.#hear = receive;
    this.#carry(frame, async (arrived) => {
      const answer = await this.#site.receive(arrived);
      if (answer === null) return;
      this.#carry(answer, (arrived) => {
        this.received++;
        receive(arrived);
      });
    });
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #carry(frame: Uint8Array, deliver: (frame: Uint8Array) => unknown): void {
    const { loss, repeat, corrupt, delay, random } = this.#faults;
    const copies = random() < repeat ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (random() < loss) continue;
      const arrived = frame.slice();
      if (random() < corrupt) arrived[Math.floor(random() * frame.length)]! ^= 1 + random() * 255;
      setTimeout(() => void deliver(arrived), random() * delay);
    }
  }
}

/** A line that carries everything at once, unless the test steps in. */
export function directLine(
  site: FakeSite,
  intercept: (
    frame: Uint8Array,
    deliver: () => Promise<Uint8Array | null>,
  ) => Promise<Uint8Array | null> = (_frame, deliver) => deliver(),
): Transport {
  let hear: (bytes: Uint8Array) => void = () => {};
  site.push = (frame) => hear(frame);
  return {
    async send(frame, receive) {
      hear = receive;
      const deliver = () => site.receive(frame);
      const answer = await intercept(frame, deliver);
      if (answer !== null) receive(answer);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
