/**
 * The gate between a client's connection and aedes, which has no limits on sizes, rates or queues.
 *
 * aedes asks a connection for bytes and writes to it; the gate answers in the connection's place. In:
 * aedes gets whole packets, a few at a time, and none before the last ones are dealt with. What
 * exceeds a rate is not read from the connection, so the sender's own network slows it down; who
 * keeps that up is cut. Out: aedes would let one subscriber that does not read block the delivery to
 * all the others. Here only the site's own client may slow the senders down; any other subscriber is
 * cut when too much waits for it.
 */
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { clearTimeout, setImmediate, setTimeout } from "node:timers";
import { MqttError } from "./_errors.ts";
import { Framer } from "./_framer.ts";
import type { BrokerLimits, Reason } from "./_limits.ts";
import { packetMeter } from "./_packet_limit.ts";
import { TokenBucket } from "./_token_bucket.ts";

export interface GateOptions {
  readonly limits: BrokerLimits;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Ends the connection. */
  readonly cut: (reason: Reason, why: string) => void;
}

/** Packets handed to aedes at once, and publishes that it may be busy with. */
const batchSize = 32;
/** Bytes of publishes that aedes may be busy with; the last one may exceed them. */
const busyBytes = 256 * 1024;
/** Bytes that any packet costs beside its own, as it costs work. */
const packetCost = 32;

const connect = 1, publish = 3, puback = 4;

export class Gate {
  readonly #stream: Duplex;
  readonly #options: GateOptions;
  readonly #read: Duplex["read"];
  readonly #framer: Framer;
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  /** Only CONNECT passes, then nothing until the client is logged in. */
  #phase: "connect" | "login" | "open" | "closed" = "connect";
  #isFree = false;
  /** aedes is parsing what it got: it would lose its place if it got more. */
  #isParsing = false;
  #isHeld = false;
  /** Sizes of the packets that the client has not acknowledged, in their order. */
  readonly #unacknowledged: number[] = [];
  #unacknowledgedBytes = 0;
  #busy = { messages: 0, bytes: 0 };
  #overSince: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(stream: Duplex, options: GateOptions) {
    const { limits, now } = options;
    this.#stream = stream;
    this.#options = options;
    this.#framer = new Framer(limits.packetBytes);
    this.#messages = bucket(limits.messagesPerSecond, now());
    this.#bytes = bucket(limits.bytesPerSecond, now());
    this.#read = stream.read.bind(stream);
    stream.read = (size) => typeof size === "number" ? this.#read(size) : this.#take();
    this.#guardWrites();
    stream.once("close", () => {
      this.#phase = "closed";
      clearTimeout(this.#timer);
    });
  }

  /** The client is logged in. @param isFree whether it is the site's own, bound by no rate */
  open({ isFree }: { isFree: boolean }): void {
    if (this.#phase !== "login") return;
    this.#phase = "open";
    this.#isFree = isFree;
    this.#wake();
  }

  /** aedes has begun to deliver a message of this client. */
  begin(payload: Uint8Array): void {
    this.#busy.messages++;
    this.#busy.bytes += payload.length;
  }

  /** aedes has delivered it. */
  end(payload: Uint8Array): void {
    this.#busy.messages--;
    this.#busy.bytes -= payload.length;
    if (this.#isHeld) this.#wake();
  }

  /** What aedes gets when it asks for bytes: whole packets, or nothing yet. */
  #take(): Buffer | null {
    const batch: Uint8Array[] = [];
    while (batch.length < batchSize && this.#mayPass()) {
      const packet = this.#next();
      if (packet === undefined) break;
      batch.push(packet);
    }
    if (batch.length === 0 || this.#phase === "closed") return null;
    this.#isParsing = true;
    this.#wake();
    return Buffer.concat(batch);
  }

  #mayPass(): boolean {
    if (this.#isParsing || this.#phase === "login" || this.#phase === "closed") return false;
    this.#isHeld = this.#busy.messages >= batchSize || this.#busy.bytes >= busyBytes;
    return !this.#isHeld && (this.#isFree || this.#isWithinRates());
  }

  #isWithinRates(): boolean {
    const { limits, now } = this.#options;
    const time = now();
    const wait = Math.max(this.#messages.wait(time), this.#bytes.wait(time));
    if (wait === 0) return true;
    this.#overSince ??= time;
    if (time - this.#overSince > limits.patience) {
      this.#cut("rate", "it sends more than it may");
      return false;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#stream.emit("readable");
    }, wait);
    return false;
  }

  #next(): Uint8Array | undefined {
    try {
      for (;;) {
        const packet = this.#framer.next();
        if (packet !== undefined) return this.#pass(packet);
        const chunk: Uint8Array | null = this.#read();
        if (chunk === null) {
          // The sender has paused: it keeps to the rates after all.
          this.#overSince = undefined;
          return undefined;
        }
        this.#framer.push(chunk);
      }
    } catch (error) {
      if (!(error instanceof MqttError)) throw error;
      const reason = error.code === "mqtt_too_large" ? "too_large" : "malformed";
      this.#cut(reason, error.message);
      return undefined;
    }
  }

  #pass(packet: Uint8Array): Uint8Array {
    const type = packet[0]! >> 4;
    if (this.#phase === "connect") {
      if (type !== connect) throw new MqttError("mqtt_packet", "the first packet is no CONNECT");
      this.#phase = "login";
    }
    if (type === puback) this.#unacknowledgedBytes -= this.#unacknowledged.shift() ?? 0;
    // Acknowledgements are answers: how many there are is not the client's choice.
    if (type < 4 || type > 7) this.#messages.take(1);
    this.#bytes.take(packet.length + packetCost);
    if (type === publish && (packet[0]! & 0x06) === 0x04) {
      this.#cut("qos2", "it publishes with QoS 2");
    }
    return packet;
  }

  #cut(reason: Reason, why: string): void {
    this.#phase = "closed";
    this.#options.cut(reason, why);
  }

  /** Lets aedes ask again, soon: after what it is doing, and after the other connections' turn. */
  #wake(): void {
    setImmediate(() => {
      this.#isParsing = false;
      if (this.#phase !== "closed") this.#stream.emit("readable");
    });
  }

  #guardWrites(): void {
    const stream = this.#stream;
    const { queuedBytes } = this.#options.limits;
    const follow = packetMeter(Infinity, (first, size) => this.#sent(first, size));
    const write = stream.write.bind(stream) as (...given: unknown[]) => boolean;
    stream.write = (...given: unknown[]) => {
      const flows = write(...given);
      if (this.#isFree) return flows;
      const [bytes] = given;
      follow(typeof bytes === "string" ? Buffer.from(bytes) : bytes as Uint8Array);
      if (stream.writableLength > queuedBytes) this.#isSlow();
      // What aedes takes for an answer: there is nothing to wait for.
      return true;
    };
  }

  /** Notes a packet to the client that the client has to acknowledge. */
  #sent(first: number, size: number): void {
    if (first >> 4 !== publish || (first & 0x06) === 0) return;
    const { unacknowledged, unacknowledgedBytes } = this.#options.limits;
    this.#unacknowledged.push(size);
    this.#unacknowledgedBytes += size;
    const isTooMuch = this.#unacknowledged.length > unacknowledged ||
      this.#unacknowledgedBytes > unacknowledgedBytes;
    if (isTooMuch) this.#isSlow();
  }

  #isSlow(): void {
    if (this.#phase !== "closed") {
      this.#cut("slow_reader", "it does not read what it subscribed to");
    }
  }
}

function bucket(rate: number, now: number): TokenBucket {
  return new TokenBucket({ rate, size: 2 * rate }, now);
}
