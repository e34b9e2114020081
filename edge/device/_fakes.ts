/**
 * Gateways whose behaviour a test decides, with real sessions over real listeners, and a group of them
 * that was really dealt; and devices in folders of their own.
 */
import { ristretto255 } from "@noble/curves/ed25519.js";
import { join } from "node:path";
import { equalBytes, toHex } from "../../core/base/bytes.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { openHttp } from "../../core/services/http/mod.ts";
import { MetricsRegistry } from "../../core/services/metrics.ts";
import type { Admission, Peer } from "../../core/services/peers/mod.ts";
import { sessionsOf } from "../../core/services/sessions/mod.ts";
import { pskFromCode } from "../../core/trust/session/handshake.ts";
import { deal, publicShare } from "../../core/trust/share/dealing.ts";
import {
  encodeRoster,
  encodeSignedRoster,
  type Roster,
  signRoster,
} from "../../core/trust/share/roster.ts";
import { evaluate, volumeInput } from "../../core/trust/share/voprf.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import { bootEventType, decodeBootEvent } from "../../core/wire/boot_event.ts";
import type { Enrolment } from "../../core/wire/enrolment.ts";
import {
  decodeUnlockCall,
  type Deposit,
  encodeRosters,
  encodeUnlockReply,
  type UnlockCall,
  type UnlockReply,
  type UnlockRequest,
} from "../../core/wire/unlock.ts";
import { silent } from "./gateway_link.ts";
import { DeviceHome } from "./home.ts";

export const suite = nativeSuite();
const { Point } = ristretto255;
const { Fn } = Point;

/** Answers a request for a volume, by itself or by asking the honest gateway that it could be. */
export type Behaviour = (
  request: UnlockRequest,
  honest: (request: UnlockRequest) => UnlockReply,
) => UnlockReply | Promise<UnlockReply>;

/** A gateway's share, at one epoch. */
interface Held {
  readonly roster: Roster;
  readonly share: Uint8Array;
  readonly chain: readonly Uint8Array[];
}

export class FakeGateway implements AsyncDisposable {
  readonly id: Id;
  readonly noise = suite.x25519.keyPair();
  readonly signer = suite.ed25519.signer();
  readonly calls: UnlockCall[] = [];
  /** What it was told, as `device EVENT counter`. */
  readonly reports: string[] = [];
  held: Held | undefined;
  behaviour: Behaviour = (request, honest) => honest(request);
  /** May refuse a piece. */
  onDeposit: (deposit: Deposit) => UnlockReply | null = () => null;
  url = "";
  readonly #peers = new Map<Id, Peer>();
  readonly #pieces = new Map<string, Deposit>();
  readonly #volumes = new Set<string>();
  readonly #stack = new AsyncDisposableStack();
  readonly #ending = Promise.withResolvers<never>();
  #hangs = false;

  private constructor(id: Id) {
    this.id = id;
    this.#ending.promise.catch(() => {});
  }

  static async start(name: string): Promise<FakeGateway> {
    const gateway = new FakeGateway(parseId(name));
    const listen = { hostname: "127.0.0.1", port: 0 };
    const http = gateway.#stack.use(openHttp({ listen, log: silent }));
    const sessions = sessionsOf({
      ...{ suite, site: gateway.id, staticKey: gateway.noise, clock: Date.now, log: silent },
      signKey: gateway.signer.publicKey,
      peers: gateway.#admission(),
      metrics: new MetricsRegistry().scoped("gateway"),
      http: http.router("share-gateway"),
      runOnce: { run: (_call, effect) => effect() },
      defer: (undo) => void gateway.#stack.defer(undo),
    });
    await sessions.serve("unlock", (call, peer) => gateway.#answer(decodeUnlockCall(call), peer));
    gateway.url = `http://127.0.0.1:${(await http.listen()).port}`;
    return gateway;
  }

  enrol(device: Id): Enrolment {
    const code = suite.randomBytes(16);
    const expires = Date.now() + 3_600_000;
    this.#peers.set(device, {
      ...{ kind: "device", id: device, state: "enrolled", noiseKey: null, signKey: null },
      ...{ psk: pskFromCode(suite, code, { site: this.id, device }), codeExpires: expires },
    });
    return { code, site: this.id, url: this.url, noiseKey: this.noise.publicKey, expires };
  }

  /** Takes calls and never answers, until it ends. */
  hang(): void {
    this.#hangs = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.reject(new Error("The gateway has ended"));
    await this.#stack.disposeAsync();
  }

  async #answer(call: UnlockCall, peer: Peer): Promise<Uint8Array> {
    this.calls.push(call);
    if (this.#hangs) return await this.#ending.promise;
    switch (call.call) {
      case "unlock": {
        const honest = (request: UnlockRequest) => this.#honest(request, peer.id);
        return encodeUnlockReply(await this.behaviour(call, honest));
      }
      case "deposit": {
        const refusal = this.onDeposit(call);
        if (refusal !== null) return encodeUnlockReply(refusal);
        this.#pieces.set(toHex(call.volume), call);
        return new Uint8Array(0);
      }
      case "rosters":
        return encodeRosters(this.#chainAfter(call.after));
      case "report": {
        const verifier = new StatementVerifier(suite, peer.signKey!, bootEventType);
        const { event, device, boot } = decodeBootEvent(verifier.open(call.statement));
        this.reports.push(`${device} ${event} ${boot.counter}`);
        return new Uint8Array(0);
      }
    }
  }

  #honest({ scheme, volume, group, epoch, proof, seal }: UnlockRequest, device: Id): UnlockReply {
    const name = toHex(volume);
    if (scheme !== "voprf") {
      const kept = this.#pieces.get(name);
      if (kept === undefined) return { denied: "volume_unknown" };
      return { epoch: 0, answer: kept.piece, proof: null };
    }
    if (this.held === undefined) return { denied: "no_share" };
    const { roster, share } = this.held;
    const { commitments } = roster;
    if (!equalBytes(group!, commitments[0]!)) return { denied: "group" };
    if (epoch !== roster.epoch) return { denied: "epoch", rosters: this.#chainAfter(epoch) };
    if (seal && this.#volumes.has(name)) return { denied: "volume_known" };
    this.#volumes.add(name);
    const { index } = roster.members.find(({ id }) => id === this.id)!;
    const answer = evaluate(suite, {
      ...{ share, proof, publicShare: publicShare(commitments, index) },
      input: volumeInput(device, volume),
    });
    return { epoch, ...answer };
  }

  #chainAfter(epoch: number): readonly Uint8Array[] {
    return this.held?.chain.slice(epoch) ?? [];
  }

  #admission(): Admission {
    return {
      apply: () => Promise.resolve("pending"),
      watch: () => () => {},
      find: (_kind, id) => Promise.resolve(this.#peers.get(id) ?? null),
      bind: (peer, keys) => {
        const bound: Peer = { ...peer, ...keys, state: "approved" };
        this.#peers.set(peer.id, bound);
        return Promise.resolve(bound);
      },
    };
  }

  revoke(device: Id): void {
    this.#peers.set(device, { ...this.#peers.get(device)!, state: "revoked" });
  }
}

/** Gateways gw-1 to gw-n that hold shares of one key. */
export class FakeGroup implements AsyncDisposable {
  readonly gateways: readonly FakeGateway[];
  readonly #folder: string;
  #roster: Roster;
  #shares: readonly Uint8Array[];
  #chain: readonly Uint8Array[] = [];

  private constructor(options: {
    gateways: readonly FakeGateway[];
    folder: string;
    roster: Roster;
    shares: readonly Uint8Array[];
  }) {
    this.gateways = options.gateways;
    this.#folder = options.folder;
    this.#roster = options.roster;
    this.#shares = options.shares;
  }

  static async start({ k = 2, n = 3 } = {}): Promise<FakeGroup> {
    const gateways = await Promise.all(
      Array.from({ length: n }, (_, i) => FakeGateway.start(`gw-${i + 1}`)),
    );
    const { shares, commitments } = deal(suite, { k, n });
    const roster: Roster = {
      ...{ group: parseId("kiosks"), epoch: 1, k, n, commitments, dealers: [new Uint8Array(32)] },
      members: gateways.map(({ id, url, noise, signer }, i) => ({
        ...{ index: i + 1, id, url, noiseKey: noise.publicKey, signKey: signer.publicKey },
      })),
    };
    const folder = await Deno.makeTempDir();
    const group = new FakeGroup({ gateways, folder, roster, shares });
    group.#publish(gateways);
    return group;
  }

  get roster(): Roster {
    return this.#roster;
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** A device that is enrolled with its gateways; the first session binds its keys. */
  device(name = "kiosk-7", at: readonly FakeGateway[] = this.gateways): DeviceHome {
    const home = DeviceHome.create(suite, { dir: this.path(name), id: parseId(name) });
    for (const gateway of at) home.keepGateway(gateway.enrol(home.id));
    return home;
  }

  /** New shares of the same key. @param of those who hear of it; the others stay behind */
  refresh(of: readonly FakeGateway[] = this.gateways): void {
    const { k, n, epoch, commitments } = this.#roster;
    const added = deal(suite, { k, n });
    const numbers = added.shares.map((share) => Fn.fromBytes(share));
    const atZero = interpolated(numbers.slice(0, k));
    this.#shares = this.#shares.map((share, i) =>
      Fn.toBytes(Fn.create(Fn.fromBytes(share) + numbers[i]! - atZero))
    );
    const sums = commitments.map((one, i) =>
      i === 0 ? one : Point.fromBytes(one).add(Point.fromBytes(added.commitments[i]!)).toBytes()
    );
    this.#roster = { ...this.#roster, epoch: epoch + 1, commitments: sums };
    this.#publish(of);
  }

  #publish(to: readonly FakeGateway[]): void {
    const [roster, payload] = [this.#roster, encodeRoster(this.#roster)];
    const statements = this.gateways.map(({ signer }) => signRoster(suite, signer, payload));
    this.#chain = [...this.#chain, encodeSignedRoster({ roster, payload, statements })];
    for (const [i, gateway] of this.gateways.entries()) {
      if (to.includes(gateway)) {
        gateway.held = { roster, share: this.#shares[i]!, chain: this.#chain };
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway[Symbol.asyncDispose]()));
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** The value at 0 of the polynomial with these values at 1, 2, … */
function interpolated(values: readonly bigint[]): bigint {
  return values.reduce((sum, value, i) => {
    let weight = 1n;
    for (let j = 0; j < values.length; j++) {
      if (j === i) continue;
      weight = Fn.mul(weight, Fn.mul(BigInt(j + 1), Fn.inv(Fn.create(BigInt(j - i)))));
    }
    return Fn.create(sum + Fn.mul(weight, value));
  }, 0n);
}

/** An input of these bytes, which gives them in small parts. */
export function inputOf(bytes: Uint8Array, part = 10_000) {
  let at = 0;
  return {
    read(buffer: Uint8Array): Promise<number | null> {
      if (at >= bytes.length) return Promise.resolve(null);
      const next = bytes.subarray(at, at + Math.min(part, buffer.length));
      buffer.set(next);
      at += next.length;
      return Promise.resolve(next.length);
    },
  };
}

/** All of a payload, as the volume gives it. */
export async function collected(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk.slice()); // it is gone with the next one
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}
