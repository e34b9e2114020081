/**
 * One device of profile v1, as the gateway holds it: its keys, which are stored before anything is done
 * under them, and the calls to it that wait for an answer. What concerns its keys happens one at a time,
 * and only what comes from the device gets as far as waiting: nobody else takes its place.
 */
import type { Clock } from "../../core/base/clock.ts";
import type { Secret } from "../../core/base/secret.ts";
import type { Id } from "../../core/base/id.ts";
import type { Log } from "../../core/services/logging.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import type { Save } from "../../core/trust/legacy/arrival.ts";
import { type Connect, type LegacyPsk, pskOfCode } from "../../core/trust/legacy/connect.ts";
import { LegacyError } from "../../core/trust/legacy/error.ts";
import { GatewaySide } from "../../core/trust/legacy/gateway_side.ts";
import type { RpcResponse } from "../../core/trust/legacy/rpc.ts";
import type { LegacyStore } from "./legacy_store.ts";

/** Messages of one device that may wait for their turn, and calls either way that may run. */
const waitingLimit = 16;
export const runningLimit = 16;

export interface LineOptions {
  readonly suite: Suite;
  readonly store: Pick<LegacyStore, "psk" | "keys" | "putKeys">;
  readonly clock: Clock;
  readonly log: Log;
  /** Seconds by which a device's clock may differ. */
  readonly maxSkew?: number;
}

export class Line {
  readonly id: Id;
  readonly #options: LineOptions;
  #side: GatewaySide | null | undefined;
  #psk: Promise<LegacyPsk | null> | undefined;
  readonly #begun: Promise<unknown>;
  #turn: Promise<unknown>;
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
  /** Counters of messages that have come again, and are being answered again. */
  readonly repeating = new Set<number>();

  /** @param after what has to be over before anything that is stored is read */
  constructor(id: Id, options: LineOptions, after: Promise<unknown> = Promise.resolve()) {
    this.id = id;
    this.#options = options;
    this.#turn = this.#begun = after.catch(() => {});
  }

  /** Whether the device has lost its keys meanwhile, or its psk: another line may have begun. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get isFull(): boolean {
    return this.#waiting >= waitingLimit;
  }

  /** Does something when it is its turn; gives undefined, and does nothing, when too much waits. */
  async take<T>(job: () => Promise<T>): Promise<T | undefined> {
    if (this.isFull) return undefined;
    this.#waiting++;
    const done = this.#turn.then(() => this.#isOver ? undefined : job());
    this.#turn = done.catch(() => {});
    try {
      return await done;
    } finally {
      this.#waiting--;
    }
  }

  /** What its connects are proved with: in memory, so that a flood of them costs no look at the disk. */
  psk(): Promise<LegacyPsk | null> {
    return this.#psk ??= this.#readPsk();
  }

  async #readPsk(): Promise<LegacyPsk | null> {
    const { suite, store } = this.#options;
    try {
      await this.#begun;
      const code = await store.psk(this.id);
      if (code === null) return null;
      try {
        return pskOfCode(suite, code.reveal());
      } finally {
        code.wipe();
      }
    } catch (error) {
      this.#psk = undefined;
      throw error;
    }
  }

  /** The keys in memory; null when there are none, undefined when nobody has looked yet. */
  get loaded(): GatewaySide | null | undefined {
    return this.#side;
  }

  /** The keys, as they are stored; null when there are none. Only for whose turn it is. */
  async side(): Promise<GatewaySide | null> {
    if (this.#side !== undefined) return this.#side;
    const { store, log } = this.#options;
    const state = await store.keys(this.id);
    if (state === null) return this.#side = null;
    try {
      return this.#side = this.#newSide(state);
    } catch (error) {
      if (!(error instanceof LegacyError)) throw error;
      log.warn("stored keys cannot be read: the device has to connect again", { device: this.id });
      return this.#side = null;
    } finally {
      state.wipe();
    }
  }

  /** The keys, or a place for the first ones. */
  async sideOrNew(): Promise<GatewaySide> {
    return await this.side() ?? (this.#side = this.#newSide());
  }

  #newSide(state?: Secret): GatewaySide {
    const { suite, clock, maxSkew } = this.#options;
    return new GatewaySide(suite, {
      ...{ device: this.id, clock },
      ...(state !== undefined && { state }),
      ...(maxSkew !== undefined && { maxSkew }),
    });
  }

  /**
   * Stores the state as it is now, which holds all that `save` does: what has been opened meanwhile
   * waits for its turn, and must not be undone by what is older. Where that fails, what is stored counts.
   */
  async save(side: GatewaySide, save: Save): Promise<void> {
    const { store, clock } = this.#options;
    save.state.wipe();
    if (this.#isOver || this.#side !== side) {
      throw new LegacyError("no_keys", "Cannot keep the keys: others are in their place");
    }
    const latest = side.reserve();
    try {
      await store.putKeys(this.id, latest.state, side.expires ?? clock());
      latest.stored();
      save.stored();
    } catch (error) {
      this.#drop(side);
      throw error;
    } finally {
      latest.state.wipe();
    }
  }

  /** Takes back what a message has changed: it must not be acted on, and may come again. */
  undo(side: GatewaySide, save: Save): void {
    save.state.wipe();
    this.#drop(side);
  }

  /** Forgets the keys in memory, if they are these. */
  #drop(side: GatewaySide | null | undefined): void {
    if (this.#side !== side) return;
    side?.wipe();
    this.#side = undefined;
    this.approve = null;
  }

  /** Ends everything that goes on. */
  end(): void {
    this.#isOver = true;
    this.#drop(this.#side);
    void this.#psk?.then((psk) => psk?.wipe(), () => {});
    this.connect = null;
    for (const settle of [...this.calls.values()]) settle(null);
    this.calls.clear();
  }
}
