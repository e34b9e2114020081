/**
 * The device's side of profile v1: no I/O, no clock of its own. For the simulator, and as the model of
 * firmware; like the gateway's side it has what `save` holds stored before it acts or sends.
 *
 * An approve proves nothing, so it is taken only while the device is connecting, and once. Who slips
 * in a forged one gains a device that gets no answers, and so connects again.
 */
import type { Clock } from "../../base/clock.ts";
import type { Id } from "../../base/id.ts";
import type { Secret } from "../../base/secret.ts";
import type { KeyPair, Suite } from "../crypto.ts";
import { type Arrival, arrivalOf, type Save, secondsOf } from "./arrival.ts";
import { Association, requireHalf } from "./_association.ts";
import { decodeApprove, encodeConnect, type LegacyPsk, proofOf } from "./connect.ts";
import { LegacyError } from "./error.ts";
import { agree, type HmacLabel, hmacLabels } from "./keys.ts";
import type { Envelope } from "./message.ts";
import type { RpcRequest } from "./rpc.ts";
import { decodeState, encodeState } from "./_state.ts";

export interface DeviceSideOptions {
  readonly device: Id;
  readonly psk: LegacyPsk | null;
  /** The time of day as far as the device knows it. */
  readonly clock: Clock;
  /** What was stored last, if anything was. */
  readonly state?: Secret;
  /** The key that it is known by; a fresh one for each connecting when not given. */
  readonly keyPair?: KeyPair;
  /** How this device spells the label of its HMAC key. */
  readonly label?: HmacLabel;
}

export class DeviceSide {
  readonly #suite: Suite;
  readonly #options: DeviceSideOptions;
  #current: Association | null;
  /** The key pair of a connect that waits for its approve. */
  #connecting: KeyPair | null = null;

  /** @throws LegacyError "malformed" when the state is not this device's */
  constructor(suite: Suite, options: DeviceSideOptions) {
    this.#suite = suite;
    this.#options = options;
    const { current } = options.state === undefined
      ? { current: null }
      : decodeState(options.device, options.state);
    this.#current = current && new Association(suite, this.#who, current);
  }

  /** Whether it has keys to call with; whether the gateway has them too shows with an answer. */
  get isApproved(): boolean {
    return this.#current !== null && this.#options.clock() <= this.#current.expires;
  }

  /** Whether the gateway has used the keys. */
  get isConfirmed(): boolean {
    return this.isApproved && this.#current!.isConfirmed;
  }

  /** Whether `reserve` must be called and stored before the device can send again. */
  get mustReserve(): boolean {
    return this.#current?.mustReserve ?? false;
  }

  /** The bytes to publish, the same ones until an approve has come. Keys at hand stay in use. */
  connect(): Uint8Array {
    const { device, psk, keyPair } = this.#options;
    this.#connecting ??= keyPair ?? this.#suite.x25519.keyPair();
    const { publicKey } = this.#connecting;
    const proof = psk && proofOf(this.#suite, psk, { device, publicKey });
    return encodeConnect({ device, publicKey, proof });
  }

  /**
   * Takes the gateway's answer to a connect.
   * @throws LegacyError "not_connecting" | "malformed" | "low_order"
   */
  approve(bytes: Uint8Array): Save {
    const pair = this.#connecting;
    if (pair === null) {
      throw new LegacyError("not_connecting", "Cannot take the approve: nothing waits for it");
    }
    const peer = decodeApprove(bytes);
    const keys = agree(this.#suite, pair, peer, {
      labels: [this.#options.label ?? hmacLabels[0]],
    });
    this.#forgetConnecting();
    this.#current?.wipe();
    const since = Math.max(0, this.#options.clock());
    this.#current = Association.begin(this.#suite, this.#who, { keys, peer, since });
    return this.reserve();
  }

  /**
   * Opens a message of the gateway.
   * @throws LegacyError "wrong_device" | "wrong_half" | "no_keys" | "forged" | "malformed" |
   * "mismatched" | "wrong_hmac" | "replayed": none of them leaves a trace in the state
   */
  open(envelope: Envelope): Arrival {
    if (envelope.device !== this.#options.device) {
      throw new LegacyError("wrong_device", "Cannot take the message: it is another device's");
    }
    requireHalf("gateway", envelope);
    const association = this.#association();
    const first = !association.isConfirmed;
    const received = association.open(envelope);
    if (received === null) {
      throw new LegacyError("forged", "Cannot open the message: its tag does not verify");
    }
    const { counter } = envelope;
    const seconds = () => this.#seconds();
    return arrivalOf(received, association, { counter, first, save: this.reserve(), seconds });
  }

  /**
   * Calls the gateway: the bytes to send, and to send again until a response with this id comes.
   * @throws LegacyError "no_keys" | "not_reserved" | "malformed" | "too_large" | "exhausted"
   */
  request(request: RpcRequest): Uint8Array {
    return this.#association().seal(request, this.#seconds());
  }

  /** The state with the next 100 counters stored as used; they may be used once it is stored. */
  reserve(): Save {
    const current = this.#current?.snapshot();
    const record = current?.record ?? null;
    const state = encodeState(this.#options.device, { current: record, candidates: [] });
    return { state, stored: () => current?.stored() };
  }

  /** Overwrites the keys. */
  wipe(): void {
    this.#current?.wipe();
    this.#current = null;
    this.#forgetConnecting();
  }

  #forgetConnecting(): void {
    if (this.#connecting !== this.#options.keyPair) this.#connecting?.secretKey.fill(0);
    this.#connecting = null;
  }

  get #who() {
    return { device: this.#options.device, side: "device" } as const;
  }

  #association(): Association {
    if (this.isApproved) return this.#current!;
    throw new LegacyError("no_keys", "Cannot use the keys: there are none, or they are too old", {
      hint: "connect again",
    });
  }

  #seconds(): number {
    return secondsOf(this.#options.clock());
  }
}
