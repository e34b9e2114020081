/**
 * A device played by this program, which speaks with its site over a broker as a real one would: it
 * connects, waits to be let in, calls, and answers when it is called. It promises that a call with an
 * effect has one id for its life: it is noted in the flash before it is sent first, and made again
 * with that id, in whatever session and after whatever reboot, until its end is known.
 */
import { toBase64url, toHex } from "../../core/base/bytes.ts";
import type { Clock } from "../../core/base/clock.ts";
import type { Id } from "../../core/base/id.ts";
import type { Log } from "../../core/services/logging.ts";
import { pause } from "../../core/services/pause.ts";
import { ChannelError, Refusal } from "../../core/services/sessions/mod.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { fingerprint } from "../../core/trust/fingerprint.ts";
import type { Json, JsonObject, RpcRequest } from "../../core/wire/json_rpc.ts";
import { fingerprintText } from "../../core/wire/peer.ts";
import type { BrokerAccess } from "./sensor_connection.ts";
import { type SensorCounts, Tally } from "./sensor_counts.ts";
import { type Flash, type PendingCall, pendingLimit } from "./sensor_flash.ts";
import { Frames, type SentFrame } from "./sensor_frames.ts";
import { introduce, type Introduction, type SensorProfile } from "./sensor_introduction.ts";
import { LegacyLink } from "./sensor_legacy.ts";
import { type SensorCall, SensorError, type SensorLink, stoppedError } from "./sensor_link.ts";
import { SensorMethods } from "./sensor_methods.ts";
import { harmless, type OnMisdeed, type SensorMischief } from "./sensor_misbehaviour.ts";
import { sessionLink } from "./sensor_session.ts";

export { SensorError } from "./sensor_link.ts";
export type { SensorProfile } from "./sensor_introduction.ts";

export interface SensorOptions extends Introduction {
  readonly suite: Suite;
  readonly log: Log;
  /** Who it is, and what it remembers; the sensor closes it. */
  readonly flash: Flash;
  /** A user's name and a password are not kept. */
  readonly broker?: Partial<BrokerAccess>;
  /** Hears what the device shows while it waits for approval, and null when it is let in. */
  readonly onApproval?: (shown: string | null) => void;
  /** Behaves well unless told. */
  readonly mischief?: SensorMischief;
  /** In [0, 1): spreads the repetitions of many devices. */
  readonly random?: () => number;
  /** Milliseconds that never go backwards; those of the process unless given. */
  readonly monotonic?: Clock;
}

export interface CallOptions {
  /** Milliseconds; without end unless said. */
  readonly within?: number;
  /** Gives the call up when it aborts. */
  readonly signal?: AbortSignal;
}

/** Milliseconds for an answer; then the call is made again. */
const answerTime = 30_000;
const firstWait = 250;
const longestWait = 10_000;
/**
 * Refusals that say "not now", or of which nobody knows what was before them: a call with an effect is
 * made again, and its id keeps it from happening twice.
 */
const later = /^(rate_limited|hook_busy|hook_down|too_many_calls|unavailable|db_.*)$/;
/** Refusals that show that the device is let in: others may be of its session. */
const heardIn = new Set(["not_allowed", "method_not_found", "rate_limited"]);

export class Sensor implements AsyncDisposable {
  readonly id: Id;
  readonly profile: SensorProfile;
  /** Of the key by which its site knows it, as people see it. */
  readonly fingerprint: string;
  readonly mischief: SensorMischief;
  readonly broker: BrokerAccess;
  readonly #options: SensorOptions;
  readonly #flash: Flash;
  readonly #tally = new Tally();
  readonly #frames: Frames;
  readonly #stop = new AbortController();
  #link: SensorLink | undefined;
  #ending: Promise<void> = Promise.resolve();
  #connections = 0;
  /** What it shows to be let in. */
  #shown: string | null = null;

  /** It is off until it is started, or makes a call. @throws SensorError "usage" */
  constructor(options: SensorOptions) {
    const { suite, flash, mischief = harmless } = options;
    const { profile, url } = introduce(flash, options);
    this.id = flash.id;
    this.profile = profile;
    this.fingerprint = fingerprintText(fingerprint(suite, "X25519", flash.noise.publicKey));
    this.mischief = mischief;
    this.broker = { ...options.broker, url };
    this.#options = options;
    this.#flash = flash;
    this.#frames = new Frames(mischief, this.#tally.misdeed);
  }

  /** Whether its site has ever answered it. */
  get isAuthorized(): boolean {
    return this.#flash.state.authorized;
  }

  get counts(): SensorCounts {
    return this.#tally.counts;
  }

  /** The number of its last call with an effect. */
  get acts(): number {
    return this.#flash.state.acts;
  }

  /** Whether nobody but a person at its site can let it in. */
  get needsApproval(): boolean {
    const { authorized, site } = this.#flash.state;
    return !authorized && (this.profile === "v1" || (site?.code ?? null) === null);
  }

  /**
   * Switches it on: resolves when its first call is answered, and those that an earlier life has left.
   * @throws SensorError "stopped" when the signal aborts before; Refusal when the site says no
   */
  async start({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const { site, pending } = this.#flash.state;
    const isKnownKey = this.profile === "v1" || (site?.noise_key ?? null) !== null;
    if (this.needsApproval && isKnownKey) this.#show(`fingerprint ${this.fingerprint}`);
    await this.call("time", undefined, { ...(signal !== undefined && { signal }) }).catch(
      (error) => {
        if (!(error instanceof Refusal && this.isAuthorized)) throw error;
      },
    );
    for (const call of pending) {
      await this.#finish(call, { signal, isNew: false }).catch(ignoreRefusal);
    }
  }

  /**
   * Makes a call that may happen more than once, again and again until it is answered.
   * @throws Refusal with the site's code; SensorError "no_answer", "stopped"
   */
  call(method: string, params?: RpcRequest["params"], options: CallOptions = {}): Promise<Json> {
    const call = { method, once: null, ...(params !== undefined && { params }) };
    return this.#counted(() => this.#ask(call, options));
  }

  /**
   * Makes a call that has an effect, with an id of its own, until its end is known.
   * @throws Refusal with the site's code, or "outcome_unknown": it has happened, or not; SensorError
   * "no_answer" and "stopped", when the next start goes on with it; "too_many_calls"
   */
  async act(method: string, params: JsonObject, options: CallOptions = {}): Promise<Json> {
    const { acts, pending } = this.#flash.state;
    if (pending.length >= pendingLimit) {
      throw new SensorError("too_many_calls", "Cannot call: too many wait for their answers");
    }
    const once = toHex(this.#options.suite.randomBytes(16));
    const call = { method, params: params as PendingCall["params"], once };
    this.#flash.write({ acts: acts + 1, pending: [...pending, call] });
    return await this.#finish(call, { ...options, isNew: true });
  }

  /** Loses its power for a moment: what is not in the flash is gone. It comes back with the next call. */
  async reboot(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    await (this.#ending = this.#ending.then(() => link?.[Symbol.asyncDispose]()));
  }

  /** Loses its connection to the broker for so many milliseconds, and keeps its session. */
  async disconnect(milliseconds: number): Promise<void> {
    await this.#link?.connection?.break(milliseconds);
  }

  /** The frames that it sent last, as whoever listens at the broker knows them. */
  get overheard(): readonly SentFrame[] {
    return this.#frames.old;
  }

  /** Publishes what is no frame. */
  async utter({ topic, payload }: SentFrame): Promise<void> {
    await this.#link?.connection?.utter(topic, payload);
  }

  /** Counts what it does wrong beyond its frames. */
  get onMisdeed(): OnMisdeed {
    return this.#tally.misdeed;
  }

  /** Switches it off. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.reboot();
    this.#flash[Symbol.dispose]();
  }

  async #finish(
    call: PendingCall,
    { isNew, ...options }: { signal?: AbortSignal | undefined; within?: number; isNew: boolean },
  ): Promise<Json> {
    const settled = () => {
      const pending = this.#flash.state.pending.filter(({ once }) => once !== call.once);
      this.#flash.write({ pending });
    };
    try {
      const result = await this.#counted(() => {
        if (!isNew && this.profile === "v1") throw lostWithMemory();
        return this.#ask(call, options);
      });
      settled();
      return result;
    } catch (error) {
      if (error instanceof Refusal) settled();
      throw error;
    }
  }

  async #counted(make: () => Promise<Json>): Promise<Json> {
    this.#tally.add("calls_sent");
    try {
      const result = await make();
      this.#tally.add("calls_done");
      return result;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.code === "outcome_unknown") this.#tally.add("unknown");
      else this.#tally.refused(error.code);
      throw error;
    }
  }

  async #ask(
    call: SensorCall,
    { within = Infinity, signal }: { within?: number; signal?: AbortSignal | undefined },
  ): Promise<Json> {
    const { log, random = Math.random, monotonic = () => performance.now() } = this.#options;
    const given = signal === undefined
      ? this.#stop.signal
      : AbortSignal.any([signal, this.#stop.signal]);
    const until = monotonic() + within;
    for (let wait = firstWait;;) {
      if (given.aborted) throw stoppedError(this.id);
      const left = until - monotonic();
      if (left <= 0) {
        throw new SensorError("no_answer", `No answer to "${this.id}" in ${within} ms`);
      }
      // an effect by v1 is one message, and is never made anew
      const isOneMessage = this.profile === "v1" && call.once !== null;
      const time = isOneMessage ? left : Math.min(answerTime, left);
      try {
        const link = await this.#powered();
        const result = await orAborted(link.call(call, time), given);
        this.#heard(link);
        return result;
      } catch (error) {
        if (given.aborted) throw stoppedError(this.id);
        const mustWait = error instanceof Refusal && call.once !== null && later.test(error.code);
        if (error instanceof Refusal) {
          if (heardIn.has(error.code)) this.#heard(this.#link);
          if (!mustWait) throw error;
        } else if (!isTransient(error)) throw error;
        log.debug("a call is made again", { device: this.id, method: call.method, error });
        this.#tally.add("repeated");
        wait = mustWait ? Math.min(2 * wait, longestWait) : firstWait;
      }
      await pause(wait * (0.5 + random() / 2), given);
    }
  }

  async #powered(): Promise<SensorLink> {
    await this.#ending;
    if (this.#stop.signal.aborted) throw stoppedError(this.id);
    return this.#link ??= this.#switchOn();
  }

  #switchOn(): SensorLink {
    const { suite, log, monotonic = () => performance.now() } = this.#options;
    const [flash, tally, frames, broker] = [this.#flash, this.#tally, this.#frames, this.broker];
    const options = {
      ...{ suite, flash, broker, log, frames, tally },
      methods: new SensorMethods({ flash, tally, monotonic }),
      onWords: (words: string | null) => {
        if (words !== null) this.#show(words);
      },
      onUp: () => {
        if (++this.#connections > 1) tally.add("reconnects");
      },
    };
    return this.profile === "v1" ? new LegacyLink(options) : sessionLink(options);
  }

  #show(shown: string): void {
    if (this.#shown === shown || this.isAuthorized) return;
    this.#options.onApproval?.(this.#shown = shown);
  }

  /** Its site has answered: it is let in, and knows whom to talk to from now on. */
  #heard(link: SensorLink | undefined): void {
    const { authorized, site } = this.#flash.state;
    if (authorized) return;
    const pinned = link?.pinned ?? null;
    const isNews = pinned !== null && (site?.noise_key ?? null) === null;
    this.#flash.write({
      authorized: true,
      ...(isNews && {
        site: {
          site: pinned.site,
          noise_key: toBase64url(pinned.remoteStatic),
          code: site?.code ?? null,
        },
      }),
    });
    if (this.#shown !== null) this.#options.onApproval?.(this.#shown = null);
  }
}

/** Whether the next attempt may have more luck: nobody has said no. */
function isTransient(error: unknown): boolean {
  return error instanceof ChannelError ||
    error instanceof SensorError && (error.code === "no_answer" || error.code === "stopped");
}

/** Rejects as soon as the signal aborts. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}

/** A message of v1 that was in the memory only. */
function lostWithMemory(): Refusal {
  return new Refusal("outcome_unknown", "The message that made the call was lost with the power");
}

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof Refusal)) throw error;
}
