/**
 * A sensor's connection to its broker, under its own id as the real ones have it. It comes back by itself
 * when the broker does; it can be told to break, and every frame passes the sensor's mischief.
 */
import type { Id } from "../../core/base/id.ts";
import type { Secret } from "../../core/base/secret.ts";
import type { Log } from "../../core/services/logging.ts";
import { pause } from "../../core/services/pause.ts";
import {
  connectMqtt,
  type ConnectOptions,
  type MqttConnection,
  MqttError,
  type MqttHandler,
  type MqttMessage,
  type TlsFiles,
} from "../../core/services/mqtt/mod.ts";
import type { DeviceConnection } from "../../core/services/sessions/mod.ts";
import type { Frames, SentFrame } from "./sensor_frames.ts";

/** How devices reach their broker. */
export interface BrokerAccess {
  /** mqtt://, mqtts://, ws:// or wss:// */
  readonly url: string;
  readonly username?: string;
  readonly password?: Secret<string>;
  readonly tls?: TlsFiles;
}

export interface SensorConnectionOptions {
  readonly id: Id;
  readonly broker: BrokerAccess;
  readonly log: Log;
  readonly frames: Frames;
  /** Hears each time that the broker is there. */
  readonly onUp: () => void;
  /** Sees what comes, before it is dealt with. */
  readonly onMessage?: (message: MqttMessage) => void;
}

interface Wish {
  readonly filter: string;
  readonly handler: MqttHandler;
  /** Ends it at the present connection. */
  end: (() => Promise<void>) | undefined;
}

export class SensorConnection implements DeviceConnection {
  readonly #options: SensorConnectionOptions;
  readonly #wishes: Wish[] = [];
  #inner: MqttConnection | null;
  #breaking: Promise<void> = Promise.resolve();
  readonly #stop = new AbortController();

  private constructor(options: SensorConnectionOptions, inner: MqttConnection) {
    this.#options = options;
    this.#inner = inner;
  }

  /** Resolves when the first attempt has ended. @throws MqttError "mqtt_url", "mqtt_tls" */
  static async open(options: SensorConnectionOptions): Promise<SensorConnection> {
    return new SensorConnection(options, await connect(options));
  }

  /** Resolves at once with a frame that is held back. @throws MqttError */
  async publish(topic: string, payload: Uint8Array): Promise<void> {
    const inner = this.#inner;
    if (inner === null) {
      throw new MqttError("mqtt_down", "Cannot publish: the connection is broken");
    }
    const { frames } = this.#options;
    const frame = { topic, payload };
    const [first, ...others] = frames.instead(frame);
    if (first === undefined) return void this.#releaseLater(frame);
    const sent = inner.publish(first.topic, first.payload);
    for (const one of others) this.#publishAside(one);
    await sent;
  }

  /** Sends something as it is, and not as a frame of the device's. */
  async utter(topic: string, payload: Uint8Array): Promise<void> {
    await this.#inner?.publish(topic, payload);
  }

  async subscribe(filter: string, handler: MqttHandler): Promise<() => Promise<void>> {
    const seen = (message: MqttMessage) => {
      this.#options.onMessage?.(message);
      handler(message);
    };
    const wish: Wish = { filter, handler: seen, end: undefined };
    this.#wishes.push(wish);
    wish.end = await this.#inner?.subscribe(filter, seen);
    return async () => {
      this.#wishes.splice(this.#wishes.indexOf(wish), 1);
      await wish.end?.();
    };
  }

  async #releaseLater(frame: SentFrame): Promise<void> {
    await pause(longestHold, this.#stop.signal);
    const late = this.#options.frames.release(frame);
    if (late !== null) this.#publishAside(late);
  }

  /** Nobody waits for it. */
  #publishAside({ topic, payload }: SentFrame): void {
    this.#inner?.publish(topic, payload).catch((error) => {
      this.#options.log.debug("frame lost", { error });
    });
  }

  /** Hangs up, and connects anew after the time. */
  break(milliseconds: number): Promise<void> {
    return this.#breaking = this.#breaking.then(async () => {
      const inner = this.#inner;
      if (inner === null) return;
      this.#inner = null;
      await inner[Symbol.asyncDispose]();
      await pause(milliseconds, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      const next = this.#inner = await connect(this.#options);
      for (const wish of this.#wishes) wish.end = await next.subscribe(wish.filter, wish.handler);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#breaking.catch(() => {});
    await this.#inner?.[Symbol.asyncDispose]();
    this.#inner = null;
  }
}

/** How long a frame is held back when none follows, in milliseconds. */
const longestHold = 300;

function connect({ id, broker, log, onUp }: SensorConnectionOptions): Promise<MqttConnection> {
  const options: ConnectOptions = {
    ...{ ...broker, clientId: id, log },
    onState(state) {
      if (state === "up") onUp();
    },
  };
  return connectMqtt(options);
}
