/**
 * A device and a site in an `rpc` session for the tests of this folder. Nothing moves unless the test
 * moves it: each side's frames are handed over one by one, in a time that the test turns.
 */
import { utf8 } from "../../base/bytes.ts";
import { type Id, parseId } from "../../base/id.ts";
import type { KeyPair, Suite } from "../crypto.ts";
import { Answerer, type Credential, type Step } from "./answerer.ts";
import type { Request } from "./asked.ts";
import { decodeMessage, encodeEnrolAnswer, encodeMessage, type ReadRpc } from "./call.ts";
import { Caller, type Outcome } from "./caller.ts";
import type { CallOutcome } from "./calls.ts";
import { zeroPsk } from "./handshake.ts";
import type { Live } from "./live_sessions.ts";
import { type RequestFailure, Requests } from "./requests.ts";

export type RpcSession = Live<Credential, Uint8Array>;
type RpcStep = Step<Credential, Uint8Array>;

export interface RpcTools {
  readonly suite: Suite;
  readonly readRpc: ReadRpc;
}

export class RpcSite {
  readonly id: Id = parseId("site-1");
  readonly tools: RpcTools;
  readonly key: KeyPair;
  now = 1_000_000;
  readonly peers: Map<Id, Credential> = new Map();
  readonly answerer: Answerer<Credential, Uint8Array>;
  readonly requests: Requests<Credential, Uint8Array>;
  readonly ended: RpcSession[] = [];

  constructor(tools: RpcTools) {
    const { suite, readRpc } = tools;
    const clock = () => this.now;
    this.tools = tools;
    this.key = suite.x25519.keyPair();
    this.requests = new Requests({ clock, readRpc });
    this.answerer = new Answerer({
      ...{ suite, site: this.id, staticKey: this.key, purpose: "rpc", clock, wallClock: clock },
      onEnd: (live) => {
        this.ended.push(live);
        this.requests.end(live);
      },
    });
  }

  /** Takes a frame of a handshake, or an enrolment; gives what is sent back. */
  greet(frame: Uint8Array): Uint8Array | null {
    const taken = this.answerer.take(frame);
    const step: RpcStep = taken.step === "knock"
      ? this.answerer.admit(taken.knock, this.peers.get(taken.knock.device) ?? null)
      : taken;
    if (step.step === "reply") return step.frame;
    if (step.step !== "message") return null;
    const { live, seq } = step;
    if (decodeMessage(step.plaintext).kind !== "enrol") throw new Error("It is no enrolment");
    const body = encodeEnrolAnswer(this.id);
    return live.session.seal(encodeMessage({ kind: "answer", to: seq, body }));
  }

  /** Takes what a device calls or answers: a frame with JSON-RPC. */
  hear(frame: Uint8Array): { live: RpcSession; seq: number; body: Uint8Array } {
    const step = this.answerer.take(frame);
    if (step.step !== "message") throw new Error(`No message: ${step.step}`);
    const message = decodeMessage(step.plaintext);
    if (message.kind !== "rpc") throw new Error(`No JSON-RPC: ${message.kind}`);
    return { live: step.live, seq: step.seq, body: message.body };
  }

  /** Takes a device's answer. Returns whether anybody has waited for it. */
  answered(frame: Uint8Array): boolean {
    const { live, body } = this.hear(frame);
    const { id } = this.tools.readRpc(body);
    return this.requests.responded(live, id, { answer: body });
  }

  /** Answers a call of a device. */
  respond(live: RpcSession, body: Uint8Array): Uint8Array {
    const { id } = this.tools.readRpc(body);
    return live.session.seal(encodeMessage({ kind: "rpc", body: result(id) }));
  }

  /** The frames that are due, and the outcomes. */
  turn(): { frames: Uint8Array[]; outcomes: readonly CallOutcome<RequestFailure>[]; due: number } {
    const { send, outcomes, due } = this.requests.advance();
    return { frames: send.map(({ frame }) => frame), outcomes, due };
  }

  /** A device that is approved. */
  device(name = "d-1"): RpcDevice {
    return new RpcDevice(this, parseId(name), this.tools.suite.x25519.keyPair());
  }
}

export class RpcDevice {
  readonly id: Id;
  readonly site: RpcSite;
  readonly machine: Caller;
  readonly #key: KeyPair;
  readonly outcomes: Outcome[] = [];
  readonly requests: Request[] = [];
  due = Infinity;

  constructor(site: RpcSite, id: Id, staticKey: KeyPair) {
    const { suite, readRpc } = site.tools;
    this.id = id;
    this.#key = staticKey;
    this.site = site;
    site.peers.set(id, {
      ...{ state: "approved", noiseKey: staticKey.publicKey, psk: zeroPsk, codeExpires: 0 },
    });
    this.machine = new Caller({
      ...{ suite, readRpc, staticKey, psk: zeroPsk, signKey: new Uint8Array(32) },
      hello: { purpose: "rpc", site: site.id, device: id, versions: [2] },
      remoteStatic: site.key.publicKey,
      clock: () => site.now,
      random: () => 0.5,
    });
  }

  /** The same device, which has forgotten everything but its key. */
  rebooted(): RpcDevice {
    return new RpcDevice(this.site, this.id, this.#key);
  }

  /** Its session at the site. */
  get session(): RpcSession {
    const session = this.site.answerer.confirmed(this.id);
    if (session === undefined) throw new Error("It has no session");
    return session;
  }

  call(id: number | string, within = 30_000): number {
    return this.machine.call(request(id), this.site.now + within);
  }

  /** The frames that are due. */
  turn(): Uint8Array[] {
    const { send, outcomes, requests, due } = this.machine.advance();
    this.outcomes.push(...outcomes);
    this.requests.push(...requests);
    this.due = due;
    return send.flat();
  }

  /** Lets time pass; gives what it has sent, and when. */
  run(milliseconds: number): { frame: Uint8Array; after: number }[] {
    const [begin, end] = [this.site.now, this.site.now + milliseconds];
    const sent: { frame: Uint8Array; after: number }[] = [];
    for (;;) {
      for (const frame of this.turn()) sent.push({ frame, after: this.site.now - begin });
      if (this.due > end) break;
      this.site.now = this.due;
    }
    this.site.now = end;
    return sent;
  }

  /** Shakes hands and joins; gives the frame of the call that it has made to do so. */
  connect(id: number | string = "first"): Uint8Array {
    this.call(id);
    for (let step = 0; step < 2; step++) {
      const [frame] = this.turn(); // message 1, then the enrolment
      this.machine.receive(this.site.greet(frame!)!);
    }
    return this.turn()[0]!;
  }
}

export function request(id: number | string): Uint8Array {
  return utf8(JSON.stringify({ jsonrpc: "2.0", id, method: "run" }));
}

export function result(id: number | string): Uint8Array {
  return utf8(JSON.stringify({ jsonrpc: "2.0", id, result: `answer to ${id}` }));
}
