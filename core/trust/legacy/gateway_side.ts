/**
 * The gateway's side of profile v1 with one device: no I/O, no clock of its own. Its role finds the
 * device in a connect or an envelope, asks this, stores what `save` holds, and only then acts or sends.
 *
 * Keys that are in use give way to none but those under which a valid message has come. Whoever
 * repeats a recorded connect makes candidates that only the device could ever use.
 */
import type { Clock } from "../../base/clock.ts";
import type { Id } from "../../base/id.ts";
import type { Secret } from "../../base/secret.ts";
import type { Suite } from "../crypto.ts";
import { type Arrival, arrivalOf, type Save, secondsOf } from "./arrival.ts";
import { Association, type AssociationRecord, requireHalf } from "./_association.ts";
import { type Connect, encodeApprove, isProven, type LegacyPsk } from "./connect.ts";
import { LegacyError } from "./error.ts";
import { agree, type HmacLabel } from "./keys.ts";
import type { Envelope } from "./message.ts";
import type { RpcRequest } from "./rpc.ts";
import { decodeState, encodeState } from "./_state.ts";

/** Keys that no message has come under: how many there may be, and for how long. */
const candidateLimit = 4;
const candidateAge = 24 * 60 * 60 * 1000;

export interface GatewaySideOptions {
  readonly device: Id;
  /** What was stored last, if anything was. */
  readonly state?: Secret;
  /** The time of day. */
  readonly clock: Clock;
  /**
   * By how many seconds the device's clock may differ; any when not given. Counters refuse
   * repetitions without it, but only a clock refuses a message that was held back.
   */
  readonly maxSkew?: number;
}

export class GatewaySide {
  readonly #suite: Suite;
  readonly #device: Id;
  readonly #clock: Clock;
  readonly #maxSkew: number;
  #current: Association | null;
  /** Oldest first. */
  #candidates: readonly Association[];

  /** @throws LegacyError "malformed" when the state is not one of this device's */
  constructor(suite: Suite, options: GatewaySideOptions) {
    this.#suite = suite;
    this.#device = options.device;
    this.#clock = options.clock;
    this.#maxSkew = options.maxSkew ?? Infinity;
    const { current, candidates } = options.state === undefined
      ? { current: null, candidates: [] }
      : decodeState(options.device, options.state);
    const restore = (record: AssociationRecord) => new Association(suite, this.#who, record);
    this.#current = current && restore(current);
    this.#candidates = candidates.map(restore);
  }

  /** Whether the device has used the keys: it is authorized. */
  get isConfirmed(): boolean {
    this.#forgetOld();
    return this.#current !== null;
  }

  /** The public key of the device whose keys are in use; null while none are. */
  get key(): Uint8Array | null {
    this.#forgetOld();
    return this.#current?.peer ?? null;
  }

  /** How the device spells the label of its HMAC key; null before its first message. */
  get label(): HmacLabel | null {
    return this.#current?.label ?? null;
  }

  /** When the last of the keys ends, in Unix milliseconds: delete what is stored then. */
  get expires(): number | null {
    const ends = this.#candidates.map(({ since }) => since + candidateAge);
    if (this.#current !== null) ends.push(this.#current.expires);
    return ends.length === 0 ? null : Math.max(...ends);
  }

  /** Whether `reserve` must be called and stored before the gateway can send again. */
  get mustReserve(): boolean {
    return this.#current?.mustReserve ?? false;
  }

  /**
   * Approves the device: the bytes to publish once `save` is stored. They may be made for every
   * connect of a device that the site has approved.
   * @throws LegacyError "wrong_device" | "unproven" | "low_order"
   */
  approve(connect: Connect, psk: LegacyPsk): { readonly approve: Uint8Array; readonly save: Save } {
    if (connect.device !== this.#device) throw wrongDevice("connect");
    if (!isProven(this.#suite, psk, connect)) {
      throw new LegacyError("unproven", "Cannot approve the device: its connect lacks the proof");
    }
    this.#forgetOld();
    const pair = this.#suite.x25519.keyPair();
    const keys = agree(this.#suite, pair, connect.publicKey);
    const candidate = Association.begin(this.#suite, this.#who, {
      ...{ keys, peer: connect.publicKey, since: this.#now() },
    });
    this.#candidates = [...this.#candidates, candidate];
    // the newest must get its turn: recorded connects could hold every place for ever
    while (this.#candidates.length > candidateLimit) this.#drop(this.#candidates[0]!);
    const approve = encodeApprove(pair.publicKey);
    pair.secretKey.fill(0);
    return { approve, save: this.reserve() };
  }

  /**
   * Opens a message of the device.
   * @throws LegacyError "wrong_device" | "wrong_half" | "no_keys" | "forged" | "malformed" |
   * "mismatched" | "wrong_hmac" | "stale" | "replayed": none of them leaves a trace in the state
   */
  open(envelope: Envelope): Arrival {
    if (envelope.device !== this.#device) throw wrongDevice("message");
    requireHalf("device", envelope);
    this.#forgetOld();
    const tried = [this.#current ?? [], this.#candidates.slice().reverse()].flat();
    if (tried.length === 0) {
      throw new LegacyError("no_keys", "Cannot open the message: there are no keys for the device");
    }
    const now = secondsOf(this.#now());
    const fresh = [now - this.#maxSkew, now + this.#maxSkew] as const;
    for (const association of tried) {
      const received = association.open(envelope, fresh);
      if (received === null) continue;
      const first = association !== this.#current;
      if (first) this.#confirm(association);
      return arrivalOf(received, association, {
        counter: envelope.counter,
        first,
        save: this.reserve(),
        seconds: () => secondsOf(this.#now()),
      });
    }
    throw new LegacyError("forged", "Cannot open the message: its tag does not verify");
  }

  /**
   * Calls the device: the bytes to send, and to send again until a response with this id comes.
   * @throws LegacyError "no_keys" | "not_reserved" | "malformed" | "too_large" | "exhausted"
   */
  request(request: RpcRequest): Uint8Array {
    this.#forgetOld();
    if (this.#current === null) {
      throw new LegacyError("no_keys", "Cannot call the device: it has not shown its keys");
    }
    return this.#current.seal(request, secondsOf(this.#now()));
  }

  /** The state with the next 100 counters stored as used; they may be used once it is stored. */
  reserve(): Save {
    const current = this.#current?.snapshot();
    const candidates = this.#candidates.map((candidate) => candidate.snapshot().record);
    const state = encodeState(this.#device, { current: current?.record ?? null, candidates });
    return { state, stored: () => current?.stored() };
  }

  /** Overwrites the keys: the device is revoked, or this is dropped. */
  wipe(): void {
    this.#current?.wipe();
    this.#current = null;
    for (const candidate of this.#candidates) this.#drop(candidate);
  }

  get #who() {
    return { device: this.#device, side: "gateway" } as const;
  }

  #now(): number {
    return Math.max(0, this.#clock());
  }

  /** The device has chosen. Other candidates stay: it may have heard a later approve by now. */
  #confirm(association: Association): void {
    this.#current?.wipe();
    this.#current = association;
    this.#candidates = this.#candidates.filter((candidate) => candidate !== association);
  }

  #drop(candidate: Association): void {
    candidate.wipe();
    this.#candidates = this.#candidates.filter((other) => other !== candidate);
  }

  #forgetOld(): void {
    const now = this.#now();
    if (this.#current !== null && now > this.#current.expires) {
      this.#current.wipe();
      this.#current = null;
    }
    for (const candidate of this.#candidates) {
      if (now > candidate.since + candidateAge) this.#drop(candidate);
    }
  }
}

function wrongDevice(what: string): LegacyError {
  return new LegacyError("wrong_device", `Cannot take the ${what}: it is another device's`);
}
