/** A site that answers `meter` sessions, and devices that open them, for the tests of this folder. */
import type { Clock } from "../../base/clock.ts";
import type { Id } from "../../base/id.ts";
import { Secret } from "../../base/secret.ts";
import { decodeFrame } from "../../trust/session/frame.ts";
import { Initiator, pskFromCode } from "../../trust/session/handshake.ts";
import type { Hello } from "../../trust/session/hello.ts";
import type { Session } from "../../trust/session/session.ts";
import { decodeMessage, encodeMessage, type Message } from "../../trust/session/call.ts";
import { auditMigrations, auditOf } from "../audit.ts";
import { EventBus } from "../bus.ts";
import { nativeSuite } from "../crypto_native.ts";
import { openDatabase } from "../db/mod.ts";
import { MetricsRegistry } from "../metrics.ts";
import { openPeers, peerMigrations, type Peers } from "../peers/mod.ts";
import { sealerOf } from "../sealing.ts";
import { type Handler, Responder, type ResponderOptions } from "./_responder.ts";

export const suite = nativeSuite();
export const log = { debug() {}, info() {}, warn() {}, error() {} };
export const siteId = "kiosk-7" as Id;
export const day = 24 * 60 * 60 * 1000;

export type TestSite = Awaited<ReturnType<typeof openTestSite>>;

/** Opens a site with a database of its own. @param clock of the site and of its devices */
export async function openTestSite(clock: Clock = () => 0) {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const db = stack.use(await openDatabase({ path: `${folder}/site.db` }));
  await db.migrate("core", [...auditMigrations, ...peerMigrations]);
  const staticKey = suite.x25519.keyPair();
  const peers = openPeers({
    ...{ suite, db, clock, site: siteId, noiseKey: staticKey.publicKey },
    sealer: sealerOf(suite, new Secret(suite.randomBytes(32))),
    audit: auditOf("core", clock),
    bus: new EventBus({ clock, log }).scoped("core"),
    log,
    join: "open",
  });
  const metrics = new MetricsRegistry();
  const kept = stack.move();

  async function enrol(text: string): Promise<Device> {
    const url = "mqtt://127.0.0.1";
    const { code } = await peers.enrol("meter", text, { url, ttl: day });
    return new Device({ id: text as Id, code, remoteStatic: staticKey.publicKey, clock });
  }

  return {
    peers,
    staticKey,
    /** A device that has a code and has not used it. */
    enrol,
    /** A device whose keys are bound. */
    async approve(text: string): Promise<Device> {
      const device = await enrol(text);
      const peer = await peers.find("meter", device.id);
      const noiseKey = device.staticKey.publicKey;
      await peers.bind(peer!, { noiseKey, signKey: device.signKey });
      return device;
    },
    responder(handler: Handler, options: Partial<ResponderOptions> = {}): Responder {
      return new Responder({
        ...{ suite, site: siteId, staticKey, purpose: "meter", handler, peers, log },
        ...{ clock, monotonic: clock },
        metrics: metrics.scoped("test"),
        ...options,
      });
    },
    /** How many frames and calls were refused for a reason. */
    async refused(reason: string): Promise<number> {
      const line = new RegExp(
        `^edgeward_session_refused_total{.*reason="${reason}".*} (\\d+)$`,
        "m",
      );
      return Number(line.exec(await metrics.text())?.[1] ?? 0);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The device's side, a frame at a time. */
export class Device {
  readonly id: Id;
  readonly code: Uint8Array;
  readonly staticKey = suite.x25519.keyPair();
  readonly signKey = suite.ed25519.signer().publicKey;
  readonly #remoteStatic: Uint8Array;
  readonly #clock: Clock;

  constructor(options: { id: Id; code: Uint8Array; remoteStatic: Uint8Array; clock: Clock }) {
    this.id = options.id;
    this.code = options.code;
    this.#remoteStatic = options.remoteStatic;
    this.#clock = options.clock;
  }

  begin(hello: Partial<Hello> = {}, staticKey = this.staticKey): Initiator {
    return new Initiator(suite, {
      hello: { purpose: "meter", site: siteId, device: this.id, versions: [2], ...hello },
      staticKey,
      remoteStatic: this.#remoteStatic,
      psk: pskFromCode(suite, this.code, { site: siteId, device: this.id }),
      clock: this.#clock,
    });
  }

  /** Shakes hands; the session is unconfirmed until its first frame. */
  async connect(responder: Responder): Promise<Session> {
    const initiator = this.begin();
    const message2 = await responder.receive(initiator.message1, this.id);
    return initiator.finish(decodeFrame(message2!));
  }
}

/** Seals a call. */
export function callOf(session: Session, text: string): Uint8Array {
  return session.seal(encodeMessage({ kind: "call", body: new TextEncoder().encode(text) }));
}

/** Opens what a responder answered. */
export function messageIn(session: Session, reply: Uint8Array | null): Message {
  return decodeMessage(session.open(decodeFrame(reply!)).plaintext);
}

/** The text of an answer, or the code of a refusal. */
export function textIn(session: Session, reply: Uint8Array | null): string {
  const message = messageIn(session, reply);
  if (message.kind === "refusal") return `refused: ${message.code}`;
  return new TextDecoder().decode(message.body);
}

/** Answers with what it was asked. */
export const echo: Handler = (call) => Promise.resolve(call);

/** Peers whose `find` waits for `gate` after it has looked. */
export function slowly(peers: Peers, gate: Promise<void>): Peers {
  return {
    ...peers,
    async find(kind, id) {
      const peer = await peers.find(kind, id);
      await gate;
      return peer;
    },
  };
}
