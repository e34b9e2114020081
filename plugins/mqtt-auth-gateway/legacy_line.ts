/**
 * One device of profile v1, as the gateway holds it: its keys, which are stored before anything is done
 * under them, and the calls to it that wait for an answer. What concerns its keys happens one at a time.
 */
import type { Clock } from "../../core/base/clock.ts";
import type { Id } from "../../core/base/id.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import type { Save } from "../../core/trust/legacy/arrival.ts";
import { type Connect, type LegacyPsk, pskOfCode } from "../../core/trust/legacy/connect.ts";
import { GatewaySide } from "../../core/trust/legacy/gateway_side.ts";
import type { RpcResponse } from "../../core/trust/legacy/rpc.ts";
import type { LegacyStore } from "./legacy_store.ts";

/** Messages of one device that may wait for their turn, and calls either way that may run. */
const waitingLimit = 16;
export const runningLimit = 16;

export interface LineOptions {
  readonly suite: Suite;
  readonly store: LegacyStore;
  readonly clock: Clock;
  /** Seconds by which a device's clock may differ. */
  readonly maxSkew?: number;
}

export class Line {
  readonly id: Id;
  readonly #options: LineOptions;
  #side: GatewaySide | null | undefined;
  #psk: LegacyPsk | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #isOver = false;
  /** Calls of the device that are being answered. */
  running = 0;
  /** The connect with which it waits for its approval. */
  connect: Connect | null = null;
  /** The last approve, as long as no message has come under its keys. */
  approve: { readonly key: Uint8Array; readonly bytes: Uint8Array; readonly at: number } | null =
    null;
  /** Calls to the device, by their ids. */
  readonly calls = new Map<string | number, (response: RpcResponse | null) => void>();

  constructor(id: Id, options: LineOptions) {
    this.id = id;
    this.#options = options;
  }

  /** Does something when it is its turn; gives undefined, and does nothing, when too much waits. */
  async take<T>(job: () => Promise<T>): Promise<T | undefined> {
    if (this.#waiting >= waitingLimit) return undefined;
    this.#waiting++;
    const done = this.#turn.then(job, job);
    this.#turn = done.catch(() => {});
    try {
      return await done;
    } finally {
      this.#waiting--;
    }
  }

  /** What its connects are proved with: in memory, so that a flood of them costs no look at the disk. */
  async psk(): Promise<LegacyPsk | null> {
    if (this.#psk !== undefined) return this.#psk;
    const code = await this.#options.store.psk(this.id);
    if (code === null || this.#isOver) return null;
    try {
      return this.#psk = pskOfCode(this.#options.suite, code.reveal());
    } finally {
      code.wipe();
    }
  }

  /** The keys, as they are stored; null when there are none. Only for whose turn it is. */
  async side(): Promise<GatewaySide | null> {
    if (this.#side !== undefined) return this.#side;
    const { suite, store, clock, maxSkew } = this.#options;
    const state = await store.keys(this.id);
    if (state === null) return this.#side = null;
    const options = { device: this.id, clock, ...(maxSkew !== undefined && { maxSkew }) };
    try {
      return this.#side = new GatewaySide(suite, { ...options, state });
    } finally {
      state.wipe();
    }
  }

  /** The keys, or a place for the first ones. */
  async sideOrNew(): Promise<GatewaySide> {
    const { suite, clock, maxSkew } = this.#options;
    const options = { device: this.id, clock, ...(maxSkew !== undefined && { maxSkew }) };
    return await this.side() ?? (this.#side = new GatewaySide(suite, options));
  }

  /** Stores a new state. Where that fails, what is stored counts. */
  async save(side: GatewaySide, save: Save): Promise<void> {
    const { store, clock } = this.#options;
    try {
      if (this.#isOver) throw new Error("Cannot keep the keys: the device has lost them");
      await store.putKeys(this.id, save.state, side.expires ?? clock());
      save.stored();
    } catch (error) {
      this.drop();
      throw error;
    } finally {
      save.state.wipe();
    }
  }

  /** Forgets the keys in memory. */
  drop(): void {
    this.#side?.wipe();
    this.#side = undefined;
    this.approve = null;
  }

  /** Ends everything that goes on. */
  end(): void {
    this.#isOver = true;
    this.drop();
    this.#psk?.wipe();
    this.#psk = undefined;
    this.connect = null;
    for (const settle of [...this.calls.values()]) settle(null);
    this.calls.clear();
  }
}
