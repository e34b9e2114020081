/**
 * A device and a site that call each other in `rpc` sessions, as state machines only, over a network
 * that does what networks do. Data frames name no device, so that nobody is told that his session is
 * unknown. Both answer when it suits them, and may lose everything but the pinned key at any moment.
 */
import { toHex, utf8 } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import { parseId } from "../../base/id.ts";
import type { KeyPair, Suite } from "../crypto.ts";
import { Answerer, type Credential, type Step } from "./answerer.ts";
import { Reply, type Request } from "./asked.ts";
import { CallError, decodeMessage, encodeEnrolAnswer, encodeMessage } from "./call.ts";
import type { ReadRpc } from "./call.ts";
import { Caller } from "./caller.ts";
import { FrameType } from "./frame.ts";
import type { Live } from "./live_sessions.ts";
import { type Faults, Network } from "./_network.ts";
import { Requests } from "./requests.ts";

const siteId = parseId("site-1");
const deviceId = parseId("d-1");

/** The answer to a device's call, once there is one. */
interface Answer {
  reply: Reply | null;
}
type Session = Live<Credential, Answer>;

/** A call of either side, and how it has ended. */
interface Call {
  readonly text: string;
  readonly deadline: number;
  outcome: string | null;
}

export class RpcWorld {
  readonly #suite: Suite;
  readonly #readRpc: ReadRpc;
  readonly #siteKey: KeyPair;
  readonly #deviceKey: KeyPair;
  readonly #network: Network;
  readonly #later: { readonly at: number; readonly run: () => void }[] = [];
  #answerer!: Answerer<Credential, Answer>;
  #requests!: Requests<Credential, Answer>;
  #caller!: Caller;
  readonly #psk: Uint8Array;
  #deviceCalls = new Map<number, Call>();
  #siteCalls = new Map<number, Call>();
  #deviceDue = 0;
  #siteDue = Infinity;
  #texts = 0;
  now = 0;
  /** What the device and the site are asked takes so long, in milliseconds at most. */
  slowness = 0;
  /** Every call that was made and not given up by a restart of its own side. */
  readonly calls: { readonly from: "device" | "site"; readonly call: Call }[] = [];
  /** How often a call ran, by side, session and text. */
  readonly runs = new Map<string, number>();
  /** Calls that were not even made, by reason. */
  readonly refused = new Map<string, number>();

  constructor(suite: Suite, { seed, readRpc }: { seed: number; readRpc: ReadRpc }) {
    this.#suite = suite;
    this.#readRpc = readRpc;
    this.#network = new Network(seed);
    this.#siteKey = suite.x25519.keyPair();
    this.#deviceKey = suite.x25519.keyPair();
    this.#psk = suite.randomBytes(32);
    this.restartSite();
    this.restartDevice();
  }

  set faults(faults: Faults) {
    this.#network.faults = faults;
  }

  /** The site forgets its sessions; whoever waited there has died with it. */
  restartSite(): void {
    this.#siteCalls.clear();
    const clock = () => this.now;
    const requests = this.#requests = new Requests({ clock, readRpc: this.#readRpc });
    this.#answerer = new Answerer({
      ...{ suite: this.#suite, site: siteId, staticKey: this.#siteKey, purpose: "rpc" },
      ...{ clock, wallClock: clock },
      onEnd: (live) => requests.end(live),
    });
    this.#siteDue = Infinity;
  }

  restartDevice(): void {
    this.#deviceCalls.clear();
    this.#caller = new Caller({
      suite: this.#suite,
      hello: { purpose: "rpc", site: siteId, device: deviceId, versions: [2] },
      staticKey: this.#deviceKey,
      signKey: new Uint8Array(32),
      psk: this.#psk,
      clock: () => this.now,
      random: this.#network.random,
      remoteStatic: this.#siteKey.publicKey,
      readRpc: this.#readRpc,
    });
    this.#deviceDue = Infinity;
  }

  /** Either side calls the other, under one of few ids: answers to others must not be taken for its own. */
  call(
    from: "device" | "site",
    within: number,
    id = Math.floor(this.#network.random() * 40),
  ): Call | null {
    const text = `${from}-${++this.#texts}`;
    const call: Call = { text, deadline: this.now + within, outcome: null };
    const body = utf8(JSON.stringify({ jsonrpc: "2.0", id, method: "run", params: [text] }));
    try {
      if (from === "device") this.#deviceCalls.set(this.#caller.call(body, call.deadline), call);
      else {
        const live = this.#answerer.confirmed(deviceId);
        if (live === undefined) throw new CallError("malformed", "Nobody is there");
        this.#siteCalls.set(this.#requests.ask(live, body, call.deadline), call);
      }
    } catch (error) {
      must(error instanceof CallError, `${error}`);
      this.refused.set(error.code, (this.refused.get(error.code) ?? 0) + 1);
      return null;
    }
    this.calls.push({ from, call });
    this.#deviceDue = this.#siteDue = this.now;
    return call;
  }

  /** Lets time pass. */
  run(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (;;) {
      this.#turn();
      this.#later.sort((a, b) => a.at - b.at);
      const due = [
        this.#network.due,
        this.#deviceDue,
        this.#siteDue,
        this.#later[0]?.at ?? Infinity,
      ];
      const next = Math.min(...due);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      const frame = this.#network.take(this.now);
      if (frame !== undefined) {
        this.#quietly(() =>
          frame.up ? this.#atSite(frame.bytes) : this.#caller.receive(frame.bytes)
        );
      }
      if ((this.#later[0]?.at ?? Infinity) <= this.now) this.#later.shift()!.run();
    }
    this.now = end;
  }

  #turn(): void {
    const device = this.#caller.advance();
    this.#deviceDue = device.due;
    for (const frame of device.send.flat()) this.#carry(frame, true);
    for (const request of device.requests) this.#atHand(request);
    this.#settle(this.#deviceCalls, device.outcomes);
    const site = this.#requests.advance();
    this.#siteDue = site.due;
    for (const { frame } of site.send) this.#carry(frame, false);
    this.#settle(this.#siteCalls, site.outcomes);
  }

  #settle(
    calls: Map<number, Call>,
    outcomes: readonly (
      & { call: number }
      & ({ answer: Uint8Array } | { refusal: string } | { failure: string })
    )[],
  ): void {
    for (const outcome of outcomes) {
      const call = calls.get(outcome.call)!;
      calls.delete(outcome.call);
      must(call.outcome === null, "a call has ended twice");
      call.outcome = "failure" in outcome ? outcome.failure : "answer";
      if (!("answer" in outcome)) continue;
      const { result } = JSON.parse(String.fromCharCode(...outcome.answer)) as { result: string };
      must(result === call.text, `${call.text} got the answer to ${result}`);
    }
  }

  /** The device has been asked. */
  #atHand(request: Request): void {
    const [id, text] = this.#ran("device", request.body, "any");
    const caller = this.#caller;
    this.#after(() => {
      caller.answer(request, responseTo(id, text));
    });
  }

  #atSite(bytes: Uint8Array): void {
    if (bytes[1] !== FrameType.data) return this.#follow(this.#answerer.take(bytes, deviceId));
    const owner = this.#answerer.ownerOf(bytes);
    if (owner !== null) this.#follow(this.#answerer.take(bytes, owner));
  }

  #follow(step: Step<Credential, Answer>): void {
    if (step.step === "reply") this.#carry(step.frame, false);
    if (step.step === "again" && step.answer?.reply) this.#carry(step.answer.reply.frame(), false);
    if (step.step === "knock") this.#follow(this.#answerer.admit(step.knock, this.#peer()));
    if (step.step !== "message") return;
    const { live, seq, plaintext } = step;
    const message = decodeMessage(plaintext);
    if (message.kind === "enrol") {
      const body = encodeEnrolAnswer(siteId);
      const frame = live.session.seal(encodeMessage({ kind: "answer", to: seq, body }));
      return this.#carry(frame, false);
    }
    must(message.kind === "rpc", `a device sent a ${message.kind}`);
    this.#hear(live, seq, message.body);
  }

  #hear(live: Session, seq: number, body: Uint8Array): void {
    const head = this.#readRpc(body);
    if (head.kind === "response") {
      this.#requests.responded(live, head.id, { answer: body });
      return;
    }
    const answer: Answer = { reply: null };
    this.#answerer.remember(live, seq, answer);
    const [id, text] = this.#ran("site", body, toHex(live.session.id));
    const [answerer] = [this.#answerer];
    this.#after(() => {
      if (answerer !== this.#answerer) return;
      answer.reply = new Reply(live.session, responseTo(id, text));
      this.#carry(answer.reply.frame(), false);
    });
  }

  #ran(side: string, body: Uint8Array, session: string): [id: number, text: string] {
    const { id, params: [text] } = JSON.parse(String.fromCharCode(...body)) as {
      id: number;
      params: [string];
    };
    const key = `${side} ${session} ${text}`;
    this.runs.set(key, (this.runs.get(key) ?? 0) + 1);
    return [id, text];
  }

  #after(run: () => void): void {
    const at = this.now + Math.floor(this.#network.random() * this.slowness);
    this.#later.push({ at, run: () => this.#quietly(run) });
  }

  /** Frames that are refused, and answers whose session has ended, change nothing. */
  #quietly(run: () => void): void {
    try {
      run();
    } catch (error) {
      must(error instanceof CodedError, `${error}`);
    }
  }

  #peer(): Credential {
    const noiseKey = this.#deviceKey.publicKey;
    return { state: "approved", noiseKey, psk: this.#psk, codeExpires: Infinity };
  }

  #carry(frame: Uint8Array, up: boolean): void {
    this.#network.carry(this.now, frame, up);
  }
}

function responseTo(id: number, text: string): Uint8Array {
  return utf8(JSON.stringify({ jsonrpc: "2.0", id, result: text }));
}

function must(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}
