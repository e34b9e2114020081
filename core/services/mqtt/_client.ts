/**
 * The client that stays: it keeps a link to the broker, opens a new one with growing delays when it
 * is lost, and subscribes again to everything that is still wanted.
 *
 * Delivery is at least once (QoS 1) while connected. Nothing is queued: what is published while the
 * broker is away fails at once with "mqtt_down", and what is under way when the connection ends
 * fails too, although it may have arrived. Callers that must not lose a message keep it and repeat it.
 */
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Secret } from "../../base/secret.ts";
import type { Log } from "../logging.ts";
import type { Metrics } from "../metrics.ts";
import { pause } from "../pause.ts";
import { backoff } from "./_backoff.ts";
import type { BrokerUrl } from "./_broker_url.ts";
import { MqttError } from "./_errors.ts";
import { type Ending, type Link, LinkLost, type MqttMessage, openLink } from "./_link.ts";
import { reconnections } from "./_meters.ts";
import { defaultPacketLimit } from "./_packet_limit.ts";
import type { BrokerFacts } from "./_probe.ts";
import { RivalWatch } from "./_rival.ts";
import { type MqttHandler, type Subscription, Subscriptions } from "./_subscriptions.ts";
import type { TlsFiles } from "./_tls_files.ts";
import { isFilter, isTopic } from "./_topic.ts";

/** What roles see of the connection to the broker. */
export interface MqttClient {
  /**
   * Sends a message, QoS 1 unless said; resolves when the broker has it (QoS 0: when it is written).
   * @throws MqttError "mqtt_down", "mqtt_busy", "mqtt_timeout" (10 s), "mqtt_topic", "mqtt_too_large"
   */
  publish(topic: string, payload: Uint8Array, options?: { qos?: 0 | 1 }): Promise<void>;
  /**
   * Calls the handler for every message that matches, until the returned function is called. While
   * the broker is away the wish is remembered. A message that says that the broker has retained it
   * is an old one: when it was sent, and by whom, is unknown, and nothing may be done because of it.
   * @throws MqttError "mqtt_refused", "mqtt_topic"
   */
  subscribe(filter: string, handler: MqttHandler): Promise<() => Promise<void>>;
  /** Whether messages flow: connected, and subscribed to everything that is wanted. */
  readonly connected: boolean;
  /** How it has been with the broker, as of now. */
  readonly broker: BrokerHistory;
}

/** What a client knows of its broker and of the way there. */
export interface BrokerHistory {
  /** Its address, for people. */
  readonly url: string;
  /** Unix milliseconds since when it is connected, or is not. */
  readonly since: number;
  /** Connections that were made after the first. */
  readonly reconnects: number;
  /** Another client seems to use our client id: each takes the connection from the other. */
  readonly hasRival: boolean;
  /** What it does; null when it was not found out. */
  readonly facts: BrokerFacts | null;
}

/**
 * "impaired": it is up, and another client seems to use our client id, or the broker does not do what is
 * needed.
 */
export type LinkState = "up" | "impaired" | "down";

export interface ClientOptions {
  url: BrokerUrl;
  clientId: string;
  username?: string;
  password?: Secret<string>;
  tls?: TlsFiles;
  log: Log;
  /** Hears of every change of the state or its reason; `detail` is a sentence part for people. */
  onState?: (state: LinkState, detail: string) => void;
  /** Another client seems to use our client id, as of now. */
  onRival?: () => void;
  /** The broker has kept a message and given it out again: at most once a minute. */
  onRetained?: (topic: string) => void;
  metrics?: Metrics;
  clock?: Clock;
  /** Milliseconds before attempt `n`; `most` bounds them. Default: see `_backoff.ts`. */
  wait?: (n: number, most?: number) => number;
  /** Milliseconds for which a rival is remembered. Default: see `_rival.ts`. */
  memory?: number;
}

/** Publishes without an answer yet; more are refused, so that a slow broker costs bounded memory. */
const maxInFlight = 1_000;
/** Topic, packet id and header beside the payload, at most. */
const packetOverhead = 4 * 1024;
/** Milliseconds after which a connection counts as good, and the delays start over. */
const steady = 10_000;
/** Milliseconds between two complaints about kept messages: anybody may leave one. */
const retainedInterval = 60_000;
/** The longest delay, in milliseconds, when somebody else uses our client id. */
const rivalDelay = 60_000;

export class ReconnectingClient implements MqttClient, AsyncDisposable {
  readonly #options: ClientOptions;
  readonly #subscriptions: Subscriptions;
  readonly #stop = new AbortController();
  readonly #settled = Promise.withResolvers<void>();
  readonly #running: Promise<void>;
  #link: Link | undefined;
  /** Filters that the present link has. */
  #granted = new Set<string>();
  /** Per filter the last SUBSCRIBE or UNSUBSCRIBE: brokers may run two at once in either order. */
  readonly #turns = new Map<string, Promise<void>>();
  #up = false;
  #since: number;
  #connections = 0;
  #facts: BrokerFacts | null = null;
  readonly #rivals: RivalWatch;
  readonly #clock: Clock;
  readonly #reconnected: () => void;
  #announced: { state: LinkState; detail: string } | undefined;
  #inFlight = 0;
  #nextRetained = -Infinity;

  constructor(options: ClientOptions) {
    const { clock = Date.now, memory, metrics } = options;
    this.#options = options;
    this.#clock = clock;
    this.#since = clock();
    this.#rivals = new RivalWatch(memory === undefined ? {} : { memory });
    this.#reconnected = reconnections(metrics);
    this.#subscriptions = new Subscriptions((filter, thrown) => {
      options.log.error("MQTT handler failed", { filter, error: messageOf(thrown) });
    });
    this.#running = this.#run();
  }

  /** Resolves when the first attempt to connect has succeeded or failed. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  get connected(): boolean {
    return this.#up;
  }

  get broker(): BrokerHistory {
    return {
      url: this.#options.url.text,
      since: this.#since,
      reconnects: Math.max(0, this.#connections - 1),
      hasRival: this.#hasRival(),
      facts: this.#facts,
    };
  }

  /** Takes down what was found out about the broker. */
  learn(facts: BrokerFacts): void {
    this.#facts = facts;
  }

  async publish(topic: string, payload: Uint8Array, options: { qos?: 0 | 1 } = {}): Promise<void> {
    if (!isTopic(topic)) throw new MqttError("mqtt_topic", "Cannot publish: not a topic name");
    if (payload.length > defaultPacketLimit - packetOverhead) {
      throw new MqttError("mqtt_too_large", `Cannot publish ${payload.length} bytes: too large`);
    }
    const link = this.#link;
    if (link === undefined) {
      throw new MqttError("mqtt_down", "Cannot publish: there is no connection to the broker");
    }
    if (this.#inFlight >= maxInFlight) {
      throw new MqttError(
        "mqtt_busy",
        "Cannot publish: too many messages await the broker's answer",
      );
    }
    this.#inFlight++;
    try {
      await link.publish(topic, payload, { qos: options.qos ?? 1 });
    } finally {
      this.#inFlight--;
    }
  }

  async subscribe(filter: string, handler: MqttHandler): Promise<() => Promise<void>> {
    if (!isFilter(filter)) {
      throw new MqttError("mqtt_topic", "Cannot subscribe: not a topic filter");
    }
    const subscription: Subscription = { filter, handler };
    const end = () => {
      this.#subscriptions.remove(subscription);
      return this.#align(filter);
    };
    this.#subscriptions.add(subscription);
    try {
      await this.#align(filter);
    } catch (error) {
      await end();
      throw error;
    }
    return end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Makes the link's subscription to a filter what the handlers want, one step at a time. */
  #align(filter: string): Promise<void> {
    const last = this.#turns.get(filter) ?? Promise.resolve();
    const turn = last.catch(() => {}).then(async () => {
      const link = this.#link;
      const wanted = this.#subscriptions.has(filter);
      if (link === undefined || wanted === this.#granted.has(filter)) return;
      const granted = this.#granted;
      try {
        if (wanted) {
          await link.subscribe(filter);
          granted.add(filter);
        } else {
          granted.delete(filter);
          await link.unsubscribe(filter);
        }
      } catch (error) {
        // The next link starts from what is wanted then.
        if (!(error instanceof MqttError && error.code === "mqtt_down")) throw error;
      }
    });
    this.#turns.set(filter, turn);
    const forget = () => {
      if (this.#turns.get(filter) === turn) this.#turns.delete(filter);
    };
    turn.then(forget, forget);
    return turn;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { wait = (n, most) => backoff(n, Math.random(), most), onRival } = this.#options;
    for (let failures = 0; !signal.aborted; failures++) {
      const { reason, byBroker, lasted } = await this.#connection();
      this.#settled.resolve();
      if (signal.aborted) break;
      const hadRival = this.#hasRival();
      const how = { worked: lasted !== undefined, byBroker };
      const hasRival = this.#rivals.ended(how, performance.now());
      this.#announce("down", reason);
      if (hasRival && !hadRival) this.#guarded(() => onRival?.());
      if (!hasRival && lasted !== undefined && lasted > steady) failures = 0;
      await pause(wait(failures, hasRival ? rivalDelay : undefined), signal);
    }
    this.#settled.resolve();
    this.#announce("down", "stopped");
  }

  /** The life of one link: how it ended, and how many milliseconds it was open, if it ever was. */
  async #connection(): Promise<Ending & { lasted?: number }> {
    let opened: number | undefined;
    let ending: Ending;
    try {
      const link = await openLink({
        ...this.#options,
        signal: this.#stop.signal,
        onMessage: (message) => this.#receive(message),
      });
      opened = performance.now();
      this.#link = link;
      this.#granted = new Set();
      const ready = Promise.all(this.#subscriptions.filters().map((filter) => this.#renew(filter)));
      const ended = await Promise.race([ready.then(() => undefined), link.closed]);
      if (ended === undefined) {
        this.#up = true;
        this.#since = this.#clock();
        if (++this.#connections > 1) this.#reconnected();
        this.#announceUp();
        void this.#calmDown(link);
        this.#settled.resolve();
      }
      ending = await link.closed;
    } catch (error) {
      const byBroker = error instanceof LinkLost && error.ending.byBroker;
      ending = { reason: messageOf(error), byBroker };
    }
    this.#link = undefined;
    if (this.#up) this.#since = this.#clock();
    this.#up = false;
    return opened === undefined ? ending : { ...ending, lasted: performance.now() - opened };
  }

  #receive(message: MqttMessage): void {
    if (message.retained && performance.now() >= this.#nextRetained) {
      this.#nextRetained = performance.now() + retainedInterval;
      const { log, onRetained } = this.#options;
      log.warn("the broker gives out a message that it has kept", { topic: message.topic });
      this.#guarded(() => onRetained?.(message.topic));
    }
    this.#subscriptions.dispatch(message);
  }

  /** Subscribes anew after a reconnection. Nobody waits for this, so a refusal is only reported. */
  async #renew(filter: string): Promise<void> {
    try {
      await this.#align(filter);
    } catch (error) {
      this.#options.log.error("MQTT subscription lost", { filter, error: messageOf(error) });
    }
  }

  #hasRival(): boolean {
    return this.#rivals.left(performance.now()) > 0;
  }

  #announceUp(): void {
    this.#announce(this.#hasRival() ? "impaired" : "up", `connected to ${this.#options.url.text}`);
  }

  /** Says so when the connection has outlived the suspicion of a rival. */
  async #calmDown(link: Link): Promise<void> {
    const over = new AbortController();
    void link.closed.then(() => over.abort());
    for (;;) {
      const left = this.#rivals.left(performance.now());
      if (left === 0) break;
      await pause(left, over.signal);
      if (over.signal.aborted) return;
    }
    this.#announceUp();
  }

  #announce(state: LinkState, reason: string): void {
    const rival = `; another client seems to use our client id "${this.#options.clientId}"`;
    const detail = reason + (this.#hasRival() ? rival : "");
    const last = this.#announced;
    if (last?.state === state && last.detail === detail) return;
    this.#announced = { state, detail };
    const { log, onState, url } = this.#options;
    const level = state === "impaired" ? "warn" : "info";
    log[level](state === "down" ? "MQTT disconnected" : "MQTT connected", {
      ...{ broker: url.text, detail },
    });
    this.#guarded(() => onState?.(state, detail));
  }

  /** Runs what others have given. */
  #guarded(listener: () => void): void {
    try {
      listener();
    } catch (thrown) {
      this.#options.log.error("MQTT state listener failed", { error: messageOf(thrown) });
    }
  }
}
