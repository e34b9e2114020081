/** A calling side for the tests of this folder, whose frames reach the site unless the test steps in. */
import { utf8 } from "../../base/bytes.ts";
import { type Id, parseId } from "../../base/id.ts";
import type { KeyPair } from "../crypto.ts";
import { type Advance, Caller, type CallerOptions, type Outcome } from "./caller.ts";
import { zeroPsk } from "./handshake.ts";
import { approved, type TestSite } from "./_test_site.ts";

/** What is done with a frame: what it gives comes back, null is silence. */
export type Carry = (frame: Uint8Array) => Uint8Array | null;

export class TestCaller {
  readonly id: Id = parseId("m-1");
  readonly key: KeyPair;
  readonly signKey: Uint8Array = new Uint8Array(32).fill(7);
  readonly site: TestSite;
  readonly machine: Caller;
  /** Every frame that it has sent. */
  readonly sent: Uint8Array[] = [];
  readonly outcomes: Outcome[] = [];
  #carry: Carry;

  /** Without options it makes a first contact, and has no code. */
  constructor(
    site: TestSite,
    options: { psk?: Uint8Array; knowsKey?: boolean; isAdmitted?: boolean } = {},
  ) {
    const { psk = zeroPsk, knowsKey = false, isAdmitted = false } = options;
    this.site = site;
    this.key = site.suite.x25519.keyPair();
    this.#carry = (frame) => site.serve(frame);
    this.machine = new Caller({ ...this.#options(psk, knowsKey), isAdmitted });
  }

  get now(): number {
    return this.site.now;
  }

  /** From now on frames go another way. */
  carry(how: Carry): void {
    this.#carry = how;
  }

  /** Frames reach the site again. */
  carryAll(): void {
    this.#carry = (frame) => this.site.serve(frame);
  }

  call(text: string, within = Infinity): number {
    return this.machine.call(utf8(text), this.now + within);
  }

  /** Sends what is due once; what comes back is received. */
  turn(): Advance {
    const advance = this.machine.advance();
    this.outcomes.push(...advance.outcomes);
    for (const frame of advance.send.flat()) {
      this.sent.push(frame);
      const reply = this.#carry(frame);
      if (reply !== null) this.machine.receive(reply);
    }
    return advance;
  }

  /** Turns until nothing is left to send; gives when to ask again. */
  settle(): number {
    let advance = this.turn();
    while (advance.send.length > 0 || advance.outcomes.length > 0) advance = this.turn();
    return advance.due;
  }

  /** Lets time pass; gives when frames were sent. */
  run(milliseconds: number): number[] {
    const end = this.now + milliseconds;
    const times: number[] = [];
    for (let due = this.settle(); due <= end; due = this.settle()) {
      this.site.now = due;
      const before = this.sent.length;
      this.turn();
      if (this.sent.length > before) times.push(this.now);
    }
    this.site.now = end;
    return times;
  }

  /** The call's outcomes so far, as text. */
  heard(call: number): string[] {
    return this.outcomes.filter((outcome) => outcome.call === call).map((outcome) =>
      "answer" in outcome
        ? String.fromCharCode(...outcome.answer)
        : "refusal" in outcome
        ? `refused: ${outcome.refusal}`
        : `failed: ${outcome.failure}`
    );
  }

  /** The site knows its key, as after an approval. */
  approve(psk: Uint8Array = zeroPsk): Uint8Array | null {
    return this.site.put(this.id, approved(this.key, psk));
  }

  #options(psk: Uint8Array, knowsKey: boolean): CallerOptions {
    const { suite, id, key } = this.site;
    const site = knowsKey || psk !== zeroPsk ? id : "";
    return {
      ...{ suite, psk, staticKey: this.key, signKey: this.signKey },
      hello: { purpose: "rpc", site, device: this.id, versions: [2] },
      clock: () => this.now,
      random: () => 0.5,
      ...(knowsKey && { remoteStatic: key.publicKey }),
    };
  }
}
