/**
 * A device and a site that exist as state machines only, and a network between them that loses,
 * repeats, reorders, delays and alters frames, all in virtual time and all following from a seed. Both
 * may lose everything but what they have on disk at any moment. It watches what must always hold.
 */
import { concat, equalBytes, toHex } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import { parseId } from "../../base/id.ts";
import type { KeyPair, Suite } from "../crypto.ts";
import { Answerer, type Credential, type Step } from "./answerer.ts";
import { decodeEnrolRequest, decodeMessage, encodeEnrolAnswer, encodeMessage } from "./call.ts";
import { Caller } from "./caller.ts";
import type { Live } from "./live_sessions.ts";
import { zeroPsk } from "./handshake.ts";
import { type Faults, Network } from "./_network.ts";
import { callIdLength, type CallRecord, judge } from "./run_once.ts";

export interface WorldOptions {
  readonly seed: number;
  /** The device knows the site's key (IK), or makes the first contact (XX). */
  readonly knowsKey: boolean;
  /** Without a code, somebody approves the device the first time that it shows up. */
  readonly hasCode: boolean;
}

const siteId = parseId("site-1");
const deviceId = parseId("m-1");
/** Milliseconds that a call is given before the device makes it again. */
const patience = 90_000;

interface Peer extends Credential {
  readonly signKey: Uint8Array | null;
}

export class World {
  readonly #suite: Suite;
  readonly #options: WorldOptions;
  readonly #siteKey: KeyPair;
  readonly #deviceKey: KeyPair;
  readonly #psk: Uint8Array;
  readonly #network: Network;
  now = 0;
  /** What survives a restart of the site. */
  #peer: Peer | null = null;
  readonly #records = new Map<string, CallRecord>();
  /** What survives a restart of the device: calls that have no result yet, and the pinned site. */
  readonly #wanted = new Map<string, Uint8Array>();
  #pinned: Uint8Array | undefined;
  #answerer!: Answerer<Peer, Uint8Array>;
  #caller!: Caller;
  readonly #calls = new Map<number, string>();
  #due = 0;
  /** Everything ever sealed as a call, by content; what comes out must be among it. */
  readonly #said = new Set<string>();
  /** Frames delivered, by session and number. */
  readonly #delivered = new Set<string>();
  readonly effects = new Map<string, number>();
  readonly results = new Map<string, string>();
  readonly refusals = new Map<string, number>();

  constructor(suite: Suite, options: WorldOptions) {
    this.#suite = suite;
    this.#options = options;
    this.#siteKey = suite.x25519.keyPair();
    this.#deviceKey = suite.x25519.keyPair();
    this.#psk = options.hasCode ? suite.randomBytes(32) : zeroPsk;
    if (options.knowsKey) this.#pinned = this.#siteKey.publicKey;
    if (options.hasCode) {
      this.#peer = {
        ...{ state: "enrolled", noiseKey: null, signKey: null, psk: this.#psk },
        codeExpires: Infinity,
      };
    }
    this.#network = new Network(options.seed);
    this.restartSite();
    this.restartDevice();
  }

  get faults(): Faults {
    return this.#network.faults;
  }

  set faults(faults: Faults) {
    this.#network.faults = faults;
  }

  /** Wants something done, once. */
  want(): void {
    const id = this.#suite.randomBytes(callIdLength);
    const body = concat(id, this.#suite.randomBytes(Math.floor(this.#random() * 40)));
    this.#said.add(toHex(body));
    this.#wanted.set(toHex(id), body);
    this.#ask(toHex(id));
  }

  get unanswered(): number {
    return this.#wanted.size;
  }

  restartSite(): void {
    const clock = () => this.now;
    this.#answerer = new Answerer({
      ...{ suite: this.#suite, site: siteId, staticKey: this.#siteKey, purpose: "rpc" },
      ...{ clock, wallClock: clock },
    });
  }

  restartDevice(): void {
    const { hasCode } = this.#options;
    const knowsName = hasCode || this.#pinned !== undefined;
    this.#caller = new Caller({
      suite: this.#suite,
      hello: {
        ...{ purpose: "rpc", site: knowsName ? siteId : "", device: deviceId, versions: [2] },
      },
      staticKey: this.#deviceKey,
      signKey: signKey,
      psk: this.#psk,
      clock: () => this.now,
      random: this.#network.random,
      ...(this.#pinned !== undefined && { remoteStatic: this.#pinned }),
    });
    this.#calls.clear();
    for (const id of this.#wanted.keys()) this.#ask(id);
  }

  /** Lets time pass. */
  run(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (;;) {
      this.#turnDevice();
      const next = Math.min(this.#network.due, this.#due);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      const frame = this.#network.take(this.now);
      if (frame?.up === true) this.#atSite(frame.bytes);
      else if (frame !== undefined) this.#atDevice(frame.bytes);
    }
    this.now = end;
  }

  #ask(id: string): void {
    this.#calls.set(this.#caller.call(this.#wanted.get(id)!, this.now + patience), id);
    this.#due = this.now;
  }

  #turnDevice(): void {
    const { send, outcomes, due } = this.#caller.advance();
    this.#due = due;
    for (const frame of send.flat()) this.#carry(frame, true);
    for (const outcome of outcomes) {
      const id = this.#calls.get(outcome.call)!;
      this.#calls.delete(outcome.call);
      if ("failure" in outcome || "refusal" in outcome && outcome.refusal !== "outcome_unknown") {
        this.#ask(id);
        continue;
      }
      this.#wanted.delete(id);
      this.results.set(id, "answer" in outcome ? toHex(outcome.answer) : outcome.refusal);
    }
    if (this.#caller.pinned !== null) this.#pinned = this.#caller.pinned.remoteStatic;
  }

  #atDevice(bytes: Uint8Array): void {
    try {
      this.#caller.receive(bytes);
    } catch (error) {
      must(error instanceof CodedError, `${error}`);
    }
  }

  #atSite(bytes: Uint8Array): void {
    try {
      this.#follow(this.#answerer.take(bytes, deviceId));
    } catch (error) {
      must(error instanceof CodedError, `${error}`);
      this.refusals.set(error.code, (this.refusals.get(error.code) ?? 0) + 1);
    }
  }

  #follow(step: Step<Peer, Uint8Array>): void {
    if (step.step === "reply") this.#carry(step.frame, false);
    if (step.step === "again" && step.answer !== undefined) this.#carry(step.answer, false);
    if (step.step === "knock") this.#follow(this.#answerer.admit(step.knock, this.#peer));
    if (step.step === "applicant") {
      must(equalBytes(step.applicant.key, this.#deviceKey.publicKey), "another key applies");
      this.#peer ??= {
        ...{ state: "approved", noiseKey: step.applicant.key, signKey: null, psk: zeroPsk },
        codeExpires: 0,
      };
      const frame = this.#answerer.update(deviceId, this.#peer);
      if (frame !== null) this.#carry(frame, false);
    }
    if (step.step !== "message") return;
    const { live, seq, plaintext } = step;
    const frame = `${toHex(live.session.id)} ${seq}`;
    must(!this.#delivered.has(frame), "a frame is delivered twice");
    this.#delivered.add(frame);
    const answer = this.#act(live, seq, plaintext);
    if (answer === null) return;
    this.#answerer.remember(live, seq, answer);
    this.#carry(answer, false);
  }

  /** Does what the message says. Null when the site dies in the middle of it. */
  #act(live: Live<Peer, Uint8Array>, seq: number, plaintext: Uint8Array): Uint8Array | null {
    const message = decodeMessage(plaintext);
    const refuse = (code: string) =>
      live.session.seal(encodeMessage({ kind: "refusal", to: seq, code }));
    if (live.peer === null) return refuse("pending");
    if (message.kind === "enrol") {
      const bound = {
        ...{ ...this.#peer!, state: "approved" as const, noiseKey: live.key },
        signKey: decodeEnrolRequest(message.body),
      };
      live.peer = this.#peer = bound;
      const body = encodeEnrolAnswer(siteId);
      return live.session.seal(encodeMessage({ kind: "answer", to: seq, body }));
    }
    must(message.kind === "call" && this.#said.has(toHex(message.body)), "nobody said this");
    if (live.peer.signKey === null) return refuse("not_enrolled");
    const id = toHex(message.body.subarray(0, callIdLength));
    const verdict = judge(this.#records.get(id) ?? null, this.now);
    if (verdict.verdict === "outcome_unknown") return refuse("outcome_unknown");
    if (verdict.verdict === "run") {
      this.#records.set(id, { started: this.now, result: null });
      if (this.#random() < this.#deathRate) return this.restartSite(), null;
      this.effects.set(id, (this.effects.get(id) ?? 0) + 1);
      if (this.#random() < this.#deathRate) return this.restartSite(), null;
      this.#records.set(id, { started: this.now, result: message.body });
    }
    const body = message.body;
    return live.session.seal(encodeMessage({ kind: "answer", to: seq, body }));
  }

  /** The site dies in the middle of a call as often as frames get lost. */
  get #deathRate(): number {
    return this.faults.loss / 4;
  }

  #carry(frame: Uint8Array, up: boolean): void {
    this.#network.carry(this.now, frame, up);
  }

  #random(): number {
    return this.#network.random();
  }
}

function must(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}

const signKey = new Uint8Array(32).fill(7);
